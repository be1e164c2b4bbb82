//! What of a session outlives its object: little enough to be tied to a connection, or written down without one.

use serde::{Deserialize, Serialize};

use crate::config::Millis;
use crate::error::Error;
use crate::session::frame::{DONE, Id};
use crate::session::link::{Link, complaint};
use crate::session::replay::{Numbered, Replay};
use crate::session::{Action, Code, Rules, Session, frame};

/// Who showed a key; never the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The id of the key.
    pub key_id: String,
    /// The SHA-256 of a key that was made at run time, in hex.
    pub hash: Option<String>,
}

/// Where a client is, as its requests have to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The address that it called: scheme and authority.
    pub origin: String,
    /// Its own address, as far as the platform tells.
    pub ip: Option<String>,
}

/// What is kept of a session, besides its frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    id: String,
    place: Place,
    owner: Option<Owner>,
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

impl Kept {
    /// The number of the newest frame.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Which of the session's connections was the newest.
    pub fn link(&self) -> u64 {
        self.links
    }
}

/// The name of a request that has none.
const NAMELESS: &str = "null";

impl Session {
    /// What is to be kept.
    pub fn kept(&self) -> Kept {
        let name = |id: &Option<Id>| id.as_ref().map_or_else(|| NAMELESS.to_owned(), |id| id.0.clone());
        let link = self.link.as_ref();
        Kept {
            id: self.id.clone(),
            place: self.place.clone(),
            owner: self.owner.clone(),
            last: self.replay.last(),
            running: self.asks.values().filter(|ask| !ask.told).map(|ask| name(&ask.id)).collect(),
            links: self.links,
            named: link.is_some_and(|link| link.named),
            greeted: link.is_some_and(|link| link.greeted),
            window: link.and_then(|link| link.window),
            at: link.map_or(self.lost, |link| link.heard),
        }
    }

    /// The frames that have to be kept with it.
    pub fn frames(&self) -> impl Iterator<Item = &Numbered> {
        self.replay.frames()
    }

    /// Whether frames would be missed if the object slept now and the connection broke.
    pub fn owes(&self) -> bool {
        self.owner.is_some() && self.asks.is_empty() && self.replay.bytes() > 0
    }

    /// The session as it was; `linked`: its newest connection is still there. Requests that were under way are not any more.
    pub fn wake(rules: Rules, kept: Kept, frames: Vec<Numbered>, linked: bool) -> (Self, Vec<Action>) {
        let mut session = Self::new(rules, kept.id, kept.place, kept.owner);
        session.replay = Replay::restore(frames, kept.last);
        session.links = kept.links;
        session.lost = kept.at;
        let mut out = Vec::new();
        if linked {
            session.link = Some(Link {
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
            session.tell(&Id(id), "error", &format!(",\"error\":{json}"), &mut out);
        }
        (session, out)
    }

    /// Nobody knows which numbers the newest frames had: the requests end without one, and the session with them.
    fn break_off(&mut self, running: &[String], out: &mut Vec<Action>) {
        let json = frame::error(&interrupted());
        for id in running {
            if id == NAMELESS {
                self.send(&complaint(&interrupted(), false), out);
                self.send(DONE, out);
            } else {
                self.send(&format!("{{\"id\":{id},\"type\":\"error\",\"error\":{json}}}"), out);
            }
        }
        self.close(Code::Interrupted, self.lost, out);
    }
}

fn interrupted() -> Error {
    Error::upstream(502, "session_interrupted", "The gateway was restarted in the middle of this answer. Ask again.")
}
