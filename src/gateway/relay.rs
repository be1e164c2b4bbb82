//! The end of an answer's way: what is heard of a stream while it passes, what has to be added at its end, and its receipt.
//! It is fed bytes and times; it waits for nothing.

use std::borrow::Cow;
use std::rc::Rc;

use super::Bridge;
use super::deadlines::{Deadlines, TimerEvent};
use super::reader::ResponseReader;
use super::reasoning::UnstoredSignature;
use super::record::{Outcome, RequestRecord};
use super::settle::FinalCharge;
use super::writer::ResponseWriter;
use crate::config::{LogLevel, Millis, Streaming};
use crate::error::{Error, Result};
use crate::formats::UsageReport;
use crate::formats::summary::ResponseSummary;
use crate::telemetry::Event;

/// How the flow of bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The sender closed it.
    Closed,
    /// The connection broke.
    Broken,
    /// The time allowed was over.
    TimedOut,
    /// The client left.
    ClientLeft,
}

/// Passes one streamed response on to its client.
pub struct StreamRelay {
    bridge: Rc<Bridge>,
    /// Whose stream it is: an index into the providers.
    provider: usize,
    streaming: Streaming,
    reader: ResponseReader,
    writer: ResponseWriter,
    /// Decided once: pieces of a stream are many.
    logs_chunks: bool,
    watch: Deadlines,
    receipt: RequestRecord,
}

impl StreamRelay {
    /// A relay for a provider's stream.
    pub(super) fn new(
        bridge: Rc<Bridge>,
        provider: usize,
        watch: Deadlines,
        (reader, writer): (ResponseReader, ResponseWriter),
        receipt: RequestRecord,
    ) -> Self {
        let streaming = bridge.config.providers.get(provider).map_or_else(Streaming::default, |row| row.streaming);
        let logs_chunks = bridge.config.logging.logs(LogLevel::Debug);
        Self { bridge, provider, streaming, reader, writer, logs_chunks, watch, receipt }
    }

    /// Whether the bytes have to come through our hands to the end; if not, they may flow by themselves once the answer has begun.
    pub fn is_checked(&self) -> bool {
        self.reader.is_checked()
    }

    /// Whether the answer is heard to its end although the client has left.
    pub fn hears_out(&self) -> bool {
        self.receipt.outlives_client(&self.streaming)
    }

    /// Takes bytes that have come, and gives those that may pass.
    pub fn pass<'b>(&mut self, bytes: &'b [u8], now: Millis) -> Cow<'b, [u8]> {
        self.receipt.first_byte.get_or_insert(now);
        let mut passed = self.reader.push(bytes, &mut self.writer);
        let summary = self.reader.summary();
        if summary.error.is_some() {
            passed = Cow::Owned(self.bridge.redact_stream(self.provider, &passed));
        }
        let begun = has_begun(summary);
        self.watch.heard(now, begun);
        passed
    }

    /// The event of bytes that have come; `None` unless pieces of streams are logged.
    pub fn chunk_event<'a>(&'a self, bytes: &'a [u8], now: Millis) -> Option<Event<'a>> {
        self.logs_chunks.then(|| self.receipt.chunk_event(now, bytes))
    }

    /// How much of the answer has been heard, roughly, in bytes.
    pub fn said(&self) -> u64 {
        self.reader.summary().length
    }

    /// What has to be kept before the client gets the bytes that [`StreamRelay::pass`] or [`StreamRelay::finish`] just gave.
    pub fn keepsake(&mut self) -> Option<UnstoredSignature> {
        self.reader.unstored()
    }

    /// Bytes have left for the client.
    pub fn sent(&mut self, now: Millis) {
        self.watch.sent(now);
    }

    /// How long what may pass has to wait for more that leaves with it.
    pub fn rest(&self, now: Millis) -> Millis {
        if self.reader.is_translating() { self.watch.rest(now) } else { 0 }
    }

    /// For so long, the client did not take what had come.
    pub fn blocked(&mut self, time: Millis) {
        self.watch.blocked(time);
    }

    /// What is left of the time for the whole.
    pub fn left(&self, now: Millis) -> Millis {
        self.watch.left(now)
    }

    /// Whether nothing more is to be expected of a stream that is checked, or of one that has ended without an answer.
    pub fn is_done(&self) -> bool {
        let summary = self.reader.summary();
        let has_ended = summary.has_ended || self.reader.is_translating() && summary.error.is_some();
        (self.reader.is_checked() && has_ended) || summary.is_empty()
    }

    /// How long until the next [`StreamRelay::tick`].
    pub fn wait(&self, now: Millis) -> Millis {
        self.watch.wait(now)
    }

    /// What the time means now. A comment waits for the end of an event.
    pub fn tick(&mut self, now: Millis) -> TimerEvent {
        match self.watch.tick(now) {
            TimerEvent::KeepAlive if !self.reader.is_between_events() => TimerEvent::Nothing,
            tick => tick,
        }
    }

    /// Whether the answer has begun: content has come, or the end.
    pub fn has_begun(&self) -> bool {
        has_begun(self.reader.summary())
    }

    /// The error of a stream that reported one before any content, or that said before any that it was done.
    ///
    /// # Errors
    /// The provider's error, or 502.
    pub fn failed_early(&self) -> Result<()> {
        let summary = self.reader.summary();
        if summary.is_empty() {
            return Err(hollow());
        }
        if summary.has_content { Ok(()) } else { summary.check() }
    }

    /// The stream ended before any content: that is an answer only if it says so.
    ///
    /// # Errors
    /// 502 if it does not.
    pub fn ended_early(&self) -> Result<()> {
        if self.reader.summary().is_complete() { Ok(()) } else { Err(self.failure(StreamEnd::Closed)) }
    }

    /// What is wrong with an answer that ended so, and is not whole.
    fn failure(&self, end: StreamEnd) -> Error {
        let summary = self.reader.summary();
        let unread = end == StreamEnd::Closed && !summary.has_content && summary.malformed > 0;
        if summary.is_empty() || unread { hollow() } else { failure(end) }
    }

    /// It came to nothing: what it took all the same, as far as the provider has said, goes into `receipt`.
    pub fn report(&self, receipt: &mut RequestRecord) {
        let summary = self.reader.summary();
        let Some(usage) = summary.usage else { return };
        if summary.error.is_some() || summary.has_ended {
            receipt.charge(Some(usage), summary.tier.as_deref(), &[], 0);
        } else {
            receipt.charge_in_part(usage, summary.tier.as_deref(), &[], 0);
        }
    }

    /// The flow has ended. Gives the bytes that the client still has to get.
    pub fn finish(&mut self, end: StreamEnd) -> Vec<u8> {
        let failure = self.failure(end);
        let mut tail = self.reader.finish(&failure, &mut self.writer);
        let summary = self.reader.summary();
        if summary.error.is_some() {
            tail = self.bridge.redact_stream(self.provider, &tail);
        }
        self.receipt.outcome = match (summary.is_complete(), &summary.error, end) {
            // What came after the client had left is not what it got.
            (_, _, StreamEnd::ClientLeft) if self.hears_out() => Outcome::ClientClosed,
            (true, _, _) => Outcome::Complete,
            (false, Some(_), _) => Outcome::UpstreamError,
            (false, None, StreamEnd::ClientLeft) => Outcome::ClientClosed,
            (false, None, StreamEnd::TimedOut) => Outcome::TimedOut,
            (false, None, StreamEnd::Closed | StreamEnd::Broken) => Outcome::Truncated,
        };
        self.receipt.charge_stream(summary);
        if let Some(json) = &summary.withheld_usage {
            let cost = self.receipt.told_cost();
            let report = UsageReport { json, cost: &cost, is_complete: summary.is_complete() };
            self.writer.insert_cost(report, &mut tail);
        }
        tail
    }

    /// What is left of the request, after [`StreamRelay::finish`].
    pub fn close(mut self, end: StreamEnd, now: Millis) -> FinalCharge {
        self.receipt.finished = now;
        let unfinished = matches!(self.receipt.outcome, Outcome::ClientClosed | Outcome::TimedOut | Outcome::Truncated);
        if unfinished && !self.reader.summary().is_complete() {
            self.receipt.charge_unheard(now);
        }
        let error = match self.receipt.outcome {
            Outcome::Complete | Outcome::ClientClosed | Outcome::Refused => None,
            Outcome::UpstreamError => {
                let error = self.reader.summary().error.clone();
                error.map(|error| self.bridge.redact(self.provider, error))
            }
            Outcome::Truncated | Outcome::TimedOut => Some(self.failure(end)),
        };
        let text = self.reader.summary().text.clone();
        FinalCharge::new(self.receipt, error, text)
    }
}

/// Whether a response has begun: content has come, or the end.
fn has_begun(summary: &ResponseSummary) -> bool {
    summary.has_content || summary.error.is_some() || summary.is_complete()
}

/// What such an end means for an answer that is not whole.
pub(super) fn failure(end: StreamEnd) -> Error {
    match end {
        StreamEnd::TimedOut => {
            Error::upstream(504, "upstream_timeout", "The provider did not finish its answer in the time allowed.")
        }
        StreamEnd::Closed | StreamEnd::Broken | StreamEnd::ClientLeft => {
            Error::upstream(502, "stream_truncated", "The provider's answer broke off before its end.")
        }
    }
}

/// A stream that ended, and was none of an answer.
fn hollow() -> Error {
    let message = "The provider answered with a stream that holds no answer.";
    Error::upstream(502, "upstream_invalid_response", message)
}
