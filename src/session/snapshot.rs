//! What of a session outlives its object: little enough to be tied to a connection, or written down without one.

use crate::config::Millis;
use crate::error::Error;
use crate::session::connection::{Connection, complaint};
use crate::session::frame::{ClientRequestId, DONE};
use crate::session::replay::ReplayBuffer;
use crate::session::{CloseCode, Session, SessionAction, SessionLimits, frame};

/// Who showed a key; never the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOwner {
    /// The id of the key.
    pub key_id: String,
    /// The SHA-256 of a key that was made at run time, in hex.
    pub hash: Option<String>,
}

/// Where a client is, as its requests have to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOrigin {
    /// The address that it called: scheme and authority.
    pub origin: String,
    /// Its own address, as far as the platform tells.
    pub ip: Option<String>,
}

/// What is kept of a session, besides its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSnapshot {
    id: String,
    place: ClientOrigin,
    owner: Option<SessionOwner>,
    /// The number of the newest frame.
    last: u64,
    /// The names of the requests under way, as JSON; `null` for one without.
    running: Vec<String>,
    /// Connections so far.
    links: u64,
    named: bool,
    greeted: bool,
    window: Option<usize>,
    /// When the client was last heard of, or lost.
    at: Millis,
}

/// What stands for nothing in a line.
const NOTHING: &str = "-";

impl SessionSnapshot {
    /// The number of the newest frame.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Which of the session's connections was the newest.
    pub fn link(&self) -> u64 {
        self.links
    }

    /// As text: a line for each thing, the names of requests at the end. None of them holds the end of a line.
    pub fn write(&self) -> String {
        let or_nothing = |text: Option<&str>| text.unwrap_or(NOTHING).to_owned();
        let owner = self.owner.as_ref();
        let lines = [
            self.id.clone(),
            self.place.origin.clone(),
            or_nothing(self.place.ip.as_deref()),
            or_nothing(owner.map(|owner| owner.key_id.as_str())),
            or_nothing(owner.and_then(|owner| owner.hash.as_deref())),
            self.last.to_string(),
            self.links.to_string(),
            self.at.to_string(),
            self.named.to_string(),
            self.greeted.to_string(),
            or_nothing(self.window.map(|window| window.to_string()).as_deref()),
        ];
        [lines.as_slice(), self.running.as_slice()].concat().join("\n")
    }

    /// What [`SessionSnapshot::write`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut next = || lines.next().map(str::to_owned);
        let something = |line: String| Some(line).filter(|line| line != NOTHING);
        let (id, origin, ip) = (next()?, next()?, something(next()?));
        let (key_id, hash) = (something(next()?), something(next()?));
        let mut number = || next()?.parse::<u64>().ok();
        let (last, links, at) = (number()?, number()?, number()?);
        let mut flag = || next()?.parse::<bool>().ok();
        let (named, greeted) = (flag()?, flag()?);
        let window = something(next()?).and_then(|window| window.parse().ok());
        let place = ClientOrigin { origin, ip };
        let owner = key_id.map(|key_id| SessionOwner { key_id, hash });
        let running = lines.map(str::to_owned).collect();
        Some(Self { id, place, owner, last, running, links, named, greeted, window, at })
    }
}

/// The name of a request that has none.
const NAMELESS: &str = "null";

impl Session {
    /// What is to be kept.
    pub fn kept(&self) -> SessionSnapshot {
        let name = |id: &Option<ClientRequestId>| id.as_ref().map_or_else(|| NAMELESS.to_owned(), |id| id.0.clone());
        let link = self.link.as_ref();
        SessionSnapshot {
            id: self.id.clone(),
            place: self.place.clone(),
            owner: self.owner.clone(),
            last: self.replay.last(),
            running: self.asks.iter().filter(|ask| !ask.told).map(|ask| name(&ask.id)).collect(),
            links: self.links,
            named: link.is_some_and(|link| link.named),
            greeted: link.is_some_and(|link| link.greeted),
            window: link.and_then(|link| link.window),
            at: link.map_or(self.lost, |link| link.heard),
        }
    }

    /// The frames that have to be kept with it, as text.
    pub fn frames(&self) -> String {
        self.replay.write()
    }

    /// Whether frames would be missed if the object slept now and the connection broke.
    pub fn owes(&self) -> bool {
        self.owner.is_some() && self.asks.is_empty() && self.replay.bytes() > 0
    }

    /// The session as it was; `linked`: its newest connection is still there. Requests that were under way are not any more.
    pub fn wake(rules: SessionLimits, kept: SessionSnapshot, frames: &str, linked: bool) -> (Self, Vec<SessionAction>) {
        let mut session = Self::new(rules, kept.id, kept.place, kept.owner);
        session.replay = ReplayBuffer::read(frames, kept.last);
        session.links = kept.links;
        session.lost = kept.at;
        let mut out = Vec::new();
        if linked {
            session.link = Some(Connection {
                number: kept.links,
                named: kept.named,
                greeted: kept.greeted,
                window: kept.window,
                heard: kept.at,
                trusted: true,
                wrong_keys: 0,
            });
            if !kept.running.is_empty() {
                session.break_off(&kept.running, &mut out);
            }
            return (session, out);
        }
        for id in kept.running.into_iter().filter(|id| id != NAMELESS) {
            let json = frame::error(&interrupted());
            session.send_numbered(&ClientRequestId(id), "error", &format!(",\"error\":{json}"), &mut out);
        }
        (session, out)
    }

    /// Nobody knows which numbers the newest frames had: the requests end without one, and the session with them.
    fn break_off(&mut self, running: &[String], out: &mut Vec<SessionAction>) {
        let json = frame::error(&interrupted());
        for id in running {
            if id == NAMELESS {
                self.send(&complaint(&interrupted(), false), out);
                self.send(DONE, out);
            } else {
                self.send(&format!("{{\"id\":{id},\"type\":\"error\",\"error\":{json}}}"), out);
            }
        }
        self.close(CloseCode::Interrupted, self.lost, out);
    }
}

fn interrupted() -> Error {
    Error::upstream(502, "session_interrupted", "The gateway was restarted in the middle of this answer. Ask again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let owner = |hash: Option<&str>| SessionOwner { key_id: "key_1".to_owned(), hash: hash.map(str::to_owned) };
        let place = ClientOrigin { origin: "http://a.b:1".to_owned(), ip: Some("::1".to_owned()) };
        let bare = SessionSnapshot {
            id: "0f".to_owned(),
            place: ClientOrigin::default(),
            owner: None,
            last: 0,
            running: Vec::new(),
            links: 1,
            named: false,
            greeted: false,
            window: None,
            at: 5,
        };
        let running = vec!["\"a b\"".to_owned(), "7".to_owned(), NAMELESS.to_owned()];
        let full = SessionSnapshot {
            place,
            owner: Some(owner(None)),
            last: 9,
            running,
            named: true,
            window: Some(3),
            ..bare.clone()
        };
        let made = SessionSnapshot { owner: Some(owner(Some("ff"))), greeted: true, ..full.clone() };
        for kept in [bare, full, made] {
            assert_eq!(SessionSnapshot::read(&kept.write()), Some(kept));
        }
        assert_eq!((SessionSnapshot::read(""), SessionSnapshot::read("a\nb")), (None, None));
    }
}
