//! The spans of a request: one for the request, and below it one for each call of a provider.

use super::attribute::{Attribute, AttributeValue};
use super::conventions as names;
use super::span::{Span, SpanKind, SpanStatus};
use super::trace_context::RequestTrace;
use crate::config::Millis;
use crate::telemetry::summary::{AttemptSummary, RequestSummary};

const NANOS_PER_DOLLAR: f64 = 1e9;
const MILLIS_PER_SECOND: f64 = 1e3;
/// The operation of requests whose operation the conventions do not name.
const CHAT: &str = "chat";

/// What the summary does not contain of the HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct HttpFacts<'h> {
    /// The method.
    pub method: &'h str,
    /// The pattern of the path in the route table. Paths themselves have no bound.
    pub route: &'h str,
    /// The path, without the query.
    pub path: &'h str,
    /// `http` or `https`.
    pub scheme: &'h str,
    /// The conventions' name of the operation; `None` is `chat`.
    pub operation: Option<&'h str>,
}

/// Where a provider is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderAddress {
    /// The conventions' name of the provider.
    pub system: String,
    /// The host name.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The spans of a request that has ended; none if its trace is not recorded. `address`: where a provider is
/// called, by its name in the configuration.
pub fn request_spans(
    summary: &RequestSummary,
    trace: &RequestTrace,
    http: &HttpFacts<'_>,
    address: &dyn Fn(&str) -> Option<ProviderAddress>,
) -> Vec<Span> {
    if !trace.is_sampled() {
        return Vec::new();
    }
    let attempts = summary.attempts.iter().enumerate().map(|(index, attempt)| {
        let call = Call { index, attempt, summary, operation: http.operation.unwrap_or(CHAT) };
        call.span(trace, address(&attempt.provider).as_ref())
    });
    std::iter::once(server_span(summary, trace, http)).chain(attempts).collect()
}

/// The attributes of a span.
#[derive(Default)]
struct Attributes(Vec<Attribute>);

impl Attributes {
    fn set(&mut self, key: &str, value: impl Into<AttributeValue>) {
        self.0.push(Attribute::new(key, value));
    }

    /// Sets a text that is not empty.
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.set(key, value);
        }
    }

    /// Sets a truth, if it holds.
    fn flag(&mut self, key: &str, holds: bool) {
        if holds {
            self.set(key, true);
        }
    }
}

fn server_span(summary: &RequestSummary, trace: &RequestTrace, http: &HttpFacts<'_>) -> Span {
    let error = error_of(summary);
    let mut attributes = Attributes::default();
    attributes.text(names::HTTP_METHOD, http.method);
    attributes.text(names::HTTP_ROUTE, http.route);
    attributes.text(names::URL_PATH, http.path);
    attributes.text(names::URL_SCHEME, http.scheme);
    attributes.set(names::HTTP_STATUS, u64::from(summary.status));
    attributes.text(names::ERROR_TYPE, error.as_deref().unwrap_or_default());
    attributes.text(names::REQUEST_ID, &summary.request_id);
    attributes.text(names::KEY_ID, &summary.key_id);
    attributes.text(names::ROUTE, &summary.route);
    attributes.text(names::OUTCOME, &summary.outcome);
    attributes.set(names::GATEWAY_TIME, seconds(summary.gateway_time));
    if let Some(cost) = summary.cost {
        #[expect(clippy::cast_precision_loss, reason = "back ends show a few digits")]
        attributes.set(names::COST, cost as f64 / NANOS_PER_DOLLAR);
    }
    attributes.flag(names::ESTIMATED, summary.estimated);
    for (name, value) in &summary.tags {
        attributes.set(&format!("{}{name}", names::TAG_PREFIX), value.as_str());
    }
    Span {
        context: trace.own,
        trace_state: trace.state.clone(),
        parent: trace.parent,
        is_parent_remote: trace.parent.is_some(),
        name: format!("{} {}", http.method, http.route),
        kind: SpanKind::Server,
        started: summary.started,
        ended: summary.at,
        attributes: attributes.0,
        status: error.map_or(SpanStatus::Unset, SpanStatus::Error),
    }
}

/// What went wrong with a request. A refusal that its client caused (4xx) is no error of the server's span.
fn error_of(summary: &RequestSummary) -> Option<String> {
    const SOUND: &[&str] = &["complete", "client_closed"];
    let has_broken_off = summary.status < 400 && !SOUND.contains(&summary.outcome.as_str());
    let cause = [&summary.class, &summary.outcome].into_iter().find(|text| !text.is_empty());
    match summary.status {
        500.. => Some(if summary.class.is_empty() { summary.status.to_string() } else { summary.class.clone() }),
        _ if has_broken_off => cause.cloned(),
        _ => None,
    }
}

/// A call of a provider.
struct Call<'c> {
    index: usize,
    attempt: &'c AttemptSummary,
    summary: &'c RequestSummary,
    operation: &'c str,
}

impl Call<'_> {
    fn span(&self, trace: &RequestTrace, address: Option<&ProviderAddress>) -> Span {
        let Self { attempt, operation, .. } = self;
        let mut attributes = Attributes::default();
        attributes.set(names::OPERATION, *operation);
        // The conventions require a provider.
        attributes.set(names::PROVIDER, address.map_or(attempt.provider.as_str(), |address| address.system.as_str()));
        attributes.text(names::CONFIGURED_PROVIDER, &attempt.provider);
        attributes.text(names::REQUEST_MODEL, &attempt.model);
        attributes.flag(names::REQUEST_STREAM, self.summary.stream);
        attributes.set(names::ATTEMPT, self.index as u64 + 1);
        if let Some(address) = address {
            attributes.text(names::SERVER_ADDRESS, &address.host);
            attributes.set(names::SERVER_PORT, u64::from(address.port));
        }
        attributes.text(names::ERROR_TYPE, &attempt.class);
        self.add_response(&mut attributes);
        let is_sound = attempt.class.is_empty();
        Span {
            context: trace.attempt(self.index),
            trace_state: trace.state.clone(),
            parent: Some(trace.own.span_id),
            is_parent_remote: false,
            name: format!("{operation} {}", attempt.model),
            kind: SpanKind::Client,
            started: attempt.started,
            ended: attempt.ended,
            attributes: attributes.0,
            status: if is_sound { SpanStatus::Unset } else { SpanStatus::Error(attempt.class.clone()) },
        }
    }

    /// What the response said. Only the last attempt has one, and its tokens are those of all attempts: a
    /// summary has no others, and a back end that adds up spans must not count them twice.
    fn add_response(&self, attributes: &mut Attributes) {
        let Self { attempt, summary, .. } = self;
        if self.index + 1 != summary.attempts.len() {
            return;
        }
        attributes.text(names::RESPONSE_MODEL, summary.served.as_deref().unwrap_or_default());
        if let Some(tokens) = &summary.tokens {
            let input = tokens.uncached_input.saturating_add(tokens.cache_read).saturating_add(tokens.cache_write);
            attributes.set(names::INPUT_TOKENS, input);
            attributes.set(names::OUTPUT_TOKENS, tokens.output);
            attributes.set(names::CACHE_READ_TOKENS, tokens.cache_read);
            attributes.set(names::CACHE_WRITE_TOKENS, tokens.cache_write);
            attributes.set(names::REASONING_TOKENS, tokens.reasoning);
        }
        if let Some(ttft) = summary.ttft.filter(|_| summary.stream) {
            let before = attempt.started.saturating_sub(summary.started);
            attributes.set(names::TIME_TO_FIRST_CHUNK, seconds(ttft.saturating_sub(before)));
        }
    }
}

fn seconds(time: Millis) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no request takes 2^53 milliseconds")]
    let millis = time as f64;
    millis / MILLIS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::super::trace_context::TraceContext;
    use super::*;
    use crate::ledger::TokenCounts;

    const HTTP: HttpFacts<'_> = HttpFacts {
        method: "POST",
        route: "/v1/chat/completions",
        path: "/v1/chat/completions",
        scheme: "https",
        operation: None,
    };
    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn attempt(model: &str, class: &str, started: Millis, ended: Millis) -> AttemptSummary {
        AttemptSummary {
            provider: "p".into(),
            model: model.into(),
            class: class.into(),
            started,
            ended,
            ..AttemptSummary::default()
        }
    }

    fn summary() -> RequestSummary {
        RequestSummary {
            started: 1_000,
            at: 4_000,
            duration: 3_000,
            ttft: Some(1_500),
            status: 200,
            outcome: "complete".into(),
            stream: true,
            tokens: Some(TokenCounts {
                uncached_input: 7,
                cache_read: 2,
                output: 10,
                reasoning: 4,
                ..Default::default()
            }),
            cost: Some(12_500_000),
            attempts: vec![attempt("m", "overload", 1_010, 1_900), attempt("n", "", 2_000, 3_990)],
            tags: vec![("team".into(), "red".into())],
            ..RequestSummary::default()
        }
    }

    fn address(_: &str) -> Option<ProviderAddress> {
        Some(ProviderAddress { system: "s".into(), host: "api.test".into(), port: 443 })
    }

    fn spans_of(summary: &RequestSummary) -> Vec<Span> {
        request_spans(summary, &RequestTrace::begin(TraceContext::read(CALLER).as_ref(), [7; 24]), &HTTP, &address)
    }

    fn value<'s>(span: &'s Span, key: &str) -> Option<&'s AttributeValue> {
        span.attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    #[test]
    fn the_spans_of_a_request_form_a_tree_below_its_caller() {
        let spans = spans_of(&summary());
        let caller = TraceContext::read(CALLER).unwrap();
        assert_eq!(
            spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(),
            ["POST /v1/chat/completions", "chat m", "chat n"]
        );
        assert_eq!(spans[0].parent, Some(caller.span_id));
        assert!(spans[1..].iter().all(|span| span.parent == Some(spans[0].context.span_id)));
        assert!(spans.iter().all(|span| span.context.trace_id == caller.trace_id));
        assert_ne!(spans[1].context.span_id, spans[2].context.span_id);
    }

    #[test]
    fn the_last_attempt_has_the_tokens_and_only_once() {
        let spans = spans_of(&summary());
        assert_eq!(value(&spans[2], names::INPUT_TOKENS), Some(&AttributeValue::Integer(9)));
        assert_eq!(value(&spans[2], names::OUTPUT_TOKENS), Some(&AttributeValue::Integer(10)));
        assert_eq!([value(&spans[0], names::INPUT_TOKENS), value(&spans[1], names::INPUT_TOKENS)], [None; 2]);
    }

    #[test]
    fn the_time_to_the_first_chunk_begins_with_the_call() {
        let spans = spans_of(&summary());
        assert_eq!(value(&spans[2], names::TIME_TO_FIRST_CHUNK), Some(&AttributeValue::Number(0.5)));
        let whole = RequestSummary { stream: false, ..summary() };
        assert_eq!(value(&spans_of(&whole)[2], names::TIME_TO_FIRST_CHUNK), None);
    }

    #[test]
    fn a_failed_attempt_is_an_error_and_the_request_is_not() {
        let spans = spans_of(&summary());
        assert_eq!(spans[0].status, SpanStatus::Unset);
        assert_eq!(spans[1].status, SpanStatus::Error("overload".into()));
        assert_eq!(value(&spans[1], names::ERROR_TYPE), Some(&"overload".into()));
    }

    #[test]
    fn a_request_is_an_error_if_the_gateway_or_a_provider_failed() {
        let status_of = |status, outcome: &str, class: &str| {
            let ended = RequestSummary { status, outcome: outcome.into(), class: class.into(), ..summary() };
            spans_of(&ended)[0].status.clone()
        };
        assert_eq!(status_of(429, "refused", "rate"), SpanStatus::Unset);
        assert_eq!(status_of(200, "client_closed", ""), SpanStatus::Unset);
        assert_eq!(status_of(200, "truncated", ""), SpanStatus::Error("truncated".into()));
        assert_eq!(status_of(502, "refused", "hollow"), SpanStatus::Error("hollow".into()));
        assert_eq!(status_of(503, "refused", ""), SpanStatus::Error("503".into()));
    }

    #[test]
    fn cost_and_tags_have_names_of_the_gateway() {
        let spans = spans_of(&summary());
        assert_eq!(value(&spans[0], "llm_bridge.cost_dollars"), Some(&AttributeValue::Number(0.0125)));
        assert_eq!(value(&spans[0], "llm_bridge.tag.team"), Some(&"red".into()));
        let unpriced = RequestSummary { cost: None, ..summary() };
        assert_eq!(value(&spans_of(&unpriced)[0], names::COST), None);
    }

    #[test]
    fn a_trace_that_its_caller_does_not_record_has_no_spans() {
        let caller = TraceContext::read(&CALLER.replace("-01", "-00"));
        let trace = RequestTrace::begin(caller.as_ref(), [7; 24]);
        assert!(request_spans(&summary(), &trace, &HTTP, &address).is_empty());
    }
}
