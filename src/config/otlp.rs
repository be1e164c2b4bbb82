//! The settings of the export to OpenTelemetry (`telemetry.otlp`).

use super::address::Address;
use super::format_kind::FormatKind;
use super::keys::variable;
use super::yaml::Node;

/// An address whose endpoints are below its root, without a version.
const BASE: FormatKind =
    FormatKind { name: "otlp", remote: true, root: "", root_after_path: false, endpoint: "", protected_fields: &[] };
/// What is added to the address.
const SIGNAL_PATHS: &[&str] = &["/v1/traces", "/v1/logs", "/v1/metrics"];
const DEFAULT_NAME: &str = "llm-bridge";
/// The maximum length of `service_name` in bytes.
const LONGEST_NAME: usize = 255;

/// The encoding of what is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtlpFormat {
    /// Protobuf. All back ends take it.
    #[default]
    Protobuf,
    /// JSON. Some back ends do not take it.
    Json,
}

/// The settings of the export to OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// The address to which `/v1/traces`, `/v1/logs` and `/v1/metrics` are added.
    pub endpoint: Address,
    /// The variable that holds the headers of all export requests.
    pub headers_env: Option<String>,
    /// Whether spans are exported.
    pub traces: bool,
    /// Whether log records are exported.
    pub logs: bool,
    /// Whether metrics are exported.
    pub metrics: bool,
    /// The encoding.
    pub format: OtlpFormat,
    /// Whether spans of a trace are exported that its caller does not record.
    pub export_unsampled: bool,
    /// Whether providers are given the context of the span of their call.
    pub send_trace_context: bool,
    /// The resource attribute `service.name`.
    pub service_name: String,
}

const KEYS: &[&str] = &[
    "endpoint",
    "headers_env",
    "traces",
    "logs",
    "metrics",
    "format",
    "export_unsampled",
    "send_trace_context",
    "service_name",
];
pub(super) const FORMATS: &[(&str, OtlpFormat)] = &[("protobuf", OtlpFormat::Protobuf), ("json", OtlpFormat::Json)];

impl Otlp {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(KEYS)?;
        let flag = |key: &str, default| table.at(key).and_then(|node| node.flag()).unwrap_or(default);
        let headers_env = table.at("headers_env").and_then(|node| variable(&node, false));
        let format = table.at("format").and_then(|node| node.choice(FORMATS)).unwrap_or_default();
        let service_name = table.at("service_name").and_then(|node| read_name(&node));
        let Some(endpoint) = table.at("endpoint") else {
            node.fault("`endpoint` is missing: the address of an OTLP/HTTP receiver, such as https://otlp.example.com");
            return None;
        };
        Some(Self {
            endpoint: read_endpoint(&endpoint)?,
            headers_env,
            traces: flag("traces", true),
            logs: flag("logs", false),
            metrics: flag("metrics", false),
            format,
            export_unsampled: flag("export_unsampled", false),
            send_trace_context: flag("send_trace_context", false),
            service_name: service_name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
        })
    }
}

fn read_endpoint(node: &Node<'_>) -> Option<Address> {
    let text = node.text()?;
    let path = text.split('?').next().unwrap_or_default().trim_end_matches('/');
    if let Some(signal) = SIGNAL_PATHS.iter().find(|signal| path.ends_with(*signal)) {
        node.fault(format!("expected the address without `{signal}`, which is added to it"));
        return None;
    }
    Address::parse(&text, BASE, &[]).map_err(|expected| node.fault(expected)).ok()
}

fn read_name(node: &Node<'_>) -> Option<String> {
    let name = node.text()?;
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
        node.fault(format!("expected a name of at most {LONGEST_NAME} bytes"));
        return None;
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value;

    use super::super::yaml::{Problem, Report};
    use super::*;

    fn read(text: &str) -> (Option<Otlp>, Vec<Problem>, Vec<Problem>) {
        let value: Value = serde_yaml::from_str(text).unwrap();
        let report = Report::new(text);
        let root = Node::root(&value, &report);
        let settings = Otlp::read(&root.table(&["otlp"]).unwrap().at("otlp").unwrap());
        let (faults, notes) = report.take();
        (settings, faults, notes)
    }

    #[test]
    fn an_endpoint_suffices() {
        let (settings, faults, notes) = read("otlp: { endpoint: \"https://a.b/otlp?tenant=1\" }");
        let settings = settings.unwrap();
        assert_eq!(settings.endpoint.join("/v1/traces"), "https://a.b/otlp/v1/traces?tenant=1");
        assert!(settings.traces && !settings.logs && !settings.export_unsampled && !settings.send_trace_context);
        assert_eq!((settings.format, settings.service_name.as_str()), (OtlpFormat::Protobuf, "llm-bridge"));
        assert_eq!((faults, notes), (Vec::new(), Vec::new()));
    }

    #[test]
    fn faults_have_their_line_and_what_was_expected() {
        for (text, expected) in [
            (
                "otlp:\n  traces: true",
                "line 1: otlp: `endpoint` is missing: the address of an OTLP/HTTP receiver, such as https://otlp.example.com",
            ),
            (
                "otlp:\n  endpoint: a.b",
                "line 2: otlp.endpoint: expected an address that begins with https:// or http://",
            ),
            (
                "otlp:\n  endpoint: http://a.b/v1/traces/",
                "line 2: otlp.endpoint: expected the address without `/v1/traces`, which is added to it",
            ),
            (
                "otlp:\n  endpoint: http://a.b\n  headers_env: a-b",
                "line 3: otlp.headers_env: expected the name of a variable (letters, digits, `_`)",
            ),
            ("otlp:\n  endpoint: http://a.b\n  format: grpc", "line 3: otlp.format: "),
            (
                "otlp:\n  endpoint: http://a.b\n  service_name: \"\"",
                "line 3: otlp.service_name: expected a name of at most 255 bytes",
            ),
            ("otlp:\n  endpoint: http://a.b\n  logz: true", "line 3: otlp.logz: unknown key, did you mean `logs`?"),
        ] {
            let (_, faults, _) = read(text);
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            assert!(faults.len() == 1 && faults[0].starts_with(expected), "{faults:?}");
        }
    }

    #[test]
    fn metrics_are_exported_if_that_is_asked_for() {
        assert!(read("otlp: { endpoint: \"http://a.b\", metrics: true }").0.unwrap().metrics);
        assert!(!read("otlp: { endpoint: \"http://a.b\" }").0.unwrap().metrics);
    }
}
