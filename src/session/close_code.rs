//! The codes that close a WebSocket connection.

/// Why the gateway closes a connection. The table in docs/websocket.md has the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The client sent a binary frame.
    Binary,
    /// A message is longer than the gateway accepts.
    TooBig,
    /// The object of the session was restarted, and its requests are lost.
    Interrupted,
    /// The session cannot be served at the moment.
    TryLater,
    /// The API key is wrong, or belongs to another session.
    WrongKey,
    /// There is no such session, or it has ended.
    Unknown,
    /// The connection was idle for too long.
    Idle,
    /// No good key arrived in time.
    KeyTimeout,
    /// Another connection resumed the session.
    Displaced,
    /// The frames to resume from are no longer held.
    Gap,
}

impl CloseCode {
    /// The code and the reason, as they are sent.
    pub fn parts(self) -> (u16, &'static str) {
        match self {
            Self::Binary => (1003, "frames are text"),
            Self::TooBig => (1009, "message too big"),
            Self::Interrupted => (1012, "session interrupted"),
            Self::TryLater => (1013, "try again later"),
            Self::WrongKey => (4401, "wrong key"),
            Self::Unknown => (4404, "unknown session"),
            Self::Idle => (4408, "idle"),
            Self::KeyTimeout => (4408, "no key in time"),
            Self::Displaced => (4409, "resumed elsewhere"),
            Self::Gap => (4410, "frames lost"),
        }
    }
}

/// The code that the WebSocket API reports for a closing frame without a code (RFC 6455, section 7.4.1).
pub const NO_STATUS: u16 = 1005;

/// Whether a client closed its connection on purpose, so that the session ends with it.
pub fn is_final(code: u16) -> bool {
    matches!(code, 1000 | NO_STATUS)
}

/// Whether this code came in a closing frame. The reserved codes are reported for connections that broke (RFC
/// 6455, section 7.4).
pub fn came_in_frame(code: u16) -> bool {
    code == NO_STATUS || (1000..5000).contains(&code) && !matches!(code, 1004 | 1006 | 1015)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_normal_close_ends_the_session() {
        assert!(is_final(1000));
        assert!(is_final(NO_STATUS));
        assert!(!is_final(1001));
        assert!(!is_final(1006));
    }

    #[test]
    fn a_broken_connection_has_no_code_of_a_frame() {
        for code in [1000, 1001, 1005, 3000, 4401, 4999] {
            assert!(came_in_frame(code), "{code}");
        }
        for code in [0, 999, 1004, 1006, 1015, 5000] {
            assert!(!came_in_frame(code), "{code}");
        }
    }
}
