//! A long whole response on its way to the client, without I/O: only its beginning and its end are kept, and
//! searched for the usage.

use super::failure::{Failure, FailureStage};
use super::metering::{Reported, ResponseUsage};
use super::record::{Outcome, ResponseFacts};
use super::relay::{AttemptEnd, StreamEnd, broken_off};
use crate::config::Millis;
use crate::formats::ProviderFormat;
use crate::formats::excerpt::{Excerpt, ExcerptSummary};

/// So much of the beginning, and of the end, is kept, in bytes.
const EXCERPT: usize = 64 << 10;

/// One long response on its way to the client.
pub(super) struct LongBodyRelay {
    format: &'static ProviderFormat,
    outlives_client: bool,
    until: Millis,
    head: Vec<u8>,
    tail: Vec<u8>,
    length: u64,
}

impl LongBodyRelay {
    /// A response that has to be over at `until`. `outlives_client`: it is read to its end although the
    /// client has disconnected.
    pub(super) fn new(format: &'static ProviderFormat, outlives_client: bool, until: Millis) -> Self {
        Self { format, outlives_client, until, head: Vec::new(), tail: Vec::new(), length: 0 }
    }

    /// Bytes have come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        let room = EXCERPT.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..room).unwrap_or_default());
        let newest = bytes.get(bytes.len().saturating_sub(EXCERPT)..).unwrap_or_default();
        let surplus = (self.tail.len() + newest.len()).saturating_sub(EXCERPT);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(newest);
    }

    /// How much of the response has come, in bytes.
    pub(super) fn received(&self) -> u64 {
        self.length
    }

    /// The time left for the whole response.
    pub(super) fn left(&self, now: Millis) -> Millis {
        self.until.saturating_sub(now)
    }

    /// Whether the response is read to its end although the client has disconnected.
    pub(super) fn outlives_client(&self) -> bool {
        self.outlives_client
    }

    /// Whether what has come ends as a response does.
    pub(super) fn is_whole(&self) -> bool {
        self.tail.trim_ascii_end().ends_with(b"}")
    }

    /// The flow of bytes has ended. `client_left`: the client had disconnected by then.
    pub(super) fn finish(self, end: StreamEnd, client_left: bool, now: Millis) -> AttemptEnd {
        let ExcerptSummary { usage, tier, model } = Excerpt { head: &self.head, tail: &self.tail }.summary(self.format);
        let is_whole = end == StreamEnd::Closed && self.is_whole();
        let outcome = match end {
            _ if client_left => Outcome::ClientClosed,
            StreamEnd::ClientLeft => Outcome::ClientClosed,
            StreamEnd::TimedOut => Outcome::TimedOut,
            StreamEnd::Ended => Outcome::EndedByAdmin,
            StreamEnd::Closed if is_whole => Outcome::Complete,
            StreamEnd::Closed | StreamEnd::Broken | StreamEnd::TooLarge => Outcome::Truncated,
        };
        let reported = usage.map_or(Reported::Nothing, Reported::Total);
        let usage = ResponseUsage { reported, tier, countable: Vec::new(), length: self.length };
        let unread_until = (!is_whole).then_some(now);
        let facts = ResponseFacts { served: model, malformed: 0, usage: Some(usage), unread_until };
        let failure = matches!(outcome, Outcome::TimedOut | Outcome::Truncated | Outcome::EndedByAdmin)
            .then(|| Failure::of(broken_off(end), FailureStage::AfterContent));
        AttemptEnd { facts, outcome, failure, text: None }
    }
}
