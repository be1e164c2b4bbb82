//! One streamed response on its way to the client, without I/O: what may leave of the bytes that come, what
//! the time means, and how it ended.

use std::borrow::Cow;
use std::rc::Rc;

use super::bridge::Bridge;
use super::deadlines::{Deadlines, TimerEvent};
use super::failure::{Failure, FailureStage};
use super::live::ended_by_admin;
use super::metering::{Reported, ResponseUsage};
use super::reader::ResponseReader;
use super::reasoning::UnstoredSignature;
use super::record::{Outcome, ResponseFacts};
use super::writer::ResponseWriter;
use crate::config::{LogLevel, Millis};
use crate::error::{Error, Result};
use crate::formats::summary::ResponseSummary;
use crate::formats::{Framing, UsageReport};
use crate::policy::failure::FailedCall;

/// How the flow of bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The sender closed it.
    Closed,
    /// The connection broke.
    Broken,
    /// The time allowed was over.
    TimedOut,
    /// The client disconnected.
    ClientLeft,
    /// An admin ended the request.
    Ended,
}

/// What to do with bytes that have come.
pub(super) struct Step<'b> {
    /// To be stored before `forward` leaves.
    pub(super) persist: Option<UnstoredSignature>,
    /// To be sent to the client.
    pub(super) forward: Cow<'b, [u8]>,
}

/// How to go on with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Read more.
    Continue,
    /// Content has come, and nothing has to be read before the client gets it: the platform may pipe the
    /// rest.
    MayPipe,
    /// Nothing more is to be expected.
    Done,
}

/// How an attempt ended whose response had begun.
pub(super) struct AttemptEnd {
    pub(super) facts: ResponseFacts,
    pub(super) outcome: Outcome,
    /// What went wrong, if anything did.
    pub(super) failure: Option<Failure>,
    /// The response's text, if it is logged.
    pub(super) text: Option<String>,
}

/// A stream that has ended.
pub(super) struct FinishedStream {
    pub(super) end: AttemptEnd,
    /// To be stored before the tail leaves.
    pub(super) persist: Option<UnstoredSignature>,
    pub(super) tail: StreamTail,
}

/// The bytes that a client still has to get when its stream has ended.
pub(super) struct StreamTail {
    bytes: Vec<u8>,
    /// The usage, if it was withheld for the cost to be added to it.
    withheld_usage: Option<Vec<u8>>,
    is_complete: bool,
    writer: ResponseWriter,
}

impl StreamTail {
    /// The bytes. `cost`: in dollars, if it is known.
    pub(super) fn into_bytes(mut self, cost: Option<&str>) -> Vec<u8> {
        if let Some(json) = &self.withheld_usage {
            let cost = cost.unwrap_or("null");
            let report = UsageReport { json, cost, is_complete: self.is_complete };
            self.writer.insert_cost(report, &mut self.bytes);
        }
        self.bytes
    }
}

/// The rules by which a stream is forwarded.
pub(super) struct StreamRules {
    pub(super) deadlines: Deadlines,
    /// The response is read to its end although the client has disconnected.
    pub(super) outlives_client: bool,
}

/// One streamed response on its way to the client.
pub(super) struct StreamRelay {
    bridge: Rc<Bridge>,
    /// Whose stream it is: an index into the providers.
    provider: usize,
    reader: ResponseReader,
    writer: ResponseWriter,
    rules: StreamRules,
    first_byte: Option<Millis>,
    /// Decided once, because a stream has many pieces.
    logs_chunks: bool,
}

impl StreamRelay {
    /// A relay for a provider's stream.
    pub(super) fn new(
        bridge: &Rc<Bridge>,
        provider: usize,
        reader: ResponseReader,
        writer: ResponseWriter,
        rules: StreamRules,
    ) -> Self {
        let (bridge, logs_chunks) = (Rc::clone(bridge), bridge.config.logging.writes(LogLevel::Debug));
        Self { bridge, provider, reader, writer, rules, first_byte: None, logs_chunks }
    }

    /// Whether all bytes have to be read before they leave; if not, the platform may pipe them once content
    /// has come.
    pub(super) fn is_checked(&self) -> bool {
        self.reader.is_checked()
    }

    /// Whether the response is read to its end although the client has disconnected.
    pub(super) fn outlives_client(&self) -> bool {
        self.rules.outlives_client
    }

    /// How the client's stream is cut into events.
    pub(super) fn framing(&self) -> &'static Framing {
        self.writer.framing()
    }

    /// Whether pieces of streams are logged.
    pub(super) fn logs_chunks(&self) -> bool {
        self.logs_chunks
    }

    /// Takes bytes that have come.
    pub(super) fn push<'b>(&mut self, bytes: &'b [u8], now: Millis) -> Step<'b> {
        self.first_byte.get_or_insert(now);
        let mut forward = self.reader.push(bytes, &mut self.writer);
        if self.reader.summary().error.is_some() {
            forward = Cow::Owned(self.bridge.redact_stream(self.provider, self.framing(), &forward));
        }
        self.rules.deadlines.received(now, self.has_begun());
        Step { persist: self.reader.unstored(), forward }
    }

    /// How to go on.
    pub(super) fn next(&self) -> Next {
        let summary = self.reader.summary();
        let has_ended = summary.has_ended || self.reader.is_translating() && summary.error.is_some();
        match self.is_checked() {
            _ if summary.is_empty() => Next::Done,
            true if has_ended => Next::Done,
            false if self.has_begun() => Next::MayPipe,
            true | false => Next::Continue,
        }
    }

    /// How much of the response has come, roughly, in bytes.
    pub(super) fn received(&self) -> u64 {
        self.reader.summary().length
    }

    /// Bytes have left for the client.
    pub(super) fn sent(&mut self, now: Millis) {
        self.rules.deadlines.sent(now);
    }

    /// How long bytes may wait for more that leaves with them.
    pub(super) fn flush_delay(&self, now: Millis) -> Millis {
        if self.reader.is_translating() { self.rules.deadlines.flush_delay(now) } else { 0 }
    }

    /// The client did not take what had come for so long.
    pub(super) fn blocked(&mut self, time: Millis) {
        self.rules.deadlines.blocked(time);
    }

    /// The time left for the whole response.
    pub(super) fn left(&self, now: Millis) -> Millis {
        self.rules.deadlines.left(now)
    }

    /// How long until the next [`StreamRelay::tick`].
    pub(super) fn wait(&self, now: Millis) -> Millis {
        self.rules.deadlines.wait(now)
    }

    /// What the time means now. A keep-alive waits for the end of an event.
    pub(super) fn tick(&mut self, now: Millis) -> TimerEvent {
        match self.rules.deadlines.tick(now) {
            TimerEvent::KeepAlive if !self.reader.is_between_events() => TimerEvent::Nothing,
            event => event,
        }
    }

    /// Whether the response has begun: content has come, an error, or the end.
    pub(super) fn has_begun(&self) -> bool {
        let summary = self.reader.summary();
        summary.has_content || summary.error.is_some() || summary.is_complete()
    }

    /// Checks a stream whose head has not been sent to the client: no error came before content, and it did
    /// not end without any.
    ///
    /// # Errors
    /// The provider's error, or 502.
    pub(super) fn check_beginning(&self) -> Result<()> {
        let summary = self.reader.summary();
        if summary.is_empty() {
            return Err(empty());
        }
        if summary.has_content { Ok(()) } else { summary.check() }
    }

    /// Checks a stream that was closed before content came: it is a response only if it says so.
    ///
    /// # Errors
    /// 502 if it does not.
    pub(super) fn check_early_end(&self) -> Result<()> {
        if self.reader.summary().is_complete() { Ok(()) } else { Err(self.error(StreamEnd::Closed)) }
    }

    /// The failure of a stream that did not get as far as a response. What it took counts, as far as the
    /// provider has reported it.
    pub(super) fn fail(&self, error: Error, now: Millis) -> Failure {
        let failure = self.failed(error, FailureStage::BeforeContent, now);
        failure.with_response(reported(self.reader.summary()))
    }

    /// The failure that `judge` finds in a response that has ended already, with what it took.
    pub(super) fn without_output(
        &self,
        judge: impl FnOnce(&ResponseSummary) -> Option<Failure>,
        now: Millis,
    ) -> Option<Failure> {
        let failure = judge(self.reader.summary())?;
        let response = self.fail(failure.error.clone(), now).response;
        Some(Failure { response, ..failure })
    }

    /// What is wrong with a response that ended so, and is incomplete.
    fn error(&self, end: StreamEnd) -> Error {
        let summary = self.reader.summary();
        let is_unreadable = end == StreamEnd::Closed && !summary.has_content && summary.malformed > 0;
        if summary.is_empty() || is_unreadable { empty() } else { broken_off(end) }
    }

    /// When the first bytes came.
    pub(super) fn first_byte(&self) -> Option<Millis> {
        self.first_byte
    }

    /// The flow of bytes has ended.
    pub(super) fn finish(mut self, end: StreamEnd, now: Millis) -> FinishedStream {
        let error = self.error(end);
        let mut bytes = self.reader.finish(&error, &mut self.writer);
        let persist = self.reader.unstored();
        let summary = self.reader.summary();
        if summary.error.is_some() {
            bytes = self.bridge.redact_stream(self.provider, self.framing(), &bytes);
        }
        let (is_complete, withheld_usage) = (summary.is_complete(), summary.withheld_usage.clone());
        let outcome = self.outcome(end);
        let end = AttemptEnd {
            facts: facts_of(summary, outcome, now),
            outcome,
            failure: self.failure(outcome, error, now),
            text: summary.text.clone(),
        };
        FinishedStream { end, persist, tail: StreamTail { bytes, withheld_usage, is_complete, writer: self.writer } }
    }

    fn outcome(&self, end: StreamEnd) -> Outcome {
        let summary = self.reader.summary();
        match (summary.is_complete(), &summary.error, end) {
            // The client did not get what came after it had disconnected.
            (_, _, StreamEnd::ClientLeft) if self.outlives_client() => Outcome::ClientClosed,
            (true, _, _) => Outcome::Complete,
            (false, Some(_), _) => Outcome::UpstreamError,
            (false, None, StreamEnd::ClientLeft) => Outcome::ClientClosed,
            (false, None, StreamEnd::TimedOut) => Outcome::TimedOut,
            (false, None, StreamEnd::Ended) => Outcome::EndedByAdmin,
            (false, None, StreamEnd::Closed | StreamEnd::Broken) => Outcome::Truncated,
        }
    }

    fn failure(&self, outcome: Outcome, error: Error, now: Millis) -> Option<Failure> {
        let summary = self.reader.summary();
        let error = match outcome {
            Outcome::Complete | Outcome::ClientClosed | Outcome::Refused => None,
            Outcome::UpstreamError => summary.error.clone(),
            Outcome::Truncated | Outcome::TimedOut | Outcome::EndedByAdmin => Some(error),
        };
        let stage = if summary.has_content { FailureStage::AfterContent } else { FailureStage::BeforeContent };
        error.map(|error| self.failed(error, stage, now))
    }

    /// The failure of the provider's call, without secrets.
    fn failed(&self, error: Error, stage: FailureStage, now: Millis) -> Failure {
        let error = self.bridge.redact(self.provider, error);
        match self.bridge.config.providers.get(self.provider) {
            Some(provider) => Failure::of_call(error, stage, FailedCall::of(provider, now)),
            None => Failure::of(error, stage),
        }
    }
}

/// What a stream reported of itself that did not get as far as a response.
pub(super) fn reported(summary: &ResponseSummary) -> ResponseFacts {
    let usage = summary.usage.map(|usage| {
        let is_total = summary.error.is_some() || summary.has_ended;
        let reported = if is_total { Reported::Total(usage) } else { Reported::Part(usage) };
        ResponseUsage { reported, tier: summary.tier.clone(), ..ResponseUsage::default() }
    });
    ResponseFacts { usage, ..ResponseFacts::default() }
}

/// What a stream that has ended said of itself.
fn facts_of(summary: &ResponseSummary, outcome: Outcome, now: Millis) -> ResponseFacts {
    let reported = match (summary.partial_usage(), summary.total_usage()) {
        (Some(part), _) => Reported::Part(part),
        (None, Some(total)) => Reported::Total(total),
        (None, None) => Reported::Nothing,
    };
    let is_counted = !matches!(reported, Reported::Total(_));
    let usage = ResponseUsage {
        reported,
        tier: summary.tier.clone(),
        countable: if is_counted { summary.countable.clone() } else { Vec::new() },
        length: summary.length,
    };
    let broke_off =
        matches!(outcome, Outcome::ClientClosed | Outcome::TimedOut | Outcome::Truncated | Outcome::EndedByAdmin);
    ResponseFacts {
        served: summary.model.clone(),
        malformed: summary.malformed,
        usage: Some(usage),
        unread_until: (broke_off && !summary.is_complete()).then_some(now),
    }
}

/// The error of a response that ended so, and is incomplete.
pub(super) fn broken_off(end: StreamEnd) -> Error {
    match end {
        StreamEnd::TimedOut => {
            Error::upstream(504, "upstream_timeout", "The provider did not finish its answer in the time allowed.")
        }
        StreamEnd::Ended => ended_by_admin(),
        StreamEnd::Closed | StreamEnd::Broken | StreamEnd::ClientLeft => {
            Error::upstream(502, "stream_truncated", "The provider's answer broke off before its end.")
        }
    }
}

/// The error of a stream that ended without a response.
fn empty() -> Error {
    let message = "The provider answered with a stream that holds no answer.";
    Error::upstream(502, "upstream_invalid_response", message)
}
