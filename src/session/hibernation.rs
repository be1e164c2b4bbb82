//! Saving a session before its object sleeps, and restoring it afterwards.

use super::action::SessionAction;
use super::client_frame::ClientRequestId;
use super::close_code::CloseCode;
use super::connection::Connection;
use super::flow_control::FlowControl;
use super::limits::SessionLimits;
use super::replay::ReplayBuffer;
use super::server_frame::{self, DONE};
use super::snapshot::SessionSnapshot;
use super::state::Session;
use crate::error::Error;

/// The id that stands for a request without one.
const NO_ID: &str = "null";

/// A session as it is attached to its connection, found when the object wakes.
#[derive(Debug)]
pub struct AttachedSession {
    /// The snapshot that is attached to the connection.
    pub snapshot: SessionSnapshot,
    /// The connection's frames pass through another isolate.
    pub is_forwarded: bool,
}

/// A session that was stored.
#[derive(Debug)]
pub struct StoredSession {
    /// The session without its frames.
    pub snapshot: SessionSnapshot,
    /// Its frames, as [`Session::frames`] wrote them.
    pub frames: String,
}

impl Session {
    /// The session without its frames.
    pub fn snapshot(&self) -> SessionSnapshot {
        let id = |id: &Option<ClientRequestId>| id.as_ref().map_or_else(|| NO_ID.to_owned(), |id| id.0.clone());
        let connection = self.connection.as_ref();
        let running = self.requests.iter().filter(|request| !request.is_reported);
        SessionSnapshot {
            id: self.id.clone(),
            origin: self.origin.clone(),
            owner: self.owner.clone(),
            last_frame: self.replay.last(),
            running: running.map(|request| id(&request.id)).collect(),
            connections: self.connections,
            with_ids: connection.is_some_and(|connection| connection.with_ids),
            greeted: connection.is_some_and(|connection| connection.greeted),
            window: connection.and_then(|connection| connection.window),
            at: connection.map_or(self.disconnected_at, |connection| connection.last_seen),
        }
    }

    /// The frames that belong to the snapshot, as text.
    pub fn frames(&self) -> String {
        self.replay.write()
    }

    /// The number of the newest frame.
    pub fn last_frame(&self) -> u64 {
        self.replay.last()
    }

    /// Whether frames would be lost if the object slept now and the connection broke.
    pub fn has_frames_to_store(&self) -> bool {
        self.owner.is_some() && self.requests.is_empty() && self.replay.bytes() > 0
    }

    /// Restores a session after its object slept, from its connection if that is still there, else from the
    /// storage. Requests that were in progress have ended.
    pub fn restore(
        limits: SessionLimits,
        attached: Option<AttachedSession>,
        stored: Option<StoredSession>,
    ) -> Option<(Self, Vec<SessionAction>)> {
        let Some(AttachedSession { snapshot, is_forwarded }) = attached else {
            return stored.map(|stored| Self::without_connection(limits, stored));
        };
        // Frames that were stored before later ones were sent leave a gap.
        let frames = stored.filter(|stored| stored.snapshot.last_frame == snapshot.last_frame);
        let frames = frames.map(|stored| stored.frames).unwrap_or_default();
        Some(Self::with_connection(limits, StoredSession { snapshot, frames }, is_forwarded))
    }

    fn of(limits: SessionLimits, stored: StoredSession) -> Self {
        let StoredSession { snapshot, frames } = stored;
        let mut session = Self::new(limits, snapshot.id, snapshot.origin, snapshot.owner);
        session.replay = ReplayBuffer::read(&frames, snapshot.last_frame);
        session.connections = snapshot.connections;
        session.disconnected_at = snapshot.at;
        session
    }

    fn with_connection(
        limits: SessionLimits,
        mut stored: StoredSession,
        is_forwarded: bool,
    ) -> (Self, Vec<SessionAction>) {
        let running = std::mem::take(&mut stored.snapshot.running);
        let connection = Connection {
            number: stored.snapshot.connections,
            with_ids: stored.snapshot.with_ids,
            greeted: stored.snapshot.greeted,
            window: stored.snapshot.window,
            last_seen: stored.snapshot.at,
            trusted: true,
            wrong_keys: 0,
            forwarded: is_forwarded.then(FlowControl::default),
        };
        let mut session = Self::of(limits, stored);
        session.connection = Some(connection);
        let mut out = Vec::new();
        if !running.is_empty() {
            session.interrupt(&running, &mut out);
        }
        (session, out)
    }

    fn without_connection(limits: SessionLimits, mut stored: StoredSession) -> (Self, Vec<SessionAction>) {
        let running = std::mem::take(&mut stored.snapshot.running);
        let mut session = Self::of(limits, stored);
        let mut out = Vec::new();
        let json = server_frame::error(&interrupted());
        for id in running.into_iter().filter(|id| id != NO_ID) {
            session.send_numbered(&ClientRequestId(id), "error", &format!(",\"error\":{json}"), &mut out);
        }
        (session, out)
    }

    /// Ends requests whose newest frame numbers are lost, and the session with them. Their last frames have
    /// no number.
    fn interrupt(&mut self, running: &[String], out: &mut Vec<SessionAction>) {
        let json = server_frame::error(&interrupted());
        for id in running {
            if id == NO_ID {
                self.send(&server_frame::bare_error(&json), out);
                self.send(DONE, out);
            } else {
                self.send(&format!("{{\"id\":{id},\"type\":\"error\",\"error\":{json}}}"), out);
            }
        }
        self.close(CloseCode::Interrupted, self.disconnected_at, out);
    }
}

fn interrupted() -> Error {
    let message = "The gateway was restarted before the response was complete. Send the request again.";
    Error::upstream(502, "session_interrupted", message)
}
