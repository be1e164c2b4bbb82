//! The limits that the operator sets for sessions.

use crate::config::{Config, Millis};

/// A connection that never showed a good API key is closed after this many wrong ones.
pub(super) const MAX_WRONG_KEYS: u32 = 5;

/// The limits of one session.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// An idle connection is closed after this time.
    pub idle: Millis,
    /// A session without a connection ends after this time.
    pub resume: Millis,
    /// The most that is held for a client, in bytes.
    pub buffer: usize,
    /// The most requests at a time, waiting ones included.
    pub requests: usize,
    /// The longest message, in bytes.
    pub message: usize,
}

impl SessionLimits {
    /// From the configuration.
    pub fn of(config: &Config) -> Self {
        let limits = &config.websocket;
        Self {
            idle: limits.idle,
            resume: limits.resume,
            buffer: limits.buffer_bytes,
            requests: limits.max_requests,
            message: config.max_body_bytes,
        }
    }
}
