//! One streamed response on its way to the client, without I/O: what may leave of the bytes that come, what
//! the time means, and how it ended.

use std::borrow::Cow;
use std::rc::Rc;

use super::bridge::Bridge;
use super::call::unpacked_too_large;
use super::deadlines::{Deadlines, TimerEvent};
use super::failure::{Failure, FailureStage};
use super::kept::ResponseKeeper;
use super::live::ended_by_admin;
use super::reader::ResponseReader;
use super::reasoning::{ReasoningCache, Unstored};
use super::record::{Outcome, ResponseFacts};
use super::response_facts::{facts_of, facts_so_far, reported};
use super::stream_tail::StreamTail;
use super::writer::ResponseWriter;
use crate::config::{LogLevel, Millis};
use crate::error::{Error, Result};
use crate::formats::summary::ResponseSummary;
use crate::formats::{Framing, ToolNames};
use crate::policy::failure::FailedCall;
use crate::wire::byte_order_mark::ByteOrderMarkFilter;

/// How the flow of bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The sender closed it.
    Closed,
    /// The connection broke.
    Broken,
    /// It holds more than is unpacked.
    TooLarge,
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
    pub(super) persist: Option<Unstored>,
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
    pub(super) persist: Option<Unstored>,
    pub(super) tail: StreamTail,
}

/// The rules by which a stream is forwarded.
pub(super) struct StreamRules {
    pub(super) deadlines: Deadlines,
    /// The response is read to its end although the client has disconnected.
    pub(super) outlives_client: bool,
    /// Keeps the response for later requests.
    pub(super) keeper: Option<ResponseKeeper>,
    /// Another attempt may follow.
    pub(super) is_followed: bool,
}

/// One streamed response on its way to the client.
pub(super) struct StreamRelay {
    bridge: Rc<Bridge>,
    /// Whose stream it is: an index into the providers.
    provider: usize,
    pub(super) reader: ResponseReader,
    pub(super) writer: ResponseWriter,
    pub(super) rules: StreamRules,
    first_byte: Option<Millis>,
    mark: ByteOrderMarkFilter,
    /// Decided once, because a stream has many pieces.
    logs_chunks: bool,
    /// The bytes leave as the platform would pipe them: as they came, up to the end marker.
    is_as_piped: bool,
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
        let mark = ByteOrderMarkFilter::default();
        Self { bridge, provider, reader, writer, rules, first_byte: None, mark, logs_chunks, is_as_piped: false }
    }

    /// Whether all bytes have to be read before they leave; if not, the platform may pipe them once content
    /// has come.
    pub(super) fn is_checked(&self) -> bool {
        self.reader.is_checked() || self.rules.keeper.is_some()
    }

    /// Whether the response is read to its end although the client has disconnected.
    pub(super) fn outlives_client(&self) -> bool {
        self.rules.outlives_client
    }

    /// Gives back what belongs to the response, of which nothing has been read.
    pub(super) fn into_kept(self) -> (Option<ReasoningCache>, ToolNames, Option<ResponseKeeper>) {
        let (cache, tools) = self.reader.into_kept();
        (cache, tools, self.rules.keeper)
    }

    /// From here on, bytes leave as they would if the platform piped them, or no longer do.
    pub(super) fn pass_as_piped(&mut self, is_as_piped: bool) {
        self.is_as_piped = is_as_piped;
    }

    /// How the client's stream is cut into events.
    pub(super) fn framing(&self) -> &'static Framing {
        self.writer.framing()
    }

    /// What keeps the client waiting while the provider is silent.
    pub(super) fn keep_alive(&mut self) -> Vec<u8> {
        self.writer.keep_alive(self.first_byte.is_some())
    }

    /// Whether pieces of streams are logged.
    pub(super) fn logs_chunks(&self) -> bool {
        self.logs_chunks
    }

    /// Takes bytes that have come.
    pub(super) fn push<'b>(&mut self, bytes: &'b [u8], now: Millis) -> Step<'b> {
        self.first_byte.get_or_insert(now);
        let mut forward = self.reader.push(self.mark.pass(bytes), &mut self.writer);
        if self.reader.summary().error.is_some() && !self.is_as_piped {
            forward = Cow::Owned(self.bridge.redact_stream(self.provider, self.framing(), &forward));
        }
        self.rules.deadlines.received(now, self.has_begun());
        let kept = self.rules.keeper.as_mut().and_then(|keeper| keeper.push(&forward));
        Step { persist: Unstored::both(self.reader.unstored(), kept), forward }
    }

    /// The provider's stream is over: reads what only that tells.
    pub(super) fn close(&mut self) -> Step<'static> {
        let mut forward = self.reader.close(&mut self.writer);
        if self.reader.summary().error.is_some() {
            forward = self.bridge.redact_stream(self.provider, self.framing(), &forward);
        }
        let kept = self.rules.keeper.as_mut().and_then(|keeper| keeper.push(&forward));
        Step { persist: Unstored::both(self.reader.unstored(), kept), forward: Cow::Owned(forward) }
    }

    /// Whether reads may wait for several events: the bytes pass to a client of the same format, nobody keeps
    /// them, no silence of the provider is too long, and its bodies are known to be over with the end marker:
    /// where one goes on, a read that waits would hold the marker.
    pub(super) fn may_gather(&self) -> bool {
        let may =
            !self.reader.is_translating() && self.rules.keeper.is_none() && !self.rules.deadlines.has_idle_limit();
        may && !self.bridge.learned.runs_on(self.provider) && self.bridge.learned.closes(self.provider) == Some(true)
    }

    /// Whether it is unknown how the provider's bodies end.
    pub(super) fn wants_to_know_closing(&self) -> bool {
        !self.reader.is_translating() && self.bridge.learned.closes(self.provider).is_none()
    }

    /// The provider's body was over with its end marker, or not.
    pub(super) fn note_closing(&self, closes: bool) {
        self.bridge.learned.note_closing(self.provider, closes);
    }

    /// How to go on.
    pub(super) fn next(&self) -> Next {
        let summary = self.reader.summary();
        let has_failed = self.reader.is_translating() && summary.error.is_some() || self.fault().is_some();
        let has_ended = summary.has_ended || has_failed;
        match self.is_checked() {
            _ if summary.is_empty() || has_ended => Next::Done,
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

    /// The failure of a stream that did not get as far as a response. What it took counts, as far as the
    /// provider has reported it.
    pub(super) fn fail(&self, error: Error, now: Millis) -> Failure {
        let failure = self.failed(error, FailureStage::BeforeContent, now);
        failure.with_response(reported(self.reader.summary()))
    }

    /// What is known of the response so far.
    pub(super) fn summary(&self) -> &ResponseSummary {
        self.reader.summary()
    }

    /// The failure of a stream whose content has come, where another attempt may follow. The content is
    /// charged.
    pub(super) fn fail_held(&self, error: Error, now: Millis) -> Failure {
        self.failed(error, FailureStage::Held, now).with_response(facts_so_far(self.reader.summary(), now))
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
    pub(super) fn error(&self, end: StreamEnd) -> Error {
        if let Some(fault) = self.fault() {
            return fault;
        }
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
        self.writer.completed_at(now);
        let mut bytes = self.reader.finish(&error, &mut self.writer);
        let kept = self.rules.keeper.as_mut().and_then(|keeper| keeper.push(&bytes));
        let persist = Unstored::both(self.reader.unstored(), kept);
        let summary = self.reader.summary();
        if summary.runs_on {
            self.bridge.learned.note_run_on(self.provider);
        }
        if summary.error.is_some() {
            bytes = self.bridge.redact_stream(self.provider, self.framing(), &bytes);
        }
        let (is_complete, withheld_usage) = (summary.is_complete(), summary.withheld_usage.clone());
        let outcome = self.outcome(end);
        let end = AttemptEnd {
            facts: facts_of(summary, outcome, now),
            outcome,
            failure: self.failure(outcome, error, now),
            // Of a response that was continued, what its last attempt repeated has been cut.
            text: summary.text.as_deref().map(|text| self.whole_text().unwrap_or(text).to_owned()),
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
            (false, None, StreamEnd::Closed | StreamEnd::Broken | StreamEnd::TooLarge) => Outcome::Truncated,
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

/// The error of a response that ended so, and is incomplete.
pub(super) fn broken_off(end: StreamEnd) -> Error {
    match end {
        StreamEnd::TimedOut => {
            Error::upstream(504, "upstream_timeout", "The provider did not finish its answer in the time allowed.")
        }
        StreamEnd::Ended => ended_by_admin(),
        StreamEnd::TooLarge => unpacked_too_large(),
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
