//! What outlives a session's object in memory: a text of a few hundred bytes, attached to the connection or
//! stored without one.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::client::{ClientOrigin, SessionOwner};
use crate::config::Millis;
use crate::ids::KeyHash;

/// The version that is written. Version 1 was lines without a name or a version; [`SessionSnapshot::read`]
/// reads both.
const VERSION: u32 = 2;

/// A session without its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSnapshot {
    pub(super) id: String,
    pub(super) origin: ClientOrigin,
    pub(super) owner: Option<SessionOwner>,
    /// The number of the newest frame.
    pub(super) last_frame: u64,
    /// The ids of requests under way, as the client's JSON; `null` for a request without an id.
    pub(super) running: Vec<String>,
    /// How many connections the session has had.
    pub(super) connections: u64,
    pub(super) with_ids: bool,
    pub(super) greeted: bool,
    pub(super) window: Option<usize>,
    /// When the client was last seen, or disconnected.
    pub(super) at: Millis,
}

/// A snapshot as it is written. Field names are stored names: a sleeping session is read by the next
/// deployment.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: u32,
    id: Cow<'a, str>,
    origin: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_hash: Option<Cow<'a, str>>,
    last_frame: u64,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    running: Cow<'a, [String]>,
    connections: u64,
    with_ids: bool,
    greeted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<usize>,
    at: Millis,
}

/// Why a snapshot cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnreadableSnapshot {
    /// It has a version that this build does not know.
    Version(u32),
    /// It is JSON, but not a snapshot.
    Json {
        /// The column at which the parser stopped.
        column: usize,
    },
    /// It is neither JSON nor of version 1.
    Lines,
}

impl From<serde_json::Error> for UnreadableSnapshot {
    // The parser's message is dropped, because it may quote the snapshot.
    fn from(error: serde_json::Error) -> Self {
        Self::Json { column: error.column() }
    }
}

impl fmt::Display for UnreadableSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The snapshot of a session cannot be read: ")?;
        match self {
            Self::Version(version) => write!(f, "it has version {version}, and this build reads up to {VERSION}."),
            Self::Json { column } => write!(f, "it is not valid JSON, or a field is missing, at column {column}."),
            Self::Lines => f.write_str("it is neither JSON nor of version 1."),
        }
    }
}

impl std::error::Error for UnreadableSnapshot {}

impl SessionSnapshot {
    /// The number of the newest frame.
    pub fn last_frame(&self) -> u64 {
        self.last_frame
    }

    /// The number of the newest connection, counted from 1.
    pub fn connection(&self) -> u64 {
        self.connections
    }

    /// The snapshot as JSON, on one line.
    pub fn write(&self) -> String {
        let owner = self.owner.as_ref();
        let stored = Stored {
            v: VERSION,
            id: Cow::Borrowed(&self.id),
            origin: Cow::Borrowed(&self.origin.address),
            ip: self.origin.ip.as_deref().map(Cow::Borrowed),
            key_id: owner.map(|owner| Cow::Borrowed(owner.key_id.as_str())),
            key_hash: owner.and_then(|owner| owner.hash.as_ref()).map(|hash| Cow::Borrowed(hash.as_str())),
            last_frame: self.last_frame,
            running: Cow::Borrowed(&self.running),
            connections: self.connections,
            with_ids: self.with_ids,
            greeted: self.greeted,
            window: self.window,
            at: self.at,
        };
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// Reads a snapshot that this build or an earlier one wrote.
    ///
    /// # Errors
    /// The text is no such snapshot. The session is then unknown.
    pub fn read(text: &str) -> Result<Self, UnreadableSnapshot> {
        if !text.starts_with('{') {
            return read_lines(text).ok_or(UnreadableSnapshot::Lines);
        }
        let Version { v: version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(UnreadableSnapshot::Version(version));
        }
        let stored: Stored<'_> = serde_json::from_str(text)?;
        let hash = stored.key_hash.map(|hash| KeyHash::from(hash.into_owned()));
        Ok(Self {
            id: stored.id.into_owned(),
            origin: ClientOrigin { address: stored.origin.into_owned(), ip: stored.ip.map(Cow::into_owned) },
            owner: stored.key_id.map(|key_id| SessionOwner { key_id: key_id.into_owned().into(), hash }),
            last_frame: stored.last_frame,
            running: stored.running.into_owned(),
            connections: stored.connections,
            with_ids: stored.with_ids,
            greeted: stored.greeted,
            window: stored.window,
            at: stored.at,
        })
    }
}

/// The version of a snapshot.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Reads version 1: a line for each field, `-` for none, and the ids of requests under way at the end.
fn read_lines(text: &str) -> Option<SessionSnapshot> {
    let mut lines = text.lines();
    let mut next = || lines.next().map(str::to_owned);
    let optional = |line: String| Some(line).filter(|line| line != "-");
    let (id, address, ip) = (next()?, next()?, optional(next()?));
    let (key_id, hash) = (optional(next()?), optional(next()?));
    let mut number = || next()?.parse::<u64>().ok();
    let (last_frame, connections, at) = (number()?, number()?, number()?);
    let mut flag = || next()?.parse::<bool>().ok();
    let (with_ids, greeted) = (flag()?, flag()?);
    let window = optional(next()?).and_then(|window| window.parse().ok());
    let origin = ClientOrigin { address, ip };
    let owner = key_id.map(|key_id| SessionOwner { key_id: key_id.into(), hash: hash.map(KeyHash::from) });
    let running = lines.map(str::to_owned).collect();
    Some(SessionSnapshot { id, origin, owner, last_frame, running, connections, with_ids, greeted, window, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare() -> SessionSnapshot {
        SessionSnapshot {
            id: "0f".to_owned(),
            origin: ClientOrigin::default(),
            owner: None,
            last_frame: 0,
            running: Vec::new(),
            connections: 1,
            with_ids: false,
            greeted: false,
            window: None,
            at: 5,
        }
    }

    fn full() -> SessionSnapshot {
        SessionSnapshot {
            origin: ClientOrigin { address: "http://a.b:1".to_owned(), ip: Some("::1".to_owned()) },
            owner: Some(SessionOwner { key_id: "key_1".into(), hash: Some("ff".into()) }),
            last_frame: 9,
            running: vec!["\"a b\"".to_owned(), "7".to_owned(), "null".to_owned()],
            connections: 2,
            with_ids: true,
            greeted: true,
            window: Some(3),
            ..bare()
        }
    }

    #[test]
    fn a_written_snapshot_is_read_back() {
        let unhashed = SessionOwner { key_id: "key_1".into(), hash: None };
        for snapshot in [bare(), full(), SessionSnapshot { owner: Some(unhashed), ..full() }] {
            assert_eq!(SessionSnapshot::read(&snapshot.write()), Ok(snapshot));
        }
    }

    #[test]
    fn the_stored_names_stay() {
        let expected = r#"{"v":2,"id":"0f","origin":"http://a.b:1","ip":"::1","key_id":"key_1","key_hash":"ff","last_frame":9,"running":["\"a b\"","7","null"],"connections":2,"with_ids":true,"greeted":true,"window":3,"at":5}"#;
        assert_eq!(full().write(), expected);
    }

    #[test]
    fn a_snapshot_of_version_1_is_read() {
        let lines = "0f\nhttp://a.b:1\n::1\nkey_1\nff\n9\n2\n5\ntrue\ntrue\n3\n\"a b\"\n7\nnull";
        assert_eq!(SessionSnapshot::read(lines), Ok(full()));
        let nothing = "0f\n\n-\n-\n-\n0\n1\n5\nfalse\nfalse\n-";
        assert_eq!(SessionSnapshot::read(nothing), Ok(bare()));
    }

    #[test]
    fn fields_of_a_later_build_are_ignored() {
        let later = full().write().replacen("{", "{\"new\":1,", 1);
        assert_eq!(SessionSnapshot::read(&later), Ok(full()));
    }

    #[test]
    fn another_text_is_an_error() {
        assert_eq!(SessionSnapshot::read(""), Err(UnreadableSnapshot::Lines));
        assert_eq!(SessionSnapshot::read("a\nb"), Err(UnreadableSnapshot::Lines));
        assert_eq!(SessionSnapshot::read("{}"), Err(UnreadableSnapshot::Json { column: 2 }));
        assert_eq!(SessionSnapshot::read("{\"v\":2}"), Err(UnreadableSnapshot::Json { column: 7 }));
        let later = full().write().replace("\"v\":2", "\"v\":3");
        assert_eq!(SessionSnapshot::read(&later), Err(UnreadableSnapshot::Version(3)));
    }

    #[test]
    fn an_error_does_not_quote_the_snapshot() {
        let spoilt = full().write().replace("\"at\":5", "\"at\":\"secret\"");
        let message = SessionSnapshot::read(&spoilt).unwrap_err().to_string();
        assert!(message.starts_with("The snapshot of a session cannot be read: "), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
