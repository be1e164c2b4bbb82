//! A connection on which nobody has shown a good key yet. Told what comes, it says what is to be done; it knows no keys, and has no session.

use super::connection::complaint;
use super::frame::{self, ClientFrame, ClientRequestId, DONE, PONG};
use super::scan::{MessageScan, ScanError};
use super::{CloseCode, ConnectionRefusal, UpgradeParams, WRONG_KEYS};
use crate::config::{Config, Millis};
use crate::error::Error;

/// What the operator allows connections without a key.
#[derive(Clone, Copy, Debug)]
pub struct PendingLimits {
    /// The time in which a good key has to come.
    pub time: Millis,
    /// The longest message, in bytes.
    pub message: usize,
}

impl PendingLimits {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        Self { time: config.websocket.key, message: config.max_body_bytes }
    }
}

/// The message of a client that is going to acknowledge what it gets. However long its own was, this is kept of it.
const ACKNOWLEDGES: &str = r#"{"type":"ack","seq":0}"#;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingAction {
    /// A frame is sent.
    Send(String),
    /// The connection is closed.
    Close(CloseCode),
    /// It is found out whether this key is good, for [`PendingSession::rejected`]; meanwhile no message is heard.
    Check(String),
    /// This message, in its shortest form, is for the session, once there is one.
    Keep(&'static str),
}

/// A connection without a key.
pub struct PendingSession {
    limits: PendingLimits,
    /// Each request has a name.
    named: bool,
    /// The client has used names: it knows the frames of that language.
    knows_names: bool,
    wrong_keys: u32,
    /// Bytes of messages that may yet be looked through.
    room: usize,
    /// A message for the session is kept already.
    kept: bool,
    asked: Option<Asked>,
}

/// What the key came with that is being checked.
enum Asked {
    Auth,
    Chat(Option<ClientRequestId>),
}

impl PendingSession {
    /// A new connection.
    pub fn new(limits: PendingLimits, entry: &UpgradeParams) -> Self {
        Self {
            limits,
            named: entry.named,
            knows_names: entry.named,
            wrong_keys: 0,
            room: limits.message.saturating_mul(2),
            kept: false,
            asked: None,
        }
    }

    /// For a message that has come.
    pub fn scan(&self) -> MessageScan {
        MessageScan::new(self.limits.message.min(self.room))
    }

    /// A message of so many bytes has been looked through.
    pub fn receive(&mut self, scan: MessageScan, bytes: usize) -> Vec<PendingAction> {
        self.room = self.room.saturating_sub(bytes);
        match scan.finish() {
            Err(ScanError::TooLong) => {
                let limit = self.limits.message;
                let message = format!(
                    "The message is longer than this gateway takes ({limit} bytes), or all messages before a good key are longer than two such."
                );
                self.end(&Error::caller(413, "message_too_large", message), CloseCode::TooBig)
            }
            Err(ScanError::NoObject) => vec![self.error_frame(&no_object())],
            Ok(outline) => self.handle_outline(&outline),
        }
    }

    fn handle_outline(&mut self, outline: &str) -> Vec<PendingAction> {
        let read = frame::read(outline, |frame| match frame {
            ClientFrame::Chat { id: None, .. } if self.named => {
                let message = "`id` is missing: on this connection each request has a name.";
                vec![self.error_frame(&Error::caller(400, "invalid_message", message).at("id"))]
            }
            ClientFrame::Chat { id, key: Some(key), .. } => self.check(Asked::Chat(id), key),
            ClientFrame::Chat { id, key: None, .. } => self.refuse(id.as_ref(), &Error::key_missing()),
            ClientFrame::Auth(key) => self.check(Asked::Auth, key),
            ClientFrame::Ping => vec![PendingAction::Send(PONG.to_owned())],
            // It says that the client is going to acknowledge what it gets.
            ClientFrame::Ack(0) if self.kept => Vec::new(),
            ClientFrame::Ack(0) => {
                self.kept = true;
                vec![PendingAction::Keep(ACKNOWLEDGES)]
            }
            ClientFrame::Ack(_) => {
                let error = Error::caller(400, "invalid_message", "No frame with this number has been sent yet.");
                vec![self.error_frame(&error.at("seq"))]
            }
            ClientFrame::Cancel(id) => {
                let message = format!("No request with the id {} is under way.", id.0);
                vec![self.error_frame(&Error::caller(404, "unknown_id", message).at("id"))]
            }
        });
        read.unwrap_or_else(|fault| match fault.error.code() {
            // The outline is none of the client's words: where the fault lies in it says nothing.
            Some("invalid_json") => vec![self.error_frame(&no_object())],
            _ if fault.error.status() == 401 => self.refuse(fault.id.as_ref(), &fault.error),
            _ => vec![self.error_action(fault.id.as_ref(), &fault.error)],
        })
    }

    fn check(&mut self, asked: Asked, key: String) -> Vec<PendingAction> {
        self.asked = Some(asked);
        vec![PendingAction::Check(key)]
    }

    /// The key that was checked is not good, or that could not be found out.
    pub fn rejected(&mut self, error: &Error) -> Vec<PendingAction> {
        match self.asked.take() {
            Some(Asked::Chat(id)) => self.refuse(id.as_ref(), error),
            _ if error.status() == 401 => self.end(error, CloseCode::Key),
            _ => vec![self.error_frame(error)],
        }
    }

    /// A request is refused: its key is wrong, or it has none.
    fn refuse(&mut self, id: Option<&ClientRequestId>, error: &Error) -> Vec<PendingAction> {
        let mut steps = vec![self.error_action(id, error)];
        if id.is_none() {
            steps.push(PendingAction::Send(DONE.to_owned()));
        }
        if error.status() == 401 {
            self.wrong_keys += 1;
            if self.wrong_keys >= WRONG_KEYS {
                steps.push(PendingAction::Close(CloseCode::Key));
            }
        }
        steps
    }

    /// A frame of bytes has come.
    pub fn receive_bytes(&self) -> Vec<PendingAction> {
        self.end(&frame::bytes(), CloseCode::Binary)
    }

    /// No good key has come in time.
    pub fn expire(&self) -> Vec<PendingAction> {
        let seconds = self.limits.time.div_ceil(1000);
        let message = format!("No good key has come within {seconds} seconds. Connect again, with a key.");
        self.end(&Error::caller(408, "key_timeout", message), CloseCode::KeyTimeout)
    }

    /// More has come than may wait while a key is checked: a message is lost.
    pub fn crowded(&self) -> Vec<PendingAction> {
        let limit = self.limits.message;
        let message =
            format!("While a key is checked, at most {limit} bytes of further messages wait. Send this one again.");
        vec![self.error_frame(&Error::caller(429, "too_many_requests", message))]
    }

    /// The connection cannot be served.
    pub fn refused(&self, refusal: &ConnectionRefusal) -> Vec<PendingAction> {
        self.end(&refusal.error, refusal.code)
    }

    fn end(&self, error: &Error, code: CloseCode) -> Vec<PendingAction> {
        vec![self.error_frame(error), PendingAction::Close(code)]
    }

    /// An error that belongs to a request, if it has a name. There is no session yet that could number it.
    fn error_action(&mut self, id: Option<&ClientRequestId>, error: &Error) -> PendingAction {
        let Some(ClientRequestId(id)) = id else { return self.error_frame(error) };
        self.knows_names = true;
        let (status, json) = (error.status(), frame::error(error));
        PendingAction::Send(format!("{{\"id\":{id},\"type\":\"error\",\"status\":{status},\"error\":{json}}}"))
    }

    /// An error that belongs to no request.
    fn error_frame(&self, error: &Error) -> PendingAction {
        PendingAction::Send(complaint(error, self.knows_names))
    }
}

fn no_object() -> Error {
    Error::caller(400, "invalid_json", "The message is not a JSON object.")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const LIMITS: PendingLimits = PendingLimits { time: 60_000, message: 200 };

    fn pending(protocol: &str) -> PendingSession {
        PendingSession::new(LIMITS, &UpgradeParams::read("", protocol).unwrap())
    }

    fn hear(pending: &mut PendingSession, text: &str) -> Vec<PendingAction> {
        let mut scan = pending.scan();
        scan.push(text);
        pending.receive(scan, text.len())
    }

    /// What is sent, in short, and what else is done.
    fn brief(steps: &[PendingAction]) -> Vec<String> {
        let word = |step: &PendingAction| match step {
            PendingAction::Send(text) => match serde_json::from_str::<Value>(text) {
                Ok(frame) => format!("{} {} {}", frame["id"], frame["status"], frame["error"]["code"]).replace('"', ""),
                Err(_) => text.trim().to_owned(),
            },
            other => format!("{other:?}"),
        };
        steps.iter().map(word).collect()
    }

    fn wrong() -> Error {
        Error::caller(401, "invalid_api_key", "no")
    }

    #[test]
    fn a_key_is_checked_wherever_it_comes() {
        for text in [
            r#"{"type":"auth","api_key":"Bearer k"}"#,
            r#"{"type":"chat","payload":{"api_key":"no"},"api_key":"\u006b"}"#,
            r#"{"type":"chat","id":7,"payload":{},"api_key":"k"}"#,
        ] {
            assert_eq!(hear(&mut pending(""), text), [PendingAction::Check("k".to_owned())]);
        }
    }

    #[test]
    fn five_wrong_keys_are_the_end_and_one_in_auth() {
        let mut plain = pending("");
        for n in 1..=5 {
            assert_eq!(hear(&mut plain, r#"{"type":"chat","payload":{},"api_key":"k"}"#).len(), 1);
            let steps = brief(&plain.rejected(&wrong()));
            let expected = ["null null invalid_api_key", "data: [DONE]", "Close(Key)"];
            assert_eq!(steps, expected[..if n < 5 { 2 } else { 3 }]);
            plain.room = 400;
        }
        let mut named = pending("llm-bridge.v1");
        hear(&mut named, r#"{"type":"auth","api_key":"k"}"#);
        assert_eq!(brief(&named.rejected(&wrong())), ["null 401 invalid_api_key", "Close(Key)"]);
        hear(&mut named, r#"{"type":"auth","api_key":"k"}"#);
        assert_eq!(
            brief(&named.rejected(&Error::gateway(503, "accounts_unavailable", "?"))),
            ["null 503 accounts_unavailable"]
        );
        let mut missing = pending("");
        for _ in 0..4 {
            assert_eq!(
                brief(&hear(&mut missing, r#"{"type":"chat","id":"a","payload":{}}"#)),
                ["a 401 invalid_api_key"]
            );
        }
        let text = "{\"type\":\"chat\",\"id\":\"a\",\"payload\":{},\"api_key\":\"\u{e9}\"}";
        assert_eq!(brief(&hear(&mut missing, text)), ["a 401 invalid_api_key", "Close(Key)"]);
    }

    #[test]
    fn what_brings_no_key_is_answered_and_goes_no_further() {
        let mut named = pending("llm-bridge.v1");
        for (text, word) in [
            (r#"{"type":"ping"}"#, "null null null"),
            (r#"{"type":"cancel","id":1}"#, "null 404 unknown_id"),
            (r#"{"type":"ack","seq":1}"#, "null 400 invalid_message"),
            (r#"{"type":"sing"}"#, "null 400 unknown_type"),
            (r#"{"type":"auth","api_key":"a","api_key":"b"}"#, "null 400 invalid_message"),
            (r#"{"type":"chat","payload":{},"api_key":"k"}"#, "null 400 invalid_message"),
            (r#"{"type":"chat","id":2,"payload":3,"api_key":"k"}"#, "2 400 invalid_message"),
            ("[1]", "null 400 invalid_json"),
            (r#"{"type":tru}"#, "null 400 invalid_json"),
            (r#"{"type":"ack","seq":0,"pad":"xxx"}"#, r#"Keep("{\"type\":\"ack\",\"seq\":0}")"#),
        ] {
            named.room = 400;
            assert_eq!(brief(&hear(&mut named, text)), [word], "{text}");
        }
        assert_eq!(hear(&mut named, r#"{"type":"ack","seq":0}"#), []);
        assert_eq!(brief(&named.receive_bytes()), ["null 400 invalid_message", "Close(Binary)"]);
        assert_eq!(brief(&named.expire()), ["null 408 key_timeout", "Close(KeyTimeout)"]);
    }

    #[test]
    fn work_is_bounded() {
        let mut one = pending("");
        let long = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(200));
        assert_eq!(brief(&hear(&mut one, &long)), ["null null message_too_large", "Close(TooBig)"]);
        let mut many = pending("");
        let half = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(150));
        assert_eq!(brief(&hear(&mut many, &half)), ["null null null"]);
        assert_eq!(brief(&hear(&mut many, &half)), ["null null null"]);
        assert_eq!(brief(&hear(&mut many, &half)), ["null null message_too_large", "Close(TooBig)"]);
    }
}
