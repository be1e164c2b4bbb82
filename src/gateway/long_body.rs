//! A long whole answer that passes in pieces, unread but for its beginning and its end: there its usage is sought. It is fed bytes and
//! times; it waits for nothing.

use super::record::{Outcome, RequestRecord};
use super::relay::{StreamEnd, failure};
use super::settle::FinalCharge;
use crate::canonical::Usage;
use crate::config::Millis;
use crate::formats::tier;
use crate::wire::json::last_value;

/// So many bytes of the beginning, and of the end, are looked into.
const LOOKED_INTO: usize = 64 << 10;

/// One answer on its way.
pub struct LongBodyRelay {
    receipt: RequestRecord,
    /// Reads the usage, as its format has it.
    usage: fn(&str) -> Option<Usage>,
    hears_out: bool,
    until: Millis,
    head: Vec<u8>,
    tail: Vec<u8>,
    length: u64,
}

impl LongBodyRelay {
    /// An answer that has to be over at `until`. `hears_out`: it is heard although its client has left.
    pub(super) fn new(
        usage: fn(&str) -> Option<Usage>,
        hears_out: bool,
        until: Millis,
        receipt: RequestRecord,
    ) -> Self {
        Self { receipt, usage, hears_out, until, head: Vec::new(), tail: Vec::new(), length: 0 }
    }

    /// Bytes have come.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        let room = LOOKED_INTO.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..room).unwrap_or_default());
        let newest = bytes.get(bytes.len().saturating_sub(LOOKED_INTO)..).unwrap_or_default();
        let surplus = (self.tail.len() + newest.len()).saturating_sub(LOOKED_INTO);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(newest);
    }

    /// How much of the answer has been heard, in bytes.
    pub fn heard(&self) -> u64 {
        self.length
    }

    /// What is left of the time for the whole.
    pub fn left(&self, now: Millis) -> Millis {
        self.until.saturating_sub(now)
    }

    /// Whether the answer is heard to its end although the client has left.
    pub fn hears_out(&self) -> bool {
        self.hears_out
    }

    /// Whether what has come ends as an answer does.
    pub fn is_whole(&self) -> bool {
        self.tail.trim_ascii_end().ends_with(b"}")
    }

    /// What is left of the request, when the flow has ended.
    pub fn close(mut self, end: StreamEnd, left: bool, now: Millis) -> FinalCharge {
        let find = |name: &str| last_value(&self.tail, name).or_else(|| last_value(&self.head, name));
        let (usage, tier) = (find("usage"), find("service_tier"));
        let (usage, tier) = (usage.and_then(self.usage), tier::of_response(usage, tier));
        let model = last_value(&self.head, "model").map(|model| model.trim_matches('"').chars().take(200).collect());
        self.receipt.charge(usage, tier.as_deref(), &[], self.length);
        (self.receipt.finished, self.receipt.served) = (now, model);
        self.receipt.outcome = match end {
            _ if left => Outcome::ClientClosed,
            StreamEnd::ClientLeft => Outcome::ClientClosed,
            StreamEnd::TimedOut => Outcome::TimedOut,
            StreamEnd::Closed if self.is_whole() => Outcome::Complete,
            StreamEnd::Closed | StreamEnd::Broken => Outcome::Truncated,
        };
        if self.receipt.outcome != Outcome::Complete && !(end == StreamEnd::Closed && self.is_whole()) {
            self.receipt.charge_unheard(now);
        }
        let fails = matches!(self.receipt.outcome, Outcome::TimedOut | Outcome::Truncated);
        FinalCharge::new(self.receipt, fails.then(|| failure(end)), None)
    }
}
