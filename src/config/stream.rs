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

/// The plan of Cloudflare's under which the gateway runs: the defaults of its providers depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Plan {
    /// A request may take CPU time for each chunk of a stream.
    #[default]
    Paid,
    /// A request has 10 ms of CPU time, so no stream is read chunk by chunk unless a row says so.
    Free,
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

/// The values of `relay`.
pub(super) const RELAYS: &[(&str, RelayKind)] = &[("native", RelayKind::Native), ("checked", RelayKind::Checked)];
/// The values of `stream_usage`.
pub(super) const USAGES: &[(&str, StreamUsage)] =
    &[("hide", StreamUsage::Hide), ("show", StreamUsage::Show), ("leave", StreamUsage::Leave)];

/// The values of `plan`.
pub(super) const PLANS: &[(&str, Plan)] = &[("paid", Plan::Paid), ("free", Plan::Free)];

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

impl Plan {
    /// Whether chunks that pass through the gateway take more than the plan allows.
    fn is_exceeded_by(self, takes_chunks: bool) -> bool {
        self == Self::Free && takes_chunks
    }
}

impl Streaming {
    /// What applies to the rows that say nothing.
    fn under(plan: Plan) -> Self {
        match plan {
            Plan::Paid => Self::default(),
            Plan::Free => Self { usage: StreamUsage::Show, ..Self::default() },
        }
    }

    pub(super) fn read(row: &Table<'_>, plan: Plan) -> Self {
        let default = Self::under(plan);
        Self {
            relay: read_choice(row, "relay", RELAYS, |relay| plan.is_exceeded_by(relay == RelayKind::Checked))
                .unwrap_or(default.relay),
            usage: read_choice(row, "stream_usage", USAGES, |usage| plan.is_exceeded_by(usage == StreamUsage::Hide))
                .unwrap_or(default.usage),
            keep_alive: row.at("keep_alive").and_then(|node| keep_alive(&node)).unwrap_or(default.keep_alive),
            on_disconnect: row
                .at("on_disconnect")
                .and_then(|node| node.choice(&OnDisconnect::WORDS))
                .unwrap_or(default.on_disconnect),
        }
    }
}

/// A choice of a row; a note if it makes streams cost more than the plan allows.
fn read_choice<T: Copy>(
    row: &Table<'_>,
    key: &str,
    words: &[(&str, T)],
    exceeds_plan: impl Fn(T) -> bool,
) -> Option<T> {
    let node = row.at(key)?;
    let choice = node.choice(words)?;
    if exceeds_plan(choice) {
        node.note(
            "with this, each chunk of a stream takes CPU time, and `plan: free` has 10 ms for a request: longer streams \
             may be ended by Cloudflare",
        );
    }
    Some(choice)
}

fn keep_alive(node: &Node<'_>) -> Option<Millis> {
    if node.is_zero() { Some(0) } else { node.seconds() }
}
