//! The codes with which a connection is closed, as docs/websocket.md lists them. They know no session.

/// Why a connection is closed. The table in docs/websocket.md has the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// A frame of bytes: all frames are text.
    Binary,
    /// A message is longer than this gateway takes.
    TooBig,
    /// The session was interrupted: what it knew is lost.
    Interrupted,
    /// The gateway cannot serve it now.
    Later,
    /// The key is wrong, or not the session's.
    Key,
    /// There is no such session, or no longer.
    Unknown,
    /// Nothing has happened for long.
    Idle,
    /// No good key has come in time.
    KeyTimeout,
    /// The session goes on over another connection.
    Displaced,
    /// Frames after that number are not kept any more.
    Gap,
}

impl CloseCode {
    /// The number and the reason, as they are sent.
    pub fn parts(self) -> (u16, &'static str) {
        match self {
            Self::Binary => (1003, "frames are text"),
            Self::TooBig => (1009, "message too big"),
            Self::Interrupted => (1012, "session interrupted"),
            Self::Later => (1013, "try again later"),
            Self::Key => (4401, "wrong key"),
            Self::Unknown => (4404, "unknown session"),
            Self::Idle => (4408, "idle"),
            Self::KeyTimeout => (4408, "no key in time"),
            Self::Displaced => (4409, "resumed elsewhere"),
            Self::Gap => (4410, "frames lost"),
        }
    }
}
