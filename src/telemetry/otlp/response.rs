//! What an export request came to.

use serde::Deserialize;
use serde_json::Value as JsonValue;

use super::protobuf::{Value, read};
use crate::config::Millis;
use crate::wire::date::read_http_date;

/// The fields of the response's message and of its partial success.
const PARTIAL_SUCCESS: u64 = 1;
const REJECTED: u64 = 1;
const ERROR_MESSAGE: u64 = 2;
/// The most of a back end's message that is kept, in characters.
const MAX_MESSAGE: usize = 300;

/// What an export request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The back end took the batch, except for so many items.
    Taken {
        /// How many it rejected. They are not sent again.
        rejected: u64,
        /// Why, or a warning; empty if it said nothing.
        message: String,
    },
    /// The batch may be sent again, after this many milliseconds if the back end said so.
    Again {
        /// The wait that it asked for.
        wait: Option<Millis>,
    },
    /// The back end will never take the batch.
    Refused {
        /// The status of the response.
        status: u16,
    },
}

/// The response of a back end.
#[derive(Clone, Copy, Debug)]
pub struct ExportResponse<'r> {
    /// Its status.
    pub status: u16,
    /// Its header `content-type`.
    pub content_type: Option<&'r str>,
    /// Its header `retry-after`.
    pub retry_after: Option<&'r str>,
    /// Its body.
    pub body: &'r [u8],
}

impl ExportResponse<'_> {
    /// What it means, by the rules of OTLP/HTTP: only 429, 502, 503 and 504 are sent again, and a partial
    /// success is not.
    pub fn result(&self, now: Millis) -> SendResult {
        match self.status {
            200..=299 => {
                let (rejected, message) = self.partial_success().unwrap_or_default();
                SendResult::Taken { rejected, message: message.chars().take(MAX_MESSAGE).collect() }
            }
            429 | 502 | 503 | 504 => SendResult::Again { wait: self.retry_after.and_then(|text| wait(text, now)) },
            status => SendResult::Refused { status },
        }
    }

    /// How many items were rejected, and why. `None` if the body says nothing that can be read.
    fn partial_success(&self) -> Option<(u64, String)> {
        let is_json = self.content_type.is_some_and(|name| name.trim_start().starts_with("application/json"));
        if is_json { partial_success_of_json(self.body) } else { partial_success_of_protobuf(self.body) }
    }
}

/// The wait that a header asks for: seconds, or a date.
fn wait(text: &str, now: Millis) -> Option<Millis> {
    let text = text.trim();
    let seconds = text.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1_000));
    seconds.or_else(|| read_http_date(text).map(|date| date.saturating_sub(now)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonResponse {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonPartialSuccess {
    #[serde(default, alias = "rejectedSpans", alias = "rejectedLogRecords", alias = "rejectedDataPoints")]
    rejected: JsonValue,
    #[serde(default)]
    error_message: Option<String>,
}

fn partial_success_of_json(body: &[u8]) -> Option<(u64, String)> {
    let partial = serde_json::from_slice::<JsonResponse>(body).ok()?.partial_success?;
    // An int64 is a string in JSON, but some back ends write a number.
    let count = &partial.rejected;
    let rejected = count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0);
    Some((rejected, partial.error_message.unwrap_or_default()))
}

fn partial_success_of_protobuf(body: &[u8]) -> Option<(u64, String)> {
    let inner = read(body)?.into_iter().find_map(|field| match field {
        (PARTIAL_SUCCESS, Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    })?;
    let (mut rejected, mut message) = (0, String::new());
    for field in read(inner)? {
        match field {
            // A negative int64 is no count.
            (REJECTED, Value::Varint(count)) => rejected = if i64::try_from(count).is_ok() { count } else { 0 },
            (ERROR_MESSAGE, Value::Bytes(text)) => message = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    Some((rejected, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 784_111_777_000;

    fn response(status: u16) -> ExportResponse<'static> {
        ExportResponse { status, content_type: None, retry_after: None, body: b"" }
    }

    fn json(body: &str) -> SendResult {
        let content_type = Some("application/json; charset=utf-8");
        ExportResponse { content_type, body: body.as_bytes(), ..response(200) }.result(NOW)
    }

    fn taken(rejected: u64, message: &str) -> SendResult {
        SendResult::Taken { rejected, message: message.to_owned() }
    }

    #[test]
    fn only_four_statuses_are_sent_again() {
        let again: Vec<u16> =
            (100..600).filter(|status| matches!(response(*status).result(NOW), SendResult::Again { .. })).collect();
        assert_eq!(again, [429, 502, 503, 504]);
        assert_eq!(response(400).result(NOW), SendResult::Refused { status: 400 });
        assert_eq!(response(500).result(NOW), SendResult::Refused { status: 500 });
        assert_eq!(response(200).result(NOW), taken(0, ""));
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let wait_of = |text| ExportResponse { retry_after: Some(text), ..response(503) }.result(NOW);
        assert_eq!(wait_of("7"), SendResult::Again { wait: Some(7_000) });
        assert_eq!(wait_of("Sun, 06 Nov 1994 08:49:40 GMT"), SendResult::Again { wait: Some(3_000) });
        assert_eq!(wait_of("Sun, 06 Nov 1994 08:49:30 GMT"), SendResult::Again { wait: Some(0) });
        assert_eq!(wait_of("soon"), SendResult::Again { wait: None });
        assert_eq!(wait_of("99999999999999999999"), SendResult::Again { wait: None });
    }

    #[test]
    fn a_partial_success_is_read_from_json() {
        assert_eq!(json(r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#), taken(3, "too old"));
        assert_eq!(json(r#"{"partialSuccess":{"rejectedLogRecords":2}}"#), taken(2, ""));
        assert_eq!(json(r#"{"partialSuccess":{"rejectedDataPoints":"4"}}"#), taken(4, ""));
        assert_eq!(json(r#"{"partialSuccess":{"errorMessage":"a warning"}}"#), taken(0, "a warning"));
        assert_eq!(json(r#"{"partialSuccess":null}"#), taken(0, ""));
        assert_eq!(json("{}"), taken(0, ""));
        assert_eq!(json("no JSON"), taken(0, ""));
    }

    #[test]
    fn a_partial_success_is_read_from_protobuf() {
        let of = |body| ExportResponse { body, ..response(200) }.result(NOW);
        assert_eq!(of(b"\x0a\x09\x08\x03\x12\x05stale"), taken(3, "stale"));
        assert_eq!(of(b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), taken(0, ""));
        assert_eq!(of(b"\x0a\x09\x08"), taken(0, ""));
        assert_eq!(of(b"<html>"), taken(0, ""));
    }

    #[test]
    fn a_long_message_is_cut() {
        let body = format!(r#"{{"partialSuccess":{{"errorMessage":"{}"}}}}"#, "é".repeat(1_000));
        let SendResult::Taken { message, .. } = json(&body) else { panic!("it was taken") };
        assert_eq!(message.chars().count(), MAX_MESSAGE);
    }
}
