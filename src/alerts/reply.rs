//! What the reply to a notice means. Redirects are not followed: they count as refusals.

use serde_json::Value;

use super::destination::DestinationKind;
use crate::config::Millis;

/// The reply of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It responded.
    Response {
        /// The HTTP status.
        status: u16,
        /// How long to wait, if the header `retry-after` says it, in milliseconds.
        retry_after: Option<Millis>,
        /// The beginning of the body.
        body: String,
    },
    /// It did not respond in time.
    TimedOut,
    /// It could not be reached.
    Unreachable,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The notice was accepted.
    Accepted,
    /// It was not, and may be later.
    Later {
        /// The least time to wait, in milliseconds.
        after: Option<Millis>,
        /// Why, for the log.
        reason: String,
    },
    /// It was refused, and would be again.
    Refused {
        /// Why, for the log.
        reason: String,
    },
    /// The destination does not exist any more (status 410): no notice is sent to it again.
    Gone,
}

/// What a status in the body of a successful response means.
#[derive(Clone, Copy)]
struct BodyCodes {
    kind: DestinationKind,
    /// The fields that can hold the code; 0 is success.
    fields: &'static [&'static str],
    /// The codes for "too many requests" and "busy".
    later: &'static [i64],
}

/// Destinations that state failures in the body.
const BODY_CODES: &[BodyCodes] = &[
    // Feishu's guide to custom bots, and its page on rate limits.
    BodyCodes { kind: DestinationKind::Feishu, fields: &["code", "StatusCode"], later: &[11_232, 99_991_400] },
    // WeCom's list of error codes.
    BodyCodes { kind: DestinationKind::WeCom, fields: &["errcode"], later: &[-1, 45_009] },
];

/// Statuses that ask for another attempt, besides those from 500.
const RETRIED: &[u16] = &[408, 425, 429];

impl Attempt {
    /// What a reply of a kind of destination means.
    pub fn of(kind: DestinationKind, reply: &Reply) -> Self {
        match reply {
            Reply::TimedOut => Self::Later { after: None, reason: "timed out".to_owned() },
            Reply::Unreachable => Self::Later { after: None, reason: "unreachable".to_owned() },
            Reply::Response { status: 410, .. } => Self::Gone,
            Reply::Response { status, retry_after, body } => {
                let code = BODY_CODES.iter().find(|row| row.kind == kind).and_then(|row| row.failure(body));
                match code {
                    Some(BodyFailure { code, is_temporary: true }) => {
                        Self::Later { after: *retry_after, reason: format!("code {code}") }
                    }
                    Some(BodyFailure { code, .. }) if is_success(*status) => {
                        Self::Refused { reason: format!("code {code}") }
                    }
                    _ => Self::of_status(*status, *retry_after),
                }
            }
        }
    }

    fn of_status(status: u16, retry_after: Option<Millis>) -> Self {
        let reason = format!("HTTP {status}");
        if is_success(status) {
            Self::Accepted
        } else if status >= 500 || RETRIED.contains(&status) {
            Self::Later { after: retry_after, reason }
        } else {
            Self::Refused { reason }
        }
    }
}

/// A failure that the body states.
struct BodyFailure {
    code: i64,
    is_temporary: bool,
}

impl BodyCodes {
    fn failure(&self, body: &str) -> Option<BodyFailure> {
        let body: Value = serde_json::from_str(body).ok()?;
        let code = self.fields.iter().find_map(|field| body.get(field)?.as_i64()).filter(|code| *code != 0)?;
        Some(BodyFailure { code, is_temporary: self.later.contains(&code) })
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(kind: DestinationKind, status: u16, body: &str) -> Attempt {
        Attempt::of(kind, &Reply::Response { status, retry_after: Some(7), body: body.to_owned() })
    }

    fn later(reason: &str) -> Attempt {
        Attempt::Later { after: Some(7), reason: reason.to_owned() }
    }

    fn refused(reason: &str) -> Attempt {
        Attempt::Refused { reason: reason.to_owned() }
    }

    #[test]
    fn a_status_decides() {
        for (status, expected) in [
            (200, Attempt::Accepted),
            (204, Attempt::Accepted),
            (301, refused("HTTP 301")),
            (307, refused("HTTP 307")),
            (400, refused("HTTP 400")),
            (404, refused("HTTP 404")),
            (408, later("HTTP 408")),
            (410, Attempt::Gone),
            (429, later("HTTP 429")),
            (500, later("HTTP 500")),
            (503, later("HTTP 503")),
        ] {
            assert_eq!(attempt(DestinationKind::Webhook, status, "{\"code\":1}"), expected, "{status}");
        }
    }

    #[test]
    fn a_code_in_the_body_decides_where_the_status_is_always_200() {
        for (kind, body, expected) in [
            (DestinationKind::Feishu, r#"{"code":0,"msg":"success","data":{}}"#, Attempt::Accepted),
            (DestinationKind::Feishu, r#"{"StatusCode":0,"StatusMessage":"success"}"#, Attempt::Accepted),
            (DestinationKind::Feishu, r#"{"code":19021,"msg":"sign match fail"}"#, refused("code 19021")),
            (DestinationKind::Feishu, r#"{"code":11232,"msg":"frequency limited"}"#, later("code 11232")),
            (DestinationKind::WeCom, r#"{"errcode":0,"errmsg":"ok"}"#, Attempt::Accepted),
            (DestinationKind::WeCom, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, refused("code 93000")),
            (DestinationKind::WeCom, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#, later("code 45009")),
            (DestinationKind::WeCom, "not JSON", Attempt::Accepted),
        ] {
            assert_eq!(attempt(kind, 200, body), expected, "{body}");
        }
        let limited = r#"{"code":99991400,"msg":"request trigger frequency limit"}"#;
        assert_eq!(attempt(DestinationKind::Feishu, 400, limited), later("code 99991400"));
        assert_eq!(attempt(DestinationKind::Feishu, 500, r#"{"code":19021}"#), later("HTTP 500"));
    }

    #[test]
    fn silence_asks_for_another_attempt() {
        for (reply, reason) in [(Reply::TimedOut, "timed out"), (Reply::Unreachable, "unreachable")] {
            let expected = Attempt::Later { after: None, reason: reason.to_owned() };
            assert_eq!(Attempt::of(DestinationKind::Slack, &reply), expected);
        }
    }
}
