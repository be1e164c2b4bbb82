//! How long a provider may take, and how its streams are passed on. Words of the file, not deeds.

use serde::{Deserialize, Serialize};

use super::units::Millis;
use super::yaml::{Node, Table};

/// How long each part of an answer may take. `None` is as long as the whole may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// To the head of the response; of an answer that is not streamed, it comes when the answer is finished.
    pub connect: Option<Millis>,
    /// To the first content of a stream.
    pub first_token: Option<Millis>,
    /// Between two pieces of a stream.
    pub idle: Option<Millis>,
    /// In all.
    pub total: Millis,
}

/// How a provider's streams are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Which relay passes them.
    pub relay: RelayKind,
    /// Whether the usage is asked for.
    pub usage: StreamUsage,
    /// A comment is sent after so long a silence; 0 = never.
    pub keep_alive: Millis,
    /// What becomes of an answer whose client has left.
    pub on_disconnect: OnDisconnect,
}

/// Which relay passes a stream on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayKind {
    /// The runtime pumps, we listen: nearly free.
    Native,
    /// Every event goes through our hands, and only sound ones pass.
    Checked,
}

/// Whether a stream's usage is asked for where the client did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// It is, and the chunk that tells it is taken out, for which such streams are checked: that chunk has no choices, and many a client
    /// looks at the first choice of each.
    Hide,
    /// It is, and that chunk passes, as for clients that asked: such streams stay native. A client that says that it wants none gets none.
    Show,
    /// It is not: the provider does not know the option.
    Leave,
}

/// What becomes of an answer whose client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// The provider's answer is broken off.
    Cancel,
    /// It is heard for its usage, to its end or as long as the platform allows.
    Finish,
}

impl OnDisconnect {
    /// All of them, by the words that operators use.
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
    /// These clocks, as a row changes them; `timeout` is the short form of `clocks.total`.
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
