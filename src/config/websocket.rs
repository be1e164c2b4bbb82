//! The settings of WebSocket sessions.

use super::cors::Cors;
use super::units::Millis;
use super::yaml::Node;

/// The settings of WebSocket sessions (`websocket` in the file).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Websocket {
    /// Whether sessions are offered.
    pub enabled: bool,
    /// The web origins that may open a session. Clients that send no origin always may.
    pub origins: Cors,
    /// The time after which a connection without traffic is closed.
    pub idle: Millis,
    /// The time for which a session outlives its connection.
    pub resume: Millis,
    /// The most that is buffered for a slow client, in bytes.
    pub buffer_bytes: usize,
    /// The most concurrent requests of one session.
    pub max_requests: usize,
    /// The time after which a connection without a valid key is closed.
    pub key: Millis,
    /// The most connections without a valid key in one isolate.
    pub max_without_key: usize,
}

impl Default for Websocket {
    fn default() -> Self {
        Self {
            enabled: true,
            origins: Cors::Any,
            idle: 600_000,
            resume: 300_000,
            buffer_bytes: 1 << 20,
            max_requests: 32,
            key: 60_000,
            max_without_key: 256,
        }
    }
}

/// The smallest `buffer_bytes`. A smaller buffer would block at every frame.
const LEAST_BUFFER: u64 = 16 << 10;

const KEYS: [&str; 8] = [
    "enabled",
    "origins",
    "idle_seconds",
    "resume_seconds",
    "buffer_bytes",
    "max_requests",
    "key_seconds",
    "max_without_key",
];

impl Websocket {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&KEYS)?;
        let default = Self::default();
        let size = |key: &str, least, usual| {
            let count = table.at(key).and_then(|node| node.count(least));
            count.map_or(usual, |count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let time = |key: &str, usual| table.at(key).and_then(|node| node.seconds()).unwrap_or(usual);
        Some(Self {
            enabled: table.at("enabled").and_then(|node| node.flag()).unwrap_or(default.enabled),
            origins: table.at("origins").and_then(|node| Cors::read_origins(&node)).unwrap_or(default.origins),
            idle: time("idle_seconds", default.idle),
            resume: time("resume_seconds", default.resume),
            buffer_bytes: size("buffer_bytes", LEAST_BUFFER, default.buffer_bytes),
            max_requests: size("max_requests", 1, default.max_requests),
            key: time("key_seconds", default.key),
            max_without_key: size("max_without_key", 0, default.max_without_key),
        })
    }
}
