//! What the operator says of WebSocket sessions. Words of the file, not deeds.

use super::yaml::Node;
use super::{Cors, Millis, read};

/// WebSocket sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Websocket {
    /// Whether there are any.
    pub enabled: bool,
    /// Which web pages may open one; callers that are no browsers name no origin, and may.
    pub origins: Cors,
    /// A connection on which nothing happens is closed after so long.
    pub idle: Millis,
    /// A session outlives its connection by so long.
    pub resume: Millis,
    /// The most that is held for a client that does not take it, in bytes.
    pub buffer_bytes: usize,
    /// Requests under way in one session.
    pub max_requests: usize,
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
        }
    }
}

/// Below this, a buffer would stop at every frame.
const LEAST_BUFFER: u64 = 16 << 10;

impl Websocket {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table =
            node.table(&["enabled", "origins", "idle_seconds", "resume_seconds", "buffer_bytes", "max_requests"])?;
        let default = Self::default();
        let size = |key: &str, least, usual| {
            let count = table.at(key).and_then(|node| node.count(least));
            count.map_or(usual, |count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let time = |key: &str, usual| table.at(key).and_then(|node| node.seconds()).unwrap_or(usual);
        Some(Self {
            enabled: table.at("enabled").and_then(|node| node.flag()).unwrap_or(default.enabled),
            origins: table.at("origins").and_then(|node| read::origins(&node)).unwrap_or(default.origins),
            idle: time("idle_seconds", default.idle),
            resume: time("resume_seconds", default.resume),
            buffer_bytes: size("buffer_bytes", LEAST_BUFFER, default.buffer_bytes),
            max_requests: size("max_requests", 1, default.max_requests),
        })
    }
}
