//! Connecting, resuming, disconnecting, and the end of a session.

use super::action::SessionAction;
use super::active_request::ActiveRequest;
use super::client::{ClientOrigin, SessionOwner};
use super::close_code::CloseCode;
use super::connection::Connection;
use super::limits::SessionLimits;
use super::refusal::ConnectionRefusal;
use super::replay::ReplayGap;
use super::state::Session;
use super::upgrade_params::UpgradeParams;
use crate::config::Millis;
use crate::error::Error;

/// A client that wants to connect to a session.
#[derive(Debug)]
pub struct Client {
    /// What its upgrade request asks for.
    pub params: UpgradeParams,
    /// Who it is, if it showed a good key.
    pub owner: Option<SessionOwner>,
    /// Where it connects from.
    pub origin: ClientOrigin,
}

impl Session {
    /// Connects a client to the session of an object: a new session, or the one that it resumes.
    ///
    /// # Errors
    /// There is no session to resume, or it cannot be resumed.
    pub fn admit(
        session: &mut Option<Self>,
        client: Client,
        limits: SessionLimits,
        id: String,
        now: Millis,
    ) -> Result<Vec<SessionAction>, ConnectionRefusal> {
        match (client.params.resumes.as_ref().map(|(_, after)| *after), session.as_mut()) {
            (Some(after), Some(session)) => session.resume(&client, after, now),
            (None, None) => {
                let new = session.insert(Self::new(limits, id, client.origin, client.owner));
                Ok(new.connect(&client.params, now))
            }
            _ => Err(ConnectionRefusal::unknown()),
        }
    }

    /// The first connection.
    pub fn connect(&mut self, params: &UpgradeParams, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        self.attach(params, now);
        if params.with_ids {
            self.greet(false, &mut out);
        }
        out
    }

    fn attach(&mut self, params: &UpgradeParams, now: Millis) {
        self.connections += 1;
        self.connection = Some(Connection::new(self.connections, params, &self.limits, now));
    }

    /// A connection that resumes the session after the frame `after`. An older connection that may still
    /// exist is displaced.
    ///
    /// # Errors
    /// The session cannot be resumed; it is unchanged.
    pub fn resume(
        &mut self,
        client: &Client,
        after: u64,
        now: Millis,
    ) -> Result<Vec<SessionAction>, ConnectionRefusal> {
        if self.owner.is_none() || self.owner != client.owner {
            return Err(ConnectionRefusal::of_another());
        }
        let missed = self.replay.after(after).map_err(|gap| {
            ConnectionRefusal::gap(match gap {
                ReplayGap::Lost => "Some frames after this number are no longer held. Open a new session.",
                ReplayGap::Ahead => "No frame with this number has been sent yet.",
            })
        })?;
        let mut out = Vec::new();
        self.cancel_requests_without_id(&mut out);
        self.held = None;
        self.origin = client.origin.clone();
        self.replay.ack(after);
        self.attach(&client.params, now);
        self.greet(true, &mut out);
        self.send_again(missed, &mut out);
        Ok(out)
    }

    /// Sends the session's id to the client, once for each connection.
    pub(super) fn greet(&mut self, resumed: bool, out: &mut Vec<SessionAction>) {
        let Some(connection) = self.connection.as_mut().filter(|connection| !connection.greeted) else { return };
        connection.greeted = true;
        let (id, seconds) = (&self.id, self.limits.resume / 1000);
        let text =
            format!("{{\"type\":\"session\",\"id\":\"{id}\",\"resume_seconds\":{seconds},\"resumed\":{resumed}}}");
        self.send(&text, out);
    }

    /// The connection with this number has ended. `is_final`: the client ended it on purpose, see
    /// [`is_final`](super::is_final).
    pub fn disconnected(&mut self, number: u64, is_final: bool, now: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        let Some(connection) = self.connection.take_if(|connection| connection.number == number) else { return out };
        self.held = None;
        self.disconnected_at = now;
        self.cancel_requests_without_id(&mut out);
        if is_final || !connection.greeted || self.owner.is_none() {
            self.end(&mut out);
        } else {
            out.push(SessionAction::Store);
        }
        out
    }

    /// Closes the connection, and ends the session.
    pub(super) fn close(&mut self, code: CloseCode, now: Millis, out: &mut Vec<SessionAction>) {
        if self.connection.take().is_some() {
            out.push(SessionAction::Close(code));
            self.disconnected_at = now;
            self.end(out);
        }
    }

    /// Requests without an id end with their connection, because their frames have no numbers to resume from.
    fn cancel_requests_without_id(&mut self, out: &mut Vec<SessionAction>) {
        self.queue.clear();
        let requests = std::mem::take(&mut self.requests);
        let (without_id, with_id): (Vec<_>, Vec<_>) = requests.into_iter().partition(|request| request.id.is_none());
        self.requests = with_id;
        out.extend(without_id.iter().map(cancel));
    }

    fn end(&mut self, out: &mut Vec<SessionAction>) {
        self.queue.clear();
        self.held = None;
        out.extend(std::mem::take(&mut self.requests).iter().map(cancel));
        out.push(SessionAction::Delete);
    }

    /// When [`Session::tick`] is due.
    pub fn due(&self) -> Millis {
        match &self.connection {
            Some(connection) => connection.last_seen.saturating_add(self.limits.idle),
            None => self.disconnected_at.saturating_add(self.limits.resume),
        }
    }

    /// Closes an idle connection, and ends a session that was not resumed in time. `last_ping`: when the
    /// runtime last answered a ping of the client by itself.
    pub fn tick(&mut self, now: Millis, last_ping: Millis) -> Vec<SessionAction> {
        let mut out = Vec::new();
        if let Some(connection) = &mut self.connection {
            let seen = if self.requests.is_empty() { last_ping } else { now };
            connection.last_seen = connection.last_seen.max(seen);
        }
        if now < self.due() {
            return out;
        }
        if self.connection.is_some() {
            let message = "The connection was idle for too long. Send a ping now and then to keep it open.";
            self.send_error(None, &Error::caller(408, "idle", message), &mut out);
            self.close(CloseCode::Idle, now, &mut out);
        } else {
            self.end(&mut out);
        }
        out
    }
}

fn cancel(request: &ActiveRequest) -> SessionAction {
    SessionAction::Cancel(request.number)
}
