//! A connection on which the client has not shown a good API key yet. It has no session, and its object is
//! not called.

use super::client_frame::{self, Chat, ClientFrame, ClientRequestId};
use super::close_code::CloseCode;
use super::limits::MAX_WRONG_KEYS;
use super::refusal::ConnectionRefusal;
use super::scan::{MessageScan, ScanError};
use super::server_frame::{self, DONE, PONG};
use super::upgrade_params::UpgradeParams;
use crate::config::{Config, Millis};
use crate::error::Error;

/// The limits of connections without a key.
#[derive(Clone, Copy, Debug)]
pub struct PendingLimits {
    /// A good key has to arrive within this time.
    pub time: Millis,
    /// The longest message, in bytes.
    pub message: usize,
}

impl PendingLimits {
    /// From the configuration.
    pub fn of(config: &Config) -> Self {
        Self { time: config.websocket.key, message: config.max_body_bytes }
    }
}

/// The message of a client that is going to acknowledge frames, in its shortest form. The session is
/// sent this form.
const FIRST_ACK: &str = r#"{"type":"ack","seq":0}"#;

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingAction {
    /// Send a frame.
    Send(String),
    /// Close the connection.
    Close(CloseCode),
    /// Authenticate this key, and report a wrong one to [`PendingSession::rejected`]. Messages wait until
    /// then.
    Authenticate(String),
    /// Keep this message for the session.
    Forward(&'static str),
}

/// A connection without a key.
pub struct PendingSession {
    limits: PendingLimits,
    /// Requests carry ids.
    with_ids: bool,
    /// The client has used ids, and so knows frames with a `type`.
    knows_types: bool,
    wrong_keys: u32,
    /// Bytes of messages that may yet be scanned.
    scannable: usize,
    /// An acknowledgement is kept for the session.
    has_ack: bool,
    authenticating: Option<KeySource>,
    /// The size of the message whose key is being authenticated, in UTF-16 units.
    authenticated_units: usize,
    /// The size of the messages that wait behind it.
    waiting_units: usize,
}

/// What a message takes besides its characters, about, in UTF-16 units.
const MESSAGE_OVERHEAD: usize = 64;

/// The message that brought the key which is being authenticated.
enum KeySource {
    Auth,
    Chat(Option<ClientRequestId>),
}

impl PendingSession {
    /// A new connection.
    pub fn new(limits: PendingLimits, params: &UpgradeParams) -> Self {
        Self {
            limits,
            with_ids: params.with_ids,
            knows_types: params.with_ids,
            wrong_keys: 0,
            scannable: limits.message.saturating_mul(2),
            has_ack: false,
            authenticating: None,
            authenticated_units: 0,
            waiting_units: 0,
        }
    }

    /// A scan for the next message.
    pub fn scan(&self) -> MessageScan {
        MessageScan::new(self.limits.message.min(self.scannable))
    }

    /// A message of this many bytes has been scanned.
    pub fn receive(&mut self, scan: MessageScan, bytes: usize) -> Vec<PendingAction> {
        self.scannable = self.scannable.saturating_sub(bytes);
        match scan.finish() {
            Err(ScanError::TooLong) => {
                let limit = self.limits.message;
                let message = format!(
                    "The message is longer than the limit of {limit} bytes, or all messages before a good API key are longer than twice that."
                );
                self.end(&Error::caller(413, "message_too_large", message), CloseCode::TooBig)
            }
            Err(ScanError::NotAnObject) => vec![self.connection_error(&not_an_object())],
            Ok(outline) => self.handle_outline(&outline),
        }
    }

    fn handle_outline(&mut self, outline: &str) -> Vec<PendingAction> {
        let read = client_frame::read(outline, |frame| self.handle(frame));
        read.unwrap_or_else(|rejected| match rejected.error.code() {
            // The client did not write the outline: a position in it would mean nothing to it.
            Some("invalid_json") => vec![self.connection_error(&not_an_object())],
            _ if rejected.error.status() == 401 => self.refuse_request(rejected.id.as_ref(), &rejected.error),
            _ => vec![self.request_error(rejected.id.as_ref(), &rejected.error)],
        })
    }

    fn handle(&mut self, frame: ClientFrame<'_>) -> Vec<PendingAction> {
        match frame {
            ClientFrame::Chat { id: None, .. } if self.with_ids => {
                vec![self.connection_error(&client_frame::id_missing())]
            }
            ClientFrame::Chat { id, chat: Chat { key: Some(key), .. } } => self.authenticate(KeySource::Chat(id), key),
            ClientFrame::Chat { id, chat: Chat { key: None, .. } } => {
                self.refuse_request(id.as_ref(), &Error::key_missing())
            }
            ClientFrame::Auth(key) => self.authenticate(KeySource::Auth, key),
            ClientFrame::Ping => vec![PendingAction::Send(PONG.to_owned())],
            // Tells that the client is going to acknowledge frames.
            ClientFrame::Ack(0) if self.has_ack => Vec::new(),
            ClientFrame::Ack(0) => {
                self.has_ack = true;
                vec![PendingAction::Forward(FIRST_ACK)]
            }
            ClientFrame::Ack(_) => vec![self.connection_error(&client_frame::ack_ahead())],
            ClientFrame::Cancel(id) => vec![self.connection_error(&client_frame::unknown_id(&id))],
        }
    }

    fn authenticate(&mut self, source: KeySource, key: String) -> Vec<PendingAction> {
        self.authenticating = Some(source);
        vec![PendingAction::Authenticate(key)]
    }

    /// The key of [`PendingAction::Authenticate`] is not good, or its account cannot be reached.
    pub fn rejected(&mut self, error: &Error) -> Vec<PendingAction> {
        match self.authenticating.take() {
            Some(KeySource::Chat(id)) => self.refuse_request(id.as_ref(), error),
            _ if error.status() == 401 => self.end(error, CloseCode::WrongKey),
            _ => vec![self.connection_error(error)],
        }
    }

    /// Refuses a request with a wrong key, or without one.
    fn refuse_request(&mut self, id: Option<&ClientRequestId>, error: &Error) -> Vec<PendingAction> {
        let mut out = vec![self.request_error(id, error)];
        if id.is_none() {
            out.push(PendingAction::Send(DONE.to_owned()));
        }
        if error.status() == 401 {
            self.wrong_keys += 1;
            if self.wrong_keys >= MAX_WRONG_KEYS {
                out.push(PendingAction::Close(CloseCode::WrongKey));
            }
        }
        out
    }

    /// A binary message has arrived.
    pub fn receive_binary(&self) -> Vec<PendingAction> {
        self.end(&client_frame::binary(), CloseCode::Binary)
    }

    /// No good key has arrived in time.
    pub fn expire(&self) -> Vec<PendingAction> {
        let seconds = self.limits.time.div_ceil(1000);
        let message = format!("No valid API key arrived within {seconds} seconds. Connect again, and send one.");
        self.end(&Error::caller(408, "key_timeout", message), CloseCode::KeyTimeout)
    }

    /// A message with a key is being authenticated, and these messages wait behind it. Sizes are in UTF-16
    /// units.
    pub fn start_waiting(&mut self, authenticated: usize, waiting: impl Iterator<Item = usize>) {
        self.authenticated_units = authenticated + MESSAGE_OVERHEAD;
        self.waiting_units = waiting.map(|units| units + MESSAGE_OVERHEAD).sum();
    }

    /// Another message of this many UTF-16 units is to wait.
    ///
    /// # Errors
    /// Too many messages wait already: this one is dropped, and the actions report that.
    pub fn wait(&mut self, units: usize) -> Result<(), Vec<PendingAction>> {
        let waiting = self.waiting_units + units + MESSAGE_OVERHEAD;
        let limit = self.limits.message;
        if waiting > limit {
            let message =
                format!("While an API key is checked, up to {limit} bytes of messages wait. Send this message again.");
            return Err(vec![self.connection_error(&Error::caller(429, "too_many_requests", message))]);
        }
        self.waiting_units = waiting;
        Ok(())
    }

    /// The size of the message that is being authenticated and of those that wait, in UTF-16 units.
    pub fn waiting_units(&self) -> usize {
        self.authenticated_units.saturating_add(self.waiting_units)
    }

    /// Refuses a client that sent more than its session takes. `queued`: bytes that were forwarded to the
    /// session and are still queued.
    pub fn check_forwarded(&self, queued: usize) -> Option<ConnectionRefusal> {
        let message = "The client sent more than its session can take. Connect again, and send less at once.";
        (queued > self.limits.message.saturating_mul(2)).then(|| ConnectionRefusal::later(message))
    }

    /// Refuses the connection.
    pub fn refuse(&self, refusal: &ConnectionRefusal) -> Vec<PendingAction> {
        self.end(&refusal.error, refusal.code)
    }

    fn end(&self, error: &Error, code: CloseCode) -> Vec<PendingAction> {
        vec![self.connection_error(error), PendingAction::Close(code)]
    }

    /// An error of a request. Its frame has no number, because there is no session yet.
    fn request_error(&mut self, id: Option<&ClientRequestId>, error: &Error) -> PendingAction {
        let Some(ClientRequestId(id)) = id else { return self.connection_error(error) };
        self.knows_types = true;
        let (status, json) = (error.status(), server_frame::error(error));
        PendingAction::Send(format!("{{\"id\":{id},\"type\":\"error\",\"status\":{status},\"error\":{json}}}"))
    }

    /// An error that belongs to no request.
    fn connection_error(&self, error: &Error) -> PendingAction {
        PendingAction::Send(server_frame::connection_error(error, self.knows_types))
    }
}

fn not_an_object() -> Error {
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

    fn receive(pending: &mut PendingSession, text: &str) -> Vec<PendingAction> {
        let mut scan = pending.scan();
        scan.push(text);
        pending.receive(scan, text.len())
    }

    /// The actions in short; a frame as its id, status and code.
    fn brief(actions: &[PendingAction]) -> Vec<String> {
        let word = |action: &PendingAction| match action {
            PendingAction::Send(text) => match serde_json::from_str::<Value>(text) {
                Ok(frame) => format!("{} {} {}", frame["id"], frame["status"], frame["error"]["code"]).replace('"', ""),
                Err(_) => text.trim().to_owned(),
            },
            other => format!("{other:?}"),
        };
        actions.iter().map(word).collect()
    }

    fn wrong() -> Error {
        Error::caller(401, "invalid_api_key", "no")
    }

    #[test]
    fn a_key_is_authenticated_in_any_message() {
        for text in [
            r#"{"type":"auth","api_key":"Bearer k"}"#,
            r#"{"type":"chat","payload":{"api_key":"no"},"api_key":"\u006b"}"#,
            r#"{"type":"chat","id":7,"payload":{},"api_key":"k"}"#,
        ] {
            assert_eq!(receive(&mut pending(""), text), [PendingAction::Authenticate("k".to_owned())]);
        }
    }

    #[test]
    fn five_wrong_keys_close_the_connection_and_one_in_auth_does() {
        let mut plain = pending("");
        for n in 1..=5 {
            assert_eq!(receive(&mut plain, r#"{"type":"chat","payload":{},"api_key":"k"}"#).len(), 1);
            let actions = brief(&plain.rejected(&wrong()));
            let expected = ["null null invalid_api_key", "data: [DONE]", "Close(WrongKey)"];
            assert_eq!(actions, expected[..if n < 5 { 2 } else { 3 }]);
            plain.scannable = 400;
        }
        let mut named = pending("llm-bridge.v1");
        receive(&mut named, r#"{"type":"auth","api_key":"k"}"#);
        assert_eq!(brief(&named.rejected(&wrong())), ["null 401 invalid_api_key", "Close(WrongKey)"]);
        receive(&mut named, r#"{"type":"auth","api_key":"k"}"#);
        assert_eq!(
            brief(&named.rejected(&Error::gateway(503, "accounts_unavailable", "?"))),
            ["null 503 accounts_unavailable"]
        );
        let mut missing = pending("");
        for _ in 0..4 {
            assert_eq!(
                brief(&receive(&mut missing, r#"{"type":"chat","id":"a","payload":{}}"#)),
                ["a 401 invalid_api_key"]
            );
        }
        let text = "{\"type\":\"chat\",\"id\":\"a\",\"payload\":{},\"api_key\":\"\u{e9}\"}";
        assert_eq!(brief(&receive(&mut missing, text)), ["a 401 invalid_api_key", "Close(WrongKey)"]);
    }

    #[test]
    fn a_message_without_a_key_is_answered_here() {
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
            (r#"{"type":"ack","seq":0,"pad":"xxx"}"#, r#"Forward("{\"type\":\"ack\",\"seq\":0}")"#),
        ] {
            named.scannable = 400;
            assert_eq!(brief(&receive(&mut named, text)), [word], "{text}");
        }
        assert_eq!(receive(&mut named, r#"{"type":"ack","seq":0}"#), []);
        assert_eq!(brief(&named.receive_binary()), ["null 400 invalid_message", "Close(Binary)"]);
        assert_eq!(brief(&named.expire()), ["null 408 key_timeout", "Close(KeyTimeout)"]);
    }

    #[test]
    fn messages_wait_up_to_the_limit() {
        let mut pending = pending("");
        pending.start_waiting(10, [6].into_iter());
        assert_eq!(pending.waiting_units(), 74 + 70);
        assert_eq!(pending.wait(0), Ok(()));
        assert_eq!(pending.waiting_units(), 74 + 70 + 64);
        let dropped = pending.wait(3).unwrap_err();
        assert_eq!(brief(&dropped), ["null null too_many_requests"]);
        assert_eq!(pending.waiting_units(), 74 + 70 + 64, "the dropped message is not counted");
    }

    #[test]
    fn a_client_that_floods_its_session_is_refused() {
        assert!(pending("").check_forwarded(2 * LIMITS.message).is_none());
        assert!(pending("").check_forwarded(2 * LIMITS.message + 1).is_some());
    }

    #[test]
    fn the_bytes_to_scan_are_bounded() {
        let mut one = pending("");
        let long = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(200));
        assert_eq!(brief(&receive(&mut one, &long)), ["null null message_too_large", "Close(TooBig)"]);
        let mut many = pending("");
        let half = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(150));
        assert_eq!(brief(&receive(&mut many, &half)), ["null null null"]);
        assert_eq!(brief(&receive(&mut many, &half)), ["null null null"]);
        assert_eq!(brief(&receive(&mut many, &half)), ["null null message_too_large", "Close(TooBig)"]);
    }
}
