//! The end of an answer's way: what is heard of a stream while it passes, what has to be added at its end, and its receipt.
//! It is fed bytes and times; it waits for nothing.

use std::borrow::Cow;
use std::rc::Rc;

use super::Bridge;
use super::deadlines::{Deadlines, TimerEvent};
use super::reasoning::{ReasoningCache, UnstoredSignature};
use super::record::{Outcome, RequestRecord};
use super::settle::FinalCharge;
use super::translate::Translate;
use crate::config::{Millis, RelayKind, StreamUsage, Streaming};
use crate::error::{Error, Result};
use crate::formats::StreamTap;
use crate::formats::openai::inbound;
use crate::formats::openai::overhear::{ChatTap, TapOptions};

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

/// What the client wants of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// To be told the usage, if it says so.
    pub usage: Option<bool>,
    /// To be told there what it cost.
    pub cost: bool,
    /// So many answers.
    pub choices: u64,
}

/// Passes one streamed answer on, and listens.
pub struct StreamRelay {
    bridge: Rc<Bridge>,
    /// Whose stream it is: an index into the providers.
    provider: usize,
    streaming: Streaming,
    /// Whether the bytes have to come through our hands to the end.
    checked: bool,
    /// Whether they are written anew.
    rewritten: bool,
    heard: Box<dyn StreamTap>,
    watch: Deadlines,
    receipt: RequestRecord,
    /// Where that is kept which the provider wants back.
    safe: Option<ReasoningCache>,
}

impl StreamRelay {
    /// A relay for a provider's stream.
    pub fn new(
        bridge: Rc<Bridge>,
        provider: usize,
        watch: Deadlines,
        wanted: StreamOptions,
        receipt: RequestRecord,
    ) -> Self {
        let asked = wanted.usage;
        let streaming = bridge.config.providers.get(provider).map_or_else(Streaming::default, |row| row.streaming);
        let hides_usage = match streaming.usage {
            StreamUsage::Show => asked == Some(false),
            StreamUsage::Hide => asked != Some(true),
            StreamUsage::Leave => false,
        };
        let checked = hides_usage || wanted.cost || streaming.relay == RelayKind::Checked;
        let text = bridge.config.logging.fields.shows("response");
        let keeps_usage = wanted.cost && !hides_usage;
        let attention = TapOptions { text, checked, hides_usage, keeps_usage, choices: wanted.choices };
        let heard = Box::new(ChatTap::new(attention));
        Self { bridge, provider, streaming, checked, rewritten: false, heard, watch, receipt, safe: None }
    }

    /// A relay between two formats, or for another than that of chats. What is translated comes through our hands, piece by piece.
    pub(super) fn listening(
        bridge: Rc<Bridge>,
        provider: usize,
        watch: Deadlines,
        (listen, safe): (Translate, Option<ReasoningCache>),
        receipt: RequestRecord,
    ) -> Self {
        let streaming = bridge.config.providers.get(provider).map_or_else(Streaming::default, |row| row.streaming);
        let rewritten = !listen.is_native();
        let heard = Box::new(listen);
        Self { bridge, provider, streaming, checked: rewritten, rewritten, heard, watch, receipt, safe }
    }

    /// Whether the bytes have to come through our hands to the end; if not, they may flow by themselves once the answer has begun.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    /// Whether the answer is heard to its end although the client has left.
    pub fn hears_out(&self) -> bool {
        self.receipt.outlives_client(&self.streaming)
    }

    /// Bytes have come. Gives those that may pass, and a line for the log, if pieces are logged.
    pub fn pass<'b>(&mut self, bytes: &'b [u8], now: Millis) -> (Cow<'b, [u8]>, Option<String>) {
        self.receipt.first_byte.get_or_insert(now);
        let mut passed = self.heard.push(bytes);
        if self.heard.error().is_some() {
            passed = Cow::Owned(self.bridge.redact_stream(self.provider, &passed));
        }
        let begun = self.has_begun();
        self.watch.heard(now, begun);
        let logging = &self.bridge.config.logging;
        (passed, self.receipt.chunk_line(logging, now, bytes))
    }

    /// How much of the answer has been heard, roughly, in bytes.
    pub fn said(&self) -> u64 {
        self.heard.said().1
    }

    /// What has to be kept before the client gets the bytes that [`StreamRelay::pass`] or [`StreamRelay::finish`] just gave.
    pub fn keepsake(&mut self) -> Option<UnstoredSignature> {
        let safe = self.safe.as_mut()?;
        safe.keep(self.heard.memories())
    }

    /// Bytes have left for the client.
    pub fn sent(&mut self, now: Millis) {
        self.watch.sent(now);
    }

    /// How long what may pass has to wait for more that leaves with it.
    pub fn rest(&self, now: Millis) -> Millis {
        if self.rewritten { self.watch.rest(now) } else { 0 }
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
        (self.checked && self.heard.is_done()) || self.heard.is_hollow()
    }

    /// How long until the next [`StreamRelay::tick`].
    pub fn wait(&self, now: Millis) -> Millis {
        self.watch.wait(now)
    }

    /// What the time means now. A comment waits for the end of an event.
    pub fn tick(&mut self, now: Millis) -> TimerEvent {
        match self.watch.tick(now) {
            TimerEvent::KeepAlive if !self.heard.is_between_events() => TimerEvent::Nothing,
            tick => tick,
        }
    }

    /// Whether the answer has begun: content has come, or the end.
    pub fn has_begun(&self) -> bool {
        self.heard.has_content() || self.heard.is_whole() || self.heard.error().is_some()
    }

    /// The error of a stream that reported one before any content, or that said before any that it was done.
    ///
    /// # Errors
    /// The provider's error, or 502.
    pub fn failed_early(&self) -> Result<()> {
        if self.heard.is_hollow() {
            return Err(hollow());
        }
        self.heard.error().filter(|_| !self.heard.has_content()).map_or(Ok(()), |error| Err(error.clone()))
    }

    /// The stream ended before any content: that is an answer only if it says so.
    ///
    /// # Errors
    /// 502 if it does not.
    pub fn ended_early(&self) -> Result<()> {
        if self.heard.is_whole() { Ok(()) } else { Err(self.failure(StreamEnd::Closed)) }
    }

    /// What is wrong with an answer that ended so, and is not whole.
    fn failure(&self, end: StreamEnd) -> Error {
        let unread = end == StreamEnd::Closed && !self.heard.has_content() && self.heard.malformed() > 0;
        if self.heard.is_hollow() || unread { hollow() } else { failure(end) }
    }

    /// It came to nothing: what it took all the same, as far as the provider has said, goes into `receipt`.
    pub fn report(&self, receipt: &mut RequestRecord) {
        let Some(usage) = self.heard.usage() else { return };
        if self.heard.error().is_some() || self.heard.is_done() {
            receipt.charge(Some(usage), self.heard.tier(), &[], 0);
        } else {
            receipt.charge_in_part(usage, self.heard.tier(), &[], 0);
        }
    }

    /// The flow has ended. Gives the bytes that the client still has to get.
    pub fn finish(&mut self, end: StreamEnd) -> Vec<u8> {
        let failure = self.failure(end);
        let mut tail = self.heard.finish(&failure);
        if self.heard.error().is_some() {
            tail = self.bridge.redact_stream(self.provider, &tail);
        }
        self.receipt.outcome = match (self.heard.is_whole(), self.heard.error(), end) {
            // What was heard after the client had left is not what it got.
            (_, _, StreamEnd::ClientLeft) if self.hears_out() => Outcome::ClientClosed,
            (true, _, _) => Outcome::Complete,
            (false, Some(_), _) => Outcome::UpstreamError,
            (false, None, StreamEnd::ClientLeft) => Outcome::ClientClosed,
            (false, None, StreamEnd::TimedOut) => Outcome::TimedOut,
            (false, None, StreamEnd::Closed | StreamEnd::Broken) => Outcome::Truncated,
        };
        let (words, said) = self.heard.said();
        let (heard, known, tier) = (self.heard.usage(), self.receipt.usage, self.heard.tier());
        match heard.filter(|_| self.heard.has_gone_on() && known.is_none()) {
            Some(part) => self.receipt.charge_in_part(part, tier, words, said),
            None => self.receipt.charge(heard.filter(|_| !self.heard.has_gone_on()).or(known), tier, words, said),
        }
        inbound::tell_cost(self.heard.kept_usage(), &self.receipt.told_cost(), self.heard.is_whole(), &mut tail);
        self.receipt.served = self.heard.model().map(|model| model.chars().take(200).collect());
        self.receipt.malformed = self.heard.malformed();
        tail
    }

    /// What is left of the request, after [`StreamRelay::finish`].
    pub fn close(mut self, end: StreamEnd, now: Millis) -> FinalCharge {
        self.receipt.finished = now;
        let unfinished = matches!(self.receipt.outcome, Outcome::ClientClosed | Outcome::TimedOut | Outcome::Truncated);
        if unfinished && !self.heard.is_whole() {
            self.receipt.charge_unheard(now);
        }
        let error = match self.receipt.outcome {
            Outcome::Complete | Outcome::ClientClosed | Outcome::Refused => None,
            Outcome::UpstreamError => self.heard.error().map(|error| self.bridge.redact(self.provider, error.clone())),
            Outcome::Truncated | Outcome::TimedOut => Some(self.failure(end)),
        };
        let text = self.heard.text().map(str::to_owned);
        FinalCharge::new(self.bridge, self.receipt, error, text)
    }
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
