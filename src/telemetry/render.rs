//! Renders an event as a line of the log: a flat JSON object, or text for people.

use super::event::{Event, EventKind, LostReceipts, RequestEnd, RequestFields, RuntimeFailure};
use super::log_file::{LogRecord, in_file};
use crate::config::{Fields, LogFormat, LogLevel, Logging, Millis};
use crate::error::Error;
use crate::wire::date::write_time;
use crate::wire::dollars::dollars;
use crate::wire::json::quote;

/// The usual length of a line, in bytes.
const USUAL: usize = 512;

/// The line of an event for the console; `None` if the settings do not log its level.
///
/// A [`RuntimeFailure`] is logged under any settings, always as JSON and without a timestamp.
pub fn render(event: &Event<'_>, logging: &Logging) -> Option<String> {
    let is_logged = event.kind.is_always_logged() || logging.logs(event.kind.level());
    is_logged.then(|| render_line(event, &logging.fields, logging.format))
}

/// The line of an event for log files; `None` if there are none, or its level is not logged.
pub fn render_in_file(event: &Event<'_>, logging: &Logging) -> Option<LogRecord> {
    let is_logged = logging.file.is_some() && (event.kind.is_always_logged() || logging.files(event.kind.level()));
    let line = is_logged.then(|| render_line(event, &logging.fields, LogFormat::Json))?;
    Some(LogRecord { at: event.at, line: in_file(line, event.at) })
}

/// The line of an event for OpenTelemetry; `None` if none is exported, or its level is not logged.
pub(super) fn render_for_export(event: &Event<'_>, logging: &Logging) -> Option<String> {
    let is_logged = logging.exported && (event.kind.is_always_logged() || logging.exports(event.kind.level()));
    is_logged.then(|| render_line(event, &logging.fields, LogFormat::Json))
}

fn render_line(event: &Event<'_>, fields: &Fields, format: LogFormat) -> String {
    let kind = &event.kind;
    let mut line = Line { fields, format, text: String::with_capacity(USUAL) };
    line.head(event.at, kind.level(), kind.name());
    match kind {
        EventKind::RequestStart(start) => {
            line.request(&start.request);
            line.raw("messages", start.messages);
        }
        EventKind::RequestEnd(end) => {
            line.request(&end.request);
            line.end(end);
        }
        EventKind::AttemptFailed(failed) => {
            line.request(&failed.request);
            line.text("upstream_model", Some(failed.model));
            line.text("class", Some(failed.class));
            line.number("status", Some(u64::from(failed.error.status())));
            line.text("error", Some(failed.error.message()));
            line.text("error_code", failed.error.code());
        }
        EventKind::CatalogueStale(stale) => {
            line.request(&stale.request);
            line.text("field", Some(stale.field));
            line.number("stale_so_far", Some(stale.count));
        }
        EventKind::ExportDropped(dropped) => {
            line.text("signal", Some(dropped.signal));
            line.number("drops", Some(dropped.drops));
            line.text("reason", Some(dropped.reason));
            line.number("status", dropped.status.map(u64::from));
            line.text("error", dropped.error);
        }
        EventKind::Chunk(chunk) => {
            line.request(&chunk.request);
            line.text("chunk", Some(&String::from_utf8_lossy(chunk.bytes)));
        }
        EventKind::ConfigError(problem) | EventKind::ConfigNote(problem) => {
            line.text("error", Some(&problem.to_string()));
        }
        EventKind::SessionWoken(key_id) => line.text("key_id", *key_id),
        EventKind::Runtime(failure) => return render_failure(failure),
    }
    line.finish()
}

fn render_failure(failure: &RuntimeFailure<'_>) -> String {
    let fields = match failure {
        RuntimeFailure::ResponseFailed(error)
        | RuntimeFailure::ObjectFailed(error)
        | RuntimeFailure::SessionUnreadable(error) => {
            format!(",\"error\":{}", quote(error))
        }
        RuntimeFailure::HeaderDropped(header) => format!(",\"header\":{}", quote(header)),
        RuntimeFailure::ObjectMissing(binding) => format!(",\"binding\":{}", quote(binding)),
        RuntimeFailure::ReceiptsLost(LostReceipts { account, lost_so_far, command }) => {
            format!(",\"account\":{},\"lost_so_far\":{lost_so_far},\"order\":{command}", quote(account))
        }
        RuntimeFailure::AuditLost(entry) => format!(",\"entry\":{entry}"),
        RuntimeFailure::SessionUnwritten => String::new(),
    };
    format!("{{\"level\":\"error\",\"event\":\"{}\"{fields}}}", failure.name())
}

/// A line of the log that is being written.
struct Line<'l> {
    fields: &'l Fields,
    format: LogFormat,
    text: String,
}

impl Line<'_> {
    fn head(&mut self, at: Millis, level: LogLevel, event: &str) {
        let timestamp = self.fields.shows("timestamp").then(|| write_time(at));
        match self.format {
            LogFormat::Json => {
                self.text.push('{');
                if let Some(timestamp) = timestamp {
                    self.text.extend(["\"timestamp\":\"", &timestamp, "\","]);
                }
                self.text.extend(["\"level\":\"", level.name(), "\",\"event\":\"", event, "\""]);
            }
            LogFormat::Text => {
                if let Some(timestamp) = timestamp {
                    self.text.extend([&timestamp, " "]);
                }
                self.text.extend(["[", &level.name().to_uppercase(), "] ", event]);
            }
        }
    }

    fn request(&mut self, request: &RequestFields<'_>) {
        self.text("request_id", Some(request.request_id));
        self.text("key_id", request.key_id);
        self.text("client_ip", request.client_ip);
        self.text("provider", request.provider);
        self.text("model", request.model);
        self.raw("stream", request.stream.map(|stream| if stream { "true" } else { "false" }));
    }

    fn end(&mut self, end: &RequestEnd<'_>) {
        self.number("status", Some(u64::from(end.status)));
        self.text("outcome", Some(end.outcome));
        self.text("error", end.error.map(Error::message));
        self.text("error_type", end.error.map(Error::kind));
        self.text("error_code", end.error.and_then(Error::code));
        self.number("duration_ms", Some(end.duration));
        self.number("ttft_ms", end.time_to_first_byte);
        self.text("model_served", end.model_served);
        self.number("input_tokens", end.input_tokens);
        self.number("output_tokens", end.output_tokens);
        self.raw("estimated", end.is_estimated.then_some("true"));
        self.raw("cost", end.cost.map(dollars).as_deref());
        self.number("failed_attempts", (end.failed_attempts > 0).then_some(end.failed_attempts as u64));
        self.text("recovered", end.recovered);
        self.number("malformed_events", (end.malformed_events > 0).then_some(u64::from(end.malformed_events)));
        self.text("dropped", end.dropped);
        self.text("response", end.response);
    }

    fn text(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value
            && self.fields.shows(field)
        {
            self.raw(field, Some(&quote(value)));
        }
    }

    fn number(&mut self, field: &str, value: Option<u64>) {
        self.raw(field, value.map(|value| value.to_string()).as_deref());
    }

    /// A value that is JSON.
    fn raw(&mut self, field: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if !self.fields.shows(field) {
            return;
        }
        match self.format {
            LogFormat::Json => self.text.extend([",\"", field, "\":", value]),
            LogFormat::Text => self.text.extend([" ", field, "=", value]),
        }
    }

    fn finish(mut self) -> String {
        if self.format == LogFormat::Json {
            self.text.push('}');
        }
        // The client's JSON may contain line breaks between its tokens. An event is always one line.
        if self.text.contains(['\n', '\r']) { self.text.replace(['\n', '\r'], " ") } else { self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::RequestStart;
    use super::*;
    use crate::config::{FileLog, Problem};

    const REQUEST: RequestFields<'_> = RequestFields {
        request_id: "r\"1",
        key_id: None,
        client_ip: None,
        provider: None,
        model: Some("m"),
        stream: Some(false),
    };

    fn start(messages: Option<&str>) -> Event<'_> {
        Event { at: 12, kind: EventKind::RequestStart(RequestStart { request: REQUEST, messages }) }
    }

    #[test]
    fn a_line_is_one_flat_object() {
        let expected = r#"{"timestamp":"1970-01-01T00:00:00.012Z","level":"info","event":"request_start","request_id":"r\"1","model":"m","stream":false}"#;
        assert_eq!(render(&start(None), &Logging::default()).as_deref(), Some(expected));
    }

    #[test]
    fn text_is_for_people() {
        let logging = Logging { format: LogFormat::Text, ..Logging::default() };
        let expected = r#"1970-01-01T00:00:00.012Z [INFO] request_start request_id="r\"1" model="m" stream=false"#;
        assert_eq!(render(&start(None), &logging).as_deref(), Some(expected));
    }

    #[test]
    fn log_files_have_json_with_a_timestamp_whatever_the_console_has() {
        let file = FileLog { path: "logs".to_owned(), max_size: 1, backup_count: 0, keep_days: None };
        let console = Logging { format: LogFormat::Text, level: LogLevel::Warning, ..Logging::default() };
        let logging = Logging { console: false, file: Some(file), ..console.clone() };
        let lost = Event { at: 12, kind: EventKind::Runtime(RuntimeFailure::SessionUnwritten) };
        let expected =
            r#"{"timestamp":"1970-01-01T00:00:00.012Z","level":"error","event":"session_unwritten"}"#.to_owned();
        assert_eq!(render_in_file(&lost, &logging), Some(LogRecord { at: 12, line: expected }));
        assert_eq!(render_in_file(&lost, &console), None);
        assert_eq!(render_in_file(&start(None), &logging), None);
        let all = Logging { level: LogLevel::Info, ..logging };
        let line = render_in_file(&start(None), &all).unwrap().line;
        assert!(line.starts_with(r#"{"timestamp":"1970-01-01T00:00:00.012Z","level":"info","event":"request_start""#));
        assert_eq!(render(&start(None), &all), None);
    }

    #[test]
    fn conversations_are_not_logged_unless_asked_for() {
        let line = render(&start(Some("[\"secret\"]")), &Logging::default()).unwrap();
        assert!(!line.contains("secret"));
    }

    #[test]
    fn a_level_below_the_settings_is_not_logged() {
        let logging = Logging { level: LogLevel::Warning, ..Logging::default() };
        assert_eq!(render(&start(None), &logging), None);
        let problem = Problem { line: 3, path: "a.b".to_owned(), message: "is\nwrong".to_owned() };
        let line = render(&Event { at: 0, kind: EventKind::ConfigNote(&problem) }, &logging).unwrap();
        assert!(line.starts_with(r#"{"timestamp":"1970-01-01T00:00:00.000Z","level":"warning","event":"config_note""#));
    }

    #[test]
    fn failures_of_the_runtime_are_always_logged() {
        let logging = Logging { console: false, format: LogFormat::Text, ..Logging::default() };
        let line = |failure| render(&Event { at: 0, kind: EventKind::Runtime(failure) }, &logging).unwrap();
        assert_eq!(line(RuntimeFailure::SessionUnwritten), r#"{"level":"error","event":"session_unwritten"}"#);
        assert_eq!(
            line(RuntimeFailure::ReceiptsLost(LostReceipts {
                account: "vk_a",
                lost_so_far: 2,
                command: "{\"Settle\":[]}"
            })),
            r#"{"level":"error","event":"receipts_lost","account":"vk_a","lost_so_far":2,"order":{"Settle":[]}}"#
        );
        assert_eq!(
            line(RuntimeFailure::AuditLost("{\"id\":1}")),
            r#"{"level":"error","event":"audit_lost","entry":{"id":1}}"#
        );
        assert_eq!(
            line(RuntimeFailure::ObjectFailed("a \"b\"")),
            r#"{"level":"error","event":"object_failed","error":"a \"b\""}"#
        );
    }
}
