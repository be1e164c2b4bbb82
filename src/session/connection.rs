//! The connection of a session: how it begins, is lost, and is taken up again.

use crate::config::Millis;
use crate::error::Error;
use crate::session::replay::ReplayGap;
use crate::session::{
    ActiveRequest, ClientOrigin, CloseCode, Session, SessionAction, SessionOwner, UpgradeParams, frame,
};

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Which of the session's connections it is.
    pub number: u64,
    /// Each request has a name.
    pub named: bool,
    /// The client has been told the session's id: it knows of numbers.
    pub greeted: bool,
    /// The most that may be on its way without having been acknowledged, in bytes; none if the client acknowledges nothing.
    pub window: Option<usize>,
    /// When it was last heard of.
    pub heard: Millis,
    /// It has shown a good key.
    pub trusted: bool,
    /// Wrong keys that it has shown.
    pub wrong_keys: u32,
}

/// A connection is refused.
#[derive(Debug)]
pub struct ConnectionRefusal {
    /// The words.
    pub error: Error,
    /// What it is closed with.
    pub code: CloseCode,
}

impl ConnectionRefusal {
    /// There is no such session.
    pub fn unknown() -> Self {
        let message = "There is no such session, or no longer. Open a new one.";
        Self { error: Error::caller(404, "unknown_session", message).at("session"), code: CloseCode::Unknown }
    }

    /// A key is not good, or its account cannot be reached.
    pub fn of_key(error: Error) -> Self {
        let code = if error.status() == 401 { CloseCode::Key } else { CloseCode::Later };
        Self { error, code }
    }

    /// No session can be opened now, or more was sent to it than it can take.
    pub fn later(message: &str) -> Self {
        Self { error: Error::gateway(503, "session_unavailable", message), code: CloseCode::Later }
    }

    /// The gateway holds as much in memory as it may.
    pub fn full() -> Self {
        let message = "This gateway holds as much in memory as it may. Connect again in a moment.";
        Self { error: Error::gateway(503, "gateway_overloaded", message), code: CloseCode::Later }
    }

    /// The key is not the one of the session that is to go on, or there is none.
    pub fn of_another() -> Self {
        let error = Error::caller(401, "invalid_api_key", "This is not the key of that session.");
        Self { error, code: CloseCode::Key }
    }

    /// The frame that tells it.
    pub fn frame(&self, entry: &UpgradeParams) -> String {
        complaint(&self.error, entry.named)
    }
}

/// An error that belongs to no request.
pub(super) fn complaint(error: &Error, named: bool) -> String {
    let (status, json) = (error.status(), frame::error(error));
    if named {
        format!("{{\"type\":\"error\",\"status\":{status},\"error\":{json}}}")
    } else {
        format!("{{\"error\":{json}}}")
    }
}

impl Session {
    /// The number of the connection, if there is one.
    pub fn linked(&self) -> Option<u64> {
        self.link.as_ref().map(|link| link.number)
    }

    /// The first connection.
    pub fn connect(&mut self, entry: &UpgradeParams, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        self.link(entry, now);
        if entry.named {
            self.greet(false, &mut out);
        }
        out
    }

    fn link(&mut self, entry: &UpgradeParams, now: Millis) {
        self.links += 1;
        self.link = Some(Connection {
            number: self.links,
            named: entry.named,
            greeted: false,
            window: entry.window.map(|window| window.min(self.rules.buffer)),
            heard: now,
            trusted: false,
            wrong_keys: 0,
        });
    }

    /// A connection that takes up the session after this frame. An older one that may still be there has been displaced.
    ///
    /// # Errors
    /// If that cannot be: the session is as it was.
    pub fn resume(
        &mut self,
        entry: &UpgradeParams,
        after: u64,
        owner: Option<&SessionOwner>,
        place: ClientOrigin,
        now: Millis,
    ) -> Result<Vec<SessionAction>, ConnectionRefusal> {
        if self.owner.is_none() || self.owner.as_ref() != owner {
            return Err(ConnectionRefusal::of_another());
        }
        let missed = self.replay.after(after).map_err(|gap| {
            let message = match gap {
                ReplayGap::Lost => "Not all frames after this number are kept any more. Open a new session.",
                ReplayGap::Ahead => "No frame with this number has been sent yet.",
            };
            ConnectionRefusal { error: Error::caller(410, "frames_lost", message).at("after"), code: CloseCode::Gap }
        })?;
        let mut out = Vec::new();
        self.drop_plain(&mut out);
        (self.held, self.place) = (None, place);
        self.replay.ack(after);
        self.link(entry, now);
        self.greet(true, &mut out);
        out.extend(missed.into_iter().map(SessionAction::Send));
        Ok(out)
    }

    /// Tells the client the session's id, once.
    pub(super) fn greet(&mut self, resumed: bool, out: &mut Vec<SessionAction>) {
        let Some(link) = self.link.as_mut().filter(|link| !link.greeted) else { return };
        link.greeted = true;
        let (id, seconds) = (&self.id, self.rules.resume / 1000);
        let text =
            format!("{{\"type\":\"session\",\"id\":\"{id}\",\"resume_seconds\":{seconds},\"resumed\":{resumed}}}");
        self.send(&text, out);
    }

    /// A connection has ended; `orderly`: the client said so.
    pub fn lost(&mut self, number: u64, orderly: bool, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(link) = self.link.take_if(|link| link.number == number) else { return out };
        self.held = None;
        self.lost = now;
        self.drop_plain(&mut out);
        if orderly || !link.greeted || self.owner.is_none() {
            self.end(&mut out);
        } else {
            out.push(SessionAction::Keep);
        }
        out
    }

    /// Closes the connection for good.
    pub(super) fn close(&mut self, code: CloseCode, now: Millis, out: &mut Vec<SessionAction>) {
        if self.link.take().is_some() {
            out.push(SessionAction::Close(code));
            self.lost = now;
            self.end(out);
        }
    }

    /// Requests without names end with their connection.
    fn drop_plain(&mut self, out: &mut Vec<SessionAction>) {
        self.queue.clear();
        let (plain, named) = std::mem::take(&mut self.asks).into_iter().partition(|ask| ask.id.is_none());
        self.asks = named;
        let plain: Vec<ActiveRequest> = plain;
        out.extend(plain.into_iter().map(|ask| SessionAction::Cancel(ask.number)));
    }

    fn end(&mut self, out: &mut Vec<SessionAction>) {
        self.queue.clear();
        self.held = None;
        out.extend(std::mem::take(&mut self.asks).into_iter().map(|ask| SessionAction::Cancel(ask.number)));
        out.push(SessionAction::Forget);
    }

    /// When [`Session::tick`] is due.
    pub fn due(&self) -> Millis {
        match &self.link {
            Some(link) => link.heard.saturating_add(self.rules.idle),
            None => self.lost.saturating_add(self.rules.resume),
        }
    }

    /// What the time means now. `pinged`: when the client last sent a ping that woke nobody.
    pub fn tick(&mut self, now: Millis, pinged: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        if let Some(link) = &mut self.link {
            link.heard = link.heard.max(if self.asks.is_empty() { pinged } else { now });
        }
        if now < self.due() {
            return out;
        }
        if self.link.is_some() {
            let message = "Nothing has happened on this connection for long.";
            self.send_error(None, &Error::caller(408, "idle", message), &mut out);
            self.close(CloseCode::Idle, now, &mut out);
        } else {
            self.end(&mut out);
        }
        out
    }
}
