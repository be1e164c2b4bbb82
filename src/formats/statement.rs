//! Reads what a provider states in an error, in whatever format: the types, codes, messages and waiting times
//! that the table of causes knows the names of.

use serde_json::{Map, Value};

use crate::catalogue::causes::{
    LimitHeaders, WaitName, container_fields, hint_headers, limit_headers, limits, text_fields, wait_fields,
    wait_headers, word_fields, word_headers,
};
use crate::error::{Error, Statement};
use crate::wire::date::is_http_date;
use crate::wire::dense::parse_tree;

/// The most that is kept of messages, in bytes, and so much is kept of each.
const MAX_TEXT: usize = 1 << 10;
/// The most words, messages and waiting times that are kept, each.
const MAX_ITEMS: usize = 16;
/// A longer word is none, in bytes.
const MAX_WORD: usize = 200;
/// So deep errors are read, in objects and lists.
const MAX_DEPTH: usize = 8;

/// What a provider states with this status and body. The body may have been cut. Pages come from proxies and
/// firewalls: of them, the status alone counts.
pub(super) fn statement(status: u16, body: &[u8]) -> Statement {
    let mut statement = Statement { status, ..Statement::default() };
    match parse_tree(body) {
        Some(value) => read(&value, MAX_DEPTH, &mut statement),
        None if body.trim_ascii_start().starts_with(b"<") => {}
        None => add_text(&String::from_utf8_lossy(body.get(..MAX_TEXT).unwrap_or(body)), &mut statement),
    }
    statement
}

/// Whether the code in a body tells of an error. Some hosts write one beside each response and event: 0 or 200
/// is none, nor are `success` and `ok`.
pub(super) fn is_error_code(code: &Value) -> bool {
    match code {
        Value::Number(number) => !number.as_i64().is_some_and(|number| matches!(number, 0 | 200..=299)),
        Value::String(word) => !matches!(&*word.to_ascii_lowercase(), "" | "0" | "200" | "ok" | "success"),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// What the headers of an error response state. They are read before the body, with which the response goes.
#[derive(Debug, Default)]
pub struct StatedHeaders {
    words: Vec<String>,
    headers: Vec<(&'static str, String)>,
    hints: Vec<(&'static str, String)>,
}

impl StatedHeaders {
    /// Reads them. `header`: the value of a header, by its name in lower case.
    pub fn of(header: impl Fn(&str) -> Option<String>) -> Self {
        let words = word_headers().iter().filter_map(|name| header(name)).collect();
        let hints = hint_headers().iter().filter_map(|name| Some((*name, header(name)?)));
        let hints = hints.filter(|(_, value)| is_word(value)).collect();
        Self { words, headers: read_headers(&header), hints }
    }

    /// The hints that clients know and that are passed on: numbers within reason, dates, and words.
    pub fn passed_on(&self) -> Vec<(&'static str, String)> {
        let is_known = |(name, value): &&(&str, String)| {
            matches!(*name, "retry-after" | "retry-after-ms") && is_number(value)
                || *name == "retry-after" && is_http_date(value)
        };
        let mut hints: Vec<_> = self.headers.iter().filter(is_known).cloned().collect();
        hints.extend(self.hints.iter().cloned());
        hints.sort_unstable();
        hints
    }

    /// Adds them to what the body states. They count before headers that the body quotes.
    #[must_use]
    pub fn add_to(mut self, error: Error) -> Error {
        error.restated(|statement| {
            for word in &self.words {
                add_word(word.split(':').next().unwrap_or_default(), statement);
            }
            self.headers.append(&mut statement.headers);
            statement.headers = std::mem::take(&mut self.headers);
        })
    }
}

/// The limits of the operator's account, as the headers of a response state them.
pub fn stated_limits(header: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let stated = limit_headers().iter().filter_map(|name| Some((*name, header(name)?)));
    stated.filter(|(_, value)| is_limit(value)).collect()
}

/// Whether a value is a number, a duration or a time.
fn is_limit(value: &str) -> bool {
    (1..=40).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'-' | b'+'))
}

/// Whether a hint is a number of seconds, or of milliseconds, within reason.
fn is_number(value: &str) -> bool {
    (1..=10).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a hint is a word, or a number.
fn is_word(value: &str) -> bool {
    (1..=40).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The headers that say how long to wait; if there are none, those of limits.
fn read_headers(header: &impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let get = |name: &'static str| header(name).map(|value| (name, value));
    let waits: Vec<_> = wait_headers().iter().filter_map(|WaitName { name, .. }| get(name)).collect();
    if !waits.is_empty() {
        return waits;
    }
    let pair = |LimitHeaders { state, reset, .. }: &LimitHeaders| {
        let state = get(state);
        let reset = state.as_ref().filter(|_| !reset.is_empty()).and_then(|_| get(reset));
        state.into_iter().chain(reset)
    };
    limits().iter().flat_map(pair).collect()
}

fn read(value: &Value, depth: usize, statement: &mut Statement) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| read_field(name, value, depth, statement)),
        Value::Array(items) => items.iter().take(MAX_ITEMS).for_each(|item| read(item, depth, statement)),
        Value::String(text) => add_text(text, statement),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn read_field(name: &str, value: &Value, depth: usize, statement: &mut Statement) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(headers) if name == "headers" => return read_quoted_headers(headers, statement),
        Value::Object(_) | Value::Array(_) if container_fields().contains(&name) || text_fields().contains(&name) => {
            return read(value, depth, statement);
        }
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) => return,
    };
    if word_fields().contains(&name) {
        add_word(&text, statement);
    }
    if text_fields().contains(&name) {
        add_text(&text, statement);
    }
    let wait = wait_fields().iter().find(|wait| wait.name == name);
    if let Some(WaitName { name, .. }) = wait.filter(|_| statement.waits.len() < MAX_ITEMS && text.len() <= MAX_WORD) {
        statement.waits.push((name, text));
    }
}

/// Headers of another provider, which this one passes on in the body.
fn read_quoted_headers(headers: &Map<String, Value>, statement: &mut Statement) {
    let quoted = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    statement.headers.extend(read_headers(&quoted));
}

fn add_word(word: &str, statement: &mut Statement) {
    if !word.is_empty() && word.len() <= MAX_WORD && statement.words.len() < MAX_ITEMS {
        statement.words.push(word.to_lowercase());
    }
}

fn add_text(text: &str, statement: &mut Statement) {
    let room = MAX_TEXT.saturating_sub(statement.texts.iter().map(String::len).sum());
    let kept = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
    if !kept.is_empty() && statement.texts.len() < MAX_ITEMS {
        // Typographic apostrophes come from some hosts, and plain ones from others.
        statement.texts.push(kept.to_lowercase().replace('’', "'"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &Value) -> Statement {
        statement(400, body.to_string().as_bytes())
    }

    #[test]
    fn types_codes_messages_and_waits_are_read_where_they_stand() {
        let statement = of(&serde_json::json!([{ "error": {
            "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You’re out",
            "details": [{ "violations": [{ "quotaId": "PerDay" }] }, { "retryDelay": "36s" }],
        } }]));
        assert_eq!(statement.words, ["429", "perday", "resource_exhausted"]);
        assert_eq!(statement.texts, ["you're out"]);
        assert_eq!(statement.waits, [("retryDelay", "36s".to_owned())]);
        assert_eq!(of(&serde_json::json!({ "error": "slow down" })).texts, ["slow down"]);
        assert_eq!(of(&serde_json::json!({ "detail": "bad" })).texts, ["bad"]);
        assert_eq!(super::statement(503, b"error code: 503").texts, ["error code: 503"]);
        assert_eq!(super::statement(503, b" <html>Your account</html>").texts, [""; 0]);
    }

    #[test]
    fn what_quotes_the_request_is_not_read() {
        let quoted = serde_json::json!({ "type": "insufficient_quota", "message": "m", "retry_after": 9 });
        let statement = of(&serde_json::json!({
            "detail": [{ "type": "missing", "loc": ["body", "messages"], "input": quoted, "ctx": quoted }],
            "body": quoted,
            "request": [quoted],
            "param": "insufficient_quota",
        }));
        assert_eq!(statement, Statement { status: 400, words: vec!["missing".to_owned()], ..Statement::default() });
    }

    #[test]
    fn headers_that_the_body_quotes_count_after_those_of_the_response() {
        let body = serde_json::json!({ "error": { "metadata": { "headers": {
            "Retry-After": 9, "X-RateLimit-Remaining": "0",
        } } } });
        let error = Error::upstream(429, "x", "").stating(of(&body));
        assert_eq!(error.statement().map(|own| own.headers.clone()), Some(vec![("retry-after", "9".to_owned())]));
        let own = StatedHeaders::of(|name| (name == "retry-after").then(|| "2".to_owned()));
        let headers = own.add_to(error).statement().map(|own| own.headers.clone());
        assert_eq!(headers, Some(vec![("retry-after", "2".to_owned()), ("retry-after", "9".to_owned())]));
    }

    #[test]
    fn headers_of_limits_are_asked_for_if_none_says_how_long_to_wait() {
        let asked = std::cell::RefCell::new(Vec::new());
        let ask = |known: &'static str| {
            asked.borrow_mut().clear();
            StatedHeaders::of(|name| {
                asked.borrow_mut().push(name.to_owned());
                (name == known).then(|| "0".to_owned())
            })
        };
        assert_eq!(ask("retry-after").headers, [("retry-after", "0".to_owned())]);
        assert_eq!(asked.borrow().len(), 3 + hint_headers().len());
        let limit = ask("x-ratelimit-remaining-requests");
        assert_eq!(limit.headers, [("x-ratelimit-remaining-requests", "0".to_owned())]);
        assert!(asked.borrow().iter().any(|name| name == "x-ratelimit-reset-requests"));
        assert_eq!(limit.passed_on(), []);
    }

    #[test]
    fn hints_are_passed_on_if_they_are_words() {
        let sent = [
            ("anthropic-ratelimit-unified-reset", "1800000000"),
            ("anthropic-ratelimit-unified-status", "rejected\r\nx: y"),
            ("retry-after", "7"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-should-retry", "false"),
        ];
        let header = |name: &str| sent.iter().find(|(sent, _)| *sent == name).map(|(_, value)| (*value).to_owned());
        let hints = StatedHeaders::of(header).passed_on();
        assert_eq!(hints.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [sent[0].0, sent[2].0, sent[4].0]);
    }

    #[test]
    fn a_type_in_a_header_ends_at_a_colon() {
        let headers = StatedHeaders::of(|name| {
            (name == "x-amzn-errortype").then(|| "ThrottlingException:http://internal.amazon.com".to_owned())
        });
        let error = headers.add_to(Error::upstream(429, "x", "").stating(statement(429, b"{}")));
        assert_eq!(error.statement().map(|own| own.words.clone()), Some(vec!["throttlingexception".to_owned()]));
    }

    #[test]
    fn a_statement_is_bounded() {
        let long = "é".repeat(5_000);
        let many: Vec<Value> =
            (0..1_000).map(|_| serde_json::json!({ "code": long, "type": "t", "message": long })).collect();
        let statement = of(&serde_json::json!({ "errors": many }));
        assert!(statement.words.len() <= MAX_ITEMS && statement.texts.len() <= MAX_ITEMS);
        assert!(statement.texts.iter().map(String::len).sum::<usize>() <= MAX_TEXT);
        let deep = "{\"error\":".repeat(100) + "\"x\"" + &"}".repeat(100);
        assert_eq!(super::statement(500, deep.as_bytes()).texts, [""; 0]);
        assert!(super::statement(500, long.as_bytes()).texts.iter().all(|text| text.len() <= 2 * MAX_TEXT));
    }
}
