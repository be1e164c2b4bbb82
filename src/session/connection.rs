//! The connection that a session has at the moment.

use super::flow_control::FlowControl;
use super::limits::SessionLimits;
use super::upgrade_params::UpgradeParams;
use crate::config::Millis;

/// A connection of a session.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its number among the session's connections, from 1.
    pub number: u64,
    /// Requests carry ids.
    pub with_ids: bool,
    /// The client has been sent the session's id, and so knows of numbered frames.
    pub greeted: bool,
    /// The most that may be unacknowledged, in bytes; `None` while the client acknowledges nothing.
    pub window: Option<usize>,
    /// When the client was last seen.
    pub last_seen: Millis,
    /// The client has shown a good key.
    pub trusted: bool,
    /// Wrong keys that the client has shown.
    pub wrong_keys: u32,
    /// Frames on their way, if another isolate forwards them.
    pub forwarded: Option<FlowControl>,
}

impl Connection {
    /// A new connection, as its upgrade request asks for it.
    pub fn new(number: u64, params: &UpgradeParams, limits: &SessionLimits, now: Millis) -> Self {
        Self {
            number,
            with_ids: params.with_ids,
            greeted: false,
            window: params.window.map(|window| window.min(limits.buffer)),
            last_seen: now,
            trusted: false,
            wrong_keys: 0,
            forwarded: params.is_forwarded.then(FlowControl::default),
        }
    }
}
