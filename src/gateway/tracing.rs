//! Traces of requests: what of the configuration they need, and the trace of one request.

use std::rc::Rc;

use crate::config::{Config, Otlp, Provider};
use crate::formats::operation::{Operation, OperationKind};
use crate::telemetry::RequestSummary;
use crate::telemetry::otlp::{HttpFacts, ProviderAddress, RequestTrace, Span, TraceContext, request_spans, system_of};

/// The request header that names the caller's span.
pub(super) const TRACEPARENT: &str = "traceparent";
/// The request header with what other services have added to the trace.
const TRACESTATE: &str = "tracestate";
/// The beginning of all paths.
const ROOT: &str = "/v1";
/// The longest path that a span has, in characters. Paths themselves have no bound.
const LONGEST_PATH: usize = 200;

/// What of the configuration traces need.
#[derive(Debug)]
pub(super) struct TraceRules {
    exports_spans: bool,
    exports_unsampled: bool,
    sends_context: bool,
    /// Where each provider is called, by its name.
    addresses: Vec<(String, ProviderAddress)>,
}

/// The head of a request, as far as its span has it.
pub(super) struct TracedHead<'h> {
    pub(super) path: &'h str,
    pub(super) scheme: &'h str,
    /// Looks up a header.
    pub(super) header: &'h dyn Fn(&str) -> Option<String>,
    pub(super) operation: &'static Operation,
}

/// The trace of a running request.
#[derive(Debug)]
pub(super) struct ActiveTrace {
    rules: Rc<TraceRules>,
    trace: RequestTrace,
    operation: &'static Operation,
    path: String,
    scheme: String,
}

impl TraceRules {
    /// The rules of a configuration; `None` if nothing is made of traces.
    pub(super) fn of(config: &Config) -> Option<Rc<Self>> {
        let Otlp { traces, logs, send_trace_context, export_unsampled, .. } = config.otlp.as_ref()?;
        let addresses =
            config.providers.iter().filter_map(|provider| Some((provider.name.clone(), address_of(provider)?)));
        (*traces || *logs || *send_trace_context).then(|| {
            Rc::new(Self {
                exports_spans: *traces,
                exports_unsampled: *export_unsampled,
                sends_context: *send_trace_context,
                addresses: addresses.collect(),
            })
        })
    }

    fn address(&self, name: &str) -> Option<ProviderAddress> {
        self.addresses.iter().find(|(own, _)| own == name).map(|(_, address)| address.clone())
    }
}

fn address_of(provider: &Provider) -> Option<ProviderAddress> {
    let address = provider.address.as_ref()?;
    let system = provider.host.map_or(provider.name.as_str(), |host| system_of(host.name));
    Some(ProviderAddress { system: system.to_owned(), host: address.host().to_owned(), port: address.port() })
}

impl ActiveTrace {
    /// Continues the trace of the caller, or begins a new one. `random`: random bits.
    pub(super) fn begin(rules: &Rc<TraceRules>, head: &TracedHead<'_>, random: [u128; 2]) -> Self {
        let caller = (head.header)(TRACEPARENT).and_then(|header| TraceContext::read(&header));
        let mut trace = RequestTrace::begin(caller.as_ref(), random_bytes(random));
        if caller.is_some()
            && let Some(state) = (head.header)(TRACESTATE)
        {
            trace = trace.with_state(&state);
        }
        if rules.exports_unsampled {
            trace = trace.recorded();
        }
        Self {
            rules: Rc::clone(rules),
            trace,
            operation: head.operation,
            path: head.path.chars().take(LONGEST_PATH).collect(),
            scheme: head.scheme.to_owned(),
        }
    }

    /// The span of the request.
    pub(super) fn context(&self) -> TraceContext {
        self.trace.own
    }

    /// The header that gives a provider the span of its call, if providers are given that. `index`: the place
    /// of the attempt, counted from 0.
    pub(super) fn header(&self, index: usize) -> Option<(String, String)> {
        self.rules.sends_context.then(|| (TRACEPARENT.to_owned(), self.trace.attempt(index).write()))
    }

    /// Whether the request's spans are exported.
    pub(super) fn is_exported(&self) -> bool {
        self.rules.exports_spans && self.trace.is_sampled()
    }

    /// The spans of the request, which has ended.
    pub(super) fn spans(&self, summary: &RequestSummary) -> Vec<Span> {
        let route = [ROOT, self.operation.path].concat();
        let http = HttpFacts {
            method: self.operation.method,
            route: &route,
            path: &self.path,
            scheme: &self.scheme,
            operation: self.operation_name(),
        };
        request_spans(summary, &self.trace, &http, &|name| self.rules.address(name))
    }

    /// The conventions' name of the operation, if it is not a chat.
    fn operation_name(&self) -> Option<&'static str> {
        match self.operation.kind {
            OperationKind::Embed => Some("embeddings"),
            OperationKind::Generate if self.operation.conversation.is_none() => Some("text_completion"),
            OperationKind::Generate | OperationKind::Count => None,
        }
    }
}

fn random_bytes([first, second]: [u128; 2]) -> [u8; 24] {
    let mut bytes = [0; 24];
    let random = first.to_le_bytes().into_iter().chain(second.to_le_bytes());
    bytes.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::KINDS;
    use crate::formats::openai::operations::{CHAT, COMPLETION, EMBEDDING};

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn rules(otlp: &str) -> Option<Rc<TraceRules>> {
        let text = format!(
            "telemetry: {{ otlp: {{ endpoint: \"http://sink\", {otlp} }} }}\n\
             providers: {{ p: {{ base_url: \"https://host:8443/v1\", models: \"*\" }} }}\n"
        );
        TraceRules::of(&Config::read(&text, KINDS).unwrap())
    }

    fn begin(otlp: &str, operation: &'static Operation, header: &dyn Fn(&str) -> Option<String>) -> ActiveTrace {
        let path = "/".repeat(1_000);
        let head = TracedHead { path: &path, scheme: "https", header, operation };
        ActiveTrace::begin(&rules(otlp).unwrap(), &head, [1, 2])
    }

    fn unsampled(name: &str) -> Option<String> {
        (name == TRACEPARENT).then(|| CALLER.to_owned())
    }

    #[test]
    fn nothing_is_traced_unless_something_is_made_of_it() {
        assert!(rules("traces: false").is_none());
        assert!(rules("traces: false, send_trace_context: true").is_some());
        assert!(rules("traces: false, logs: true").is_some());
        assert!(!begin("traces: false, logs: true", &CHAT, &|_| None).is_exported());
    }

    #[test]
    fn a_caller_that_does_not_record_is_obeyed_unless_the_operator_decides() {
        assert!(!begin("", &CHAT, &unsampled).is_exported());
        let decided = begin("export_unsampled: true, send_trace_context: true", &CHAT, &unsampled);
        assert!(decided.is_exported());
        let (name, value) = decided.header(0).unwrap();
        assert_eq!(name, TRACEPARENT);
        assert!(value.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && value.ends_with("-01"), "{value}");
        assert!(!value.contains("00f067aa0ba902b7"), "the caller's span stays here");
        assert_eq!(begin("", &CHAT, &unsampled).header(0), None);
    }

    #[test]
    fn operations_have_the_names_of_the_conventions() {
        for (operation, name) in
            [(&CHAT, None), (&COMPLETION, Some("text_completion")), (&EMBEDDING, Some("embeddings"))]
        {
            assert_eq!(begin("", operation, &|_| None).operation_name(), name, "{}", operation.name);
        }
    }

    #[test]
    fn a_long_path_is_cut_and_a_provider_has_its_address() {
        let trace = begin("", &CHAT, &|_| None);
        let spans = trace.spans(&RequestSummary::default());
        assert_eq!(spans.len(), 1);
        assert_eq!(
            (trace.path.len(), spans.first().map(|span| span.name.as_str())),
            (LONGEST_PATH, Some("POST /v1/chat/completions"))
        );
        let address = trace.rules.address("p").unwrap();
        assert_eq!((address.host.as_str(), address.port, address.system.as_str()), ("host", 8443, "p"));
    }
}
