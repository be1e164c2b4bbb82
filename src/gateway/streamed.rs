//! One attempt's response as a stream, from its first content to its end.

use super::answer_form::may_be_document;
use super::deadlines::Deadlines;
use super::drive::{Answer, Drive, OpenedStream};
use super::failure::{Failure, FailureStage};
use super::forward::{Forward, Forwarded, Unfinished};
use super::memory::MemoryReservation;
use super::peek::{Peek, PeekEnd, Peeked};
use super::platform::{Platform, StreamHead};
use super::record::Fact;
use super::recovery::another_form;
use super::relay::{StreamEnd, StreamRelay, StreamRules};
use super::response_context::ResponseContext;
use crate::config::{RelayKind, Streaming};
use crate::formats::summary::ResponseSummary;
use crate::policy::routing::Target;

/// What came where a stream was asked for.
enum Opening<P: Platform> {
    /// A stream of events.
    Events(Peeked<P>),
    /// A document: the rest of it, and its beginning.
    Document((P::Stream, Vec<u8>)),
}

impl<P: Platform> Drive<'_, P> {
    /// Reads a stream until content comes. Until it is forwarded, the caller can let go of the request.
    pub(super) async fn stream(
        &mut self,
        target: &Target<'_>,
        context: ResponseContext,
        answer: P::Answer,
    ) -> Result<Answer<P>, Failure> {
        let streaming = &target.provider.streaming;
        let (started, now) = (self.record.started(), self.platform.now());
        let deadlines = Deadlines::new(target.clocks, streaming.keep_alive, started, now);
        let deadlines = deadlines.asked_at(self.attempt.as_ref().map_or(started, |attempt| attempt.began));
        let spare = context.spare();
        let (reader, writer, keeper) = context.into_stream(&self.streaming(target));
        let is_followed = self.attempt.as_ref().is_some_and(|attempt| attempt.outlook.may_go_on);
        let rules = StreamRules { deadlines, outlives_client: self.outlives_client(target), keeper, is_followed };
        let mut relay = StreamRelay::new(self.bridge, target.index, reader, self.writer(writer), rules);
        let (peeked, room) = match self.open(target, answer, &mut relay).await {
            Ok((Opening::Events(peeked), room)) => (peeked, room),
            Ok((Opening::Document(document), _)) => {
                let (cache, tools, keeper) = relay.into_kept();
                let context = ResponseContext { cache, tools, keeper, ..spare };
                return Box::pin(self.read_document(target, context, document)).await;
            }
            Err(failure) => {
                self.keep_writer(relay);
                return Err(failure);
            }
        };
        let Peeked { stream, beginning } = peeked;
        self.report_success(target);
        let comment = match (&self.begun, &self.attempt) {
            (Some(_), Some(attempt)) => attempt.comment(self.client.framing, self.record.recovered()),
            _ => Vec::new(),
        };
        let beginning = if comment.is_empty() { beginning } else { [comment, beginning].concat() };
        Ok(Answer::Opened(OpenedStream { relay, stream, beginning, room }))
    }

    /// Reads a stream until content comes, or until it is whole if it is held.
    async fn open(
        &mut self,
        target: &Target<'_>,
        answer: P::Answer,
        relay: &mut StreamRelay,
    ) -> Result<(Opening<P>, Option<MemoryReservation>), Failure> {
        let mut peeked = match self.peek(answer, relay).await? {
            Opening::Events(peeked) => peeked,
            Opening::Document((stream, _)) if relay.has_client() => {
                self.platform.abort(&stream);
                return Err(self.failed(target, another_form(), FailureStage::BeforeContent));
            }
            document @ Opening::Document(_) => return Ok((document, None)),
        };
        let room = match self.attempt.as_ref().and_then(|attempt| attempt.outlook.hold) {
            Some(longest) => Box::pin(self.hold(target, relay, &mut peeked, longest)).await?,
            None => None,
        };
        // A text that was continued may have had no more to come.
        let judge = |summary: &ResponseSummary| self.without_output(summary).filter(|_| relay.whole_text().is_none());
        if let Some(failure) = relay.without_output(judge, self.platform.now()) {
            self.platform.abort(&peeked.stream);
            return Err(failure);
        }
        Ok((Opening::Events(peeked), room))
    }

    /// How the provider's streams are forwarded. Those of one that has sent something after the end are
    /// checked: what the platform pipes cannot be taken back.
    fn streaming(&self, target: &Target<'_>) -> Streaming {
        let streaming = target.provider.streaming;
        if self.bridge.learned.runs_on(target.index) {
            return Streaming { relay: RelayKind::Checked, ..streaming };
        }
        streaming
    }

    /// Forwards a stream to its end, and settles the request. Returns the failure of a stream that broke off,
    /// and that another attempt may go on with: such a request is not settled.
    pub(super) async fn forward_stream(&mut self, opened: OpenedStream<P>) -> Option<Failure> {
        let OpenedStream { relay, stream, beginning, room } = opened;
        let Ok(sink) = self.begin(StreamHead::events(self.client.framing)) else {
            self.platform.abort(&stream);
            self.end_stream(relay.finish(StreamEnd::Broken, self.platform.now()).end);
            return None;
        };
        let forward = Forward::new(self.platform, &self.record, relay, stream, sink);
        let Forwarded { finished, first_byte, last } = match forward.run(beginning).await {
            Ok(forwarded) => forwarded,
            Err(Unfinished { failure, writer, sink }) => {
                (self.begun, self.unfinished) = (Some(sink), Some(Box::new(writer)));
                return Some(failure);
            }
        };
        drop(room);
        if let Some(how) = finished.tail.recovered() {
            self.record.apply(Fact::Recovered { how: Some(how) });
        }
        if let Some(at) = first_byte {
            self.record.apply(Fact::FirstByte { at });
        }
        // Settled before the last bytes: a client may take them late, or never.
        let cost = self.end_stream(finished.end);
        last.write(self.platform, &finished.tail.into_bytes(cost.as_deref())).await;
        None
    }

    /// Reads a stream until content comes. A client that gets nothing for long gets what came before content,
    /// unless another attempt may follow: then it gets a sign of life.
    async fn peek(&mut self, answer: P::Answer, relay: &mut StreamRelay) -> Result<Opening<P>, Failure> {
        let mut peek = Peek::open(self.platform, may_be_document::<P>(&answer), answer);
        loop {
            match peek.read(self.platform, &self.record, relay).await {
                Ok(PeekEnd::Content) => return Ok(Opening::Events(peek.into_peeked())),
                Ok(PeekEnd::Document(beginning)) => return Ok(Opening::Document((peek.into_stream(), beginning))),
                Ok(PeekEnd::Silence) if self.attempt.as_ref().is_some_and(|attempt| attempt.outlook.may_go_on) => {
                    let kept = self.keep_client_waiting(relay.left(self.platform.now())).await;
                    kept.inspect_err(|_| peek.abort(self.platform))?;
                }
                Ok(PeekEnd::Silence) => {
                    peek.keep_alive(&relay.keep_alive());
                    return Ok(Opening::Events(peek.into_peeked()));
                }
                Err(error) => {
                    peek.abort(self.platform);
                    return Err(relay.fail(error, self.platform.now()));
                }
            }
        }
    }
}
