//! The time limits of responses, and how streams are forwarded.

use serde::{Deserialize, Serialize};

use super::units::Millis;
use super::yaml::{Node, Table};

/// Time limits of a response. For `None` only `total` applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Until the head of the response. A response that is not streamed has to be complete by then.
    pub connect: Option<Millis>,
    /// Until the first content of a stream.
    pub first_token: Option<Millis>,
    /// Between two chunks of a stream.
    pub idle: Option<Millis>,
    /// For the whole response.
    pub total: Millis,
}

/// How a provider's streams are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Whether events are checked before they are forwarded.
    pub relay: RelayKind,
    /// Whether the usage of a stream is requested.
    pub usage: StreamUsage,
    /// The interval of keep-alive comments, in milliseconds; 0 for none.
    pub keep_alive: Millis,
    /// What happens to a response whose client has left.
    pub on_disconnect: OnDisconnect,
}

/// How a stream is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayKind {
    /// The runtime copies the bytes and the gateway reads a copy: nearly free.
    Native,
    /// The gateway reads every event before it forwards it, and forwards only sound ones.
    Checked,
}

/// Whether a stream's usage is requested where the client did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// Requested, and the chunk that reports it is removed. Such streams are checked. The chunk has no
    /// choices, and many clients read the first choice of every chunk.
    Hide,
    /// Requested, and the chunk is forwarded: such streams stay native. A client that declines usage gets
    /// none.
    Show,
    /// Not requested: the provider does not support the option.
    Leave,
}

/// What happens to a response whose client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// The provider's response is cancelled.
    Cancel,
    /// It is read for its usage, to its end or as long as the platform allows.
    Finish,
}

impl OnDisconnect {
    /// The values in the configuration file.
    pub const WORDS: [(&'static str, Self); 2] = [("cancel", Self::Cancel), ("finish", Self::Finish)];
}

const DEFAULT_TOTAL: Millis = 600_000;
const DEFAULT_KEEP_ALIVE: Millis = 15_000;

impl Default for Clocks {
    fn default() -> Self {
        Self { connect: None, first_token: None, idle: None, total: DEFAULT_TOTAL }
    }
}

impl Default for Streaming {
    fn default() -> Self {
        Self {
            relay: RelayKind::Native,
            usage: StreamUsage::Hide,
            keep_alive: DEFAULT_KEEP_ALIVE,
            on_disconnect: OnDisconnect::Cancel,
        }
    }
}

impl Clocks {
    /// These limits with the changes of a row; `timeout` is the short form of `clocks.total`.
    pub(super) fn read(self, row: &Table<'_>) -> Self {
        let total = row.at("timeout").and_then(|node| node.seconds()).unwrap_or(self.total);
        let clocks = Self { total, ..self };
        let Some(table) = row.at("clocks").and_then(|node| node.table(&["connect", "first_token", "idle", "total"]))
        else {
            return clocks;
        };
        let clock = |key: &str| table.at(key).and_then(|node| node.seconds());
        Self {
            connect: clock("connect").or(clocks.connect),
            first_token: clock("first_token").or(clocks.first_token),
            idle: clock("idle").or(clocks.idle),
            total: clock("total").unwrap_or(clocks.total),
        }
    }
}

impl Streaming {
    pub(super) fn read(row: &Table<'_>) -> Self {
        let default = Self::default();
        let relays = [("native", RelayKind::Native), ("checked", RelayKind::Checked)];
        let usages = [("hide", StreamUsage::Hide), ("show", StreamUsage::Show), ("leave", StreamUsage::Leave)];
        Self {
            relay: row.at("relay").and_then(|node| node.choice(&relays)).unwrap_or(default.relay),
            usage: row.at("stream_usage").and_then(|node| node.choice(&usages)).unwrap_or(default.usage),
            keep_alive: row.at("keep_alive").and_then(|node| keep_alive(&node)).unwrap_or(default.keep_alive),
            on_disconnect: row
                .at("on_disconnect")
                .and_then(|node| node.choice(&OnDisconnect::WORDS))
                .unwrap_or(default.on_disconnect),
        }
    }
}

fn keep_alive(node: &Node<'_>) -> Option<Millis> {
    if node.is_zero() { Some(0) } else { node.seconds() }
}
