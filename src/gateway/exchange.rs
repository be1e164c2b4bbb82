//! One attempt: the call of a provider, and its response on the way to the client.

use super::answer_form::{is_document, is_event_stream};
use super::attempt::{Attempt, Mode};
use super::call::{self, GatheredBody, call_failed};
use super::drive::{Answer, Drive};
use super::failure::{Failure, FailureStage};
use super::forward::{ForwardedBody, forward_body};
use super::long_body::LongBodyRelay;
use super::metering::{MeteredPrompt, Metering};
use super::platform::{Broken, Platform, StreamHead};
use super::prepared_call::{PreparedCall, Reading};
use super::reader::StreamOptions;
use super::reasoning::ReasoningCache;
use super::record::Fact;
use super::recovery::another_form;
use super::relay::{AttemptEnd, StreamEnd};
use super::response::ESTIMATED;
use super::response_context::{ResponseContext, response_head};
use super::settle::{Ending, settle};
use super::whole::WholeResponse;
use super::{Body, MemoryReservation, Response, memory};
use crate::error::{Error, Result};
use crate::formats::operation::OperationKind;
use crate::formats::{ProviderFormat, ResponseHead, Restream, RestreamOptions, ToolNames};
use crate::policy::routing::Target;

/// A whole response that passes unchanged is held up to this length, in bytes; a longer one is forwarded in
/// pieces.
const MAX_HELD: usize = 4 << 20;

impl<P: Platform> Drive<'_, P> {
    /// Makes the call of a provider.
    ///
    /// # Errors
    /// 400 for what the provider's format cannot hold; 503 without the provider's key.
    pub(super) async fn prepare(&mut self, attempt: &Attempt<'_, '_, '_>) -> Result<PreparedCall> {
        let (Mode::Passthrough(format) | Mode::Translate(format)) = attempt.mode else { return Err(unknown_format()) };
        let is_passthrough = attempt.mode.is_passthrough();
        let (operation, target) = (attempt.envelope.operation, attempt.target);
        if let Some(call) = format.call(operation.kind).filter(|_| !is_passthrough) {
            return self.prepare_call(attempt, format, call);
        }
        let key = self.bridge.account(target.index).key(&target.provider.name, target.key)?;
        let mut context = self.response_context(attempt, format);
        context.keeper = self.keeper(attempt);
        context.head.is_kept = context.keeper.is_some();
        let written = if is_passthrough {
            attempt.pass_through()
        } else {
            let (account, random) = (self.record.key_id(), self.platform.random_u128());
            context.cache = ReasoningCache::of(self.bridge.config.vault, account, target, key, random);
            let (written, tools) = attempt.translate(self.platform, format, context.cache.as_ref(), key).await?;
            context.tools = tools;
            written
        };
        let (request, dropped) = attempt.request(written, format, key, self.platform.now());
        context.prompt_length = request.body.len() as u64;
        let metering = (operation.kind != OperationKind::Count).then(|| {
            let prompt = MeteredPrompt::of(&request.body);
            Metering::of(&attempt.card, prompt, self.platform.now())
        });
        self.record.apply(Fact::AttemptStarted { metering, dropped });
        Ok(PreparedCall { request, format, reading: Reading::Response(context) })
    }

    fn response_context(&self, attempt: &Attempt<'_, '_, '_>, format: &'static ProviderFormat) -> ResponseContext {
        let (envelope, is_passthrough) = (attempt.envelope, attempt.mode.is_passthrough());
        let needs_head = !is_passthrough || matches!(self.client.restream, Restream::Events);
        let options = StreamOptions {
            usage: envelope.options.include_usage,
            cost: envelope.options.include_cost,
            choices: envelope.options.choices,
            text: self.bridge.config.logging.fields.shows("response"),
        };
        ResponseContext {
            client: self.client,
            format,
            operation: envelope.operation,
            is_passthrough,
            is_stream: envelope.delivery.is_stream(),
            is_assembled: attempt.is_assembled(),
            options,
            reform: envelope.operation.reform.as_ref().filter(|reform| (reform.is_asked)(&envelope.document)),
            head: if needs_head {
                response_head(self.platform, self.client, envelope)
            } else {
                ResponseHead::default()
            },
            cache: None,
            keeper: None,
            carries_state: !is_passthrough && (self.client.carries_state)(&envelope.document),
            tools: ToolNames::default(),
            prompt_length: 0,
        }
    }

    /// Sends a call, and gives the client its response. `room`: what is reserved for the request.
    ///
    /// # Errors
    /// 502, 503, 504, or the provider's own refusal.
    pub(super) async fn exchange(
        &mut self,
        target: &Target<'_>,
        prepared: PreparedCall,
        room: MemoryReservation,
    ) -> Result<Answer<P>, Failure> {
        let PreparedCall { request, format, reading } = prepared;
        let answer = self.send(target, request, format, room).await?;
        self.receive(target, reading, answer).await
    }

    /// Reads the response of a call, and gives it to the client.
    ///
    /// # Errors
    /// 502, 503 or 504.
    pub(super) async fn receive(
        &mut self,
        target: &Target<'_>,
        reading: Reading,
        answer: P::Answer,
    ) -> Result<Answer<P>, Failure> {
        match reading {
            Reading::Response(context) if context.is_stream && !is_document::<P>(&answer) => {
                self.stream(target, context, answer).await
            }
            _ if self.unfinished.is_some() => Err(self.failed(target, another_form(), FailureStage::BeforeContent)),
            Reading::Response(context) if context.is_assembled && !is_document::<P>(&answer) => {
                let bytes = self.assemble(target, &context, answer).await?;
                self.read_whole(target, context, (bytes, None)).await
            }
            Reading::Response(context) => self.whole(target, context, answer).await,
            Reading::Call(call) => self.read_call(target, call, answer).await.map(Answer::Whole),
        }
    }

    /// Reads a whole response.
    async fn whole(
        &mut self,
        target: &Target<'_>,
        context: ResponseContext,
        answer: P::Answer,
    ) -> Result<Answer<P>, Failure> {
        let most = self.bridge.config.max_answer_bytes;
        let is_free = context.operation.kind == OperationKind::Count;
        let is_read = context.reform.is_some() || is_event_stream::<P>(&answer) || context.keeper.is_some();
        let passes = context.is_passthrough && !context.is_stream && !is_free && !is_read;
        let held = if passes { MAX_HELD.min(most) } else { most };
        let (bytes, buffer) = match self.gather_up_to(target, answer, held).await? {
            GatheredBody::Whole(bytes, buffer) => (bytes, buffer),
            GatheredBody::Long(rest, beginning) if passes => {
                return Ok(self.forward_long(target, context.format, rest, beginning).await);
            }
            GatheredBody::Long(rest, _) => return Err(self.too_long(&rest)),
        };
        self.read_whole(target, context, (bytes, buffer)).await
    }

    /// Reads a whole response that has come: a copy, and the bytes to hand on, if they are kept elsewhere.
    pub(super) async fn read_whole(
        &mut self,
        target: &Target<'_>,
        context: ResponseContext,
        (bytes, buffer): (Vec<u8>, Option<P::Buffer>),
    ) -> Result<Answer<P>, Failure> {
        let (bytes, buffer) = match self.mended(target, &context, &bytes)? {
            Some(mended) => (mended, None),
            None => (bytes, buffer),
        };
        let (is_stream, wanted) = (context.is_stream, context.options);
        let mut context = context;
        let keeper = context.keeper.take();
        let mut whole = WholeResponse::read(self.platform, context, &bytes).await;
        let facts = whole.take_facts();
        if let Err(error) = whole.summary.check() {
            return Err(self.failed(target, error, FailureStage::BeforeContent).with_response(facts));
        }
        if let Some(failure) = self.without_output(&whole.summary) {
            return Err(failure.with_response(facts));
        }
        self.record.apply(Fact::AttemptEnded(facts));
        if !is_stream {
            let is_estimated = whole.is_estimated;
            let body = whole.into_body().map_or_else(|| Body::gathered(bytes, buffer), Body::Bytes);
            self.keep(keeper, |keeper| keeper.keep(body.text()?)).await?;
            let mut response = Response::json(200, body);
            response.headers.extend(is_estimated.then(|| (ESTIMATED, "true".to_owned())));
            return Ok(Answer::Whole(response));
        }
        let cost = wanted.cost.then(|| self.record.exact_cost().unwrap_or_else(|| "null".to_owned()));
        let options = RestreamOptions { usage: wanted.usage == Some(true), cost: cost.as_deref() };
        let stream = whole.into_stream(&bytes, options);
        let stream = stream.map_err(|error| Failure::of(error, FailureStage::BeforeContent))?;
        self.keep(keeper, |keeper| keeper.push(&stream)).await?;
        Ok(Answer::Whole(Response::event_stream(self.client.framing, Body::Bytes(stream))))
    }

    /// Reserves memory for a response, which grows with it.
    pub(super) fn answer_room(&self, target: &Target<'_>) -> Result<MemoryReservation, Failure> {
        let at = self.platform.now();
        let room = self.bridge.memory.reserve(0, at, at.saturating_add(target.clocks.total));
        room.ok_or_else(|| Failure::of(memory::full(), FailureStage::BeforeContent))
    }

    /// Forwards a long response whose beginning has been read.
    async fn forward_long(
        &mut self,
        target: &Target<'_>,
        format: &'static ProviderFormat,
        stream: P::Stream,
        beginning: Vec<u8>,
    ) -> Answer<P> {
        let relay = LongBodyRelay::new(format, self.outlives_client(target), self.deadline(target));
        let Ok(sink) = self.begin(StreamHead::bytes(self.platform.length(&stream))) else {
            self.platform.abort(&stream);
            self.end_stream(relay.finish(StreamEnd::Broken, false, self.platform.now()));
            return Answer::Streamed;
        };
        let ForwardedBody { end, last } = forward_body(self.platform, stream, beginning, relay, sink).await;
        self.end_stream(end);
        last.close(self.platform).await;
        Answer::Streamed
    }

    /// Sends the head of a streamed response.
    pub(super) fn begin(&mut self, mut head: StreamHead) -> Result<P::Sink, Broken> {
        // It may have left while other targets were tried.
        if let Some(sink) = self.begun.take() {
            return Ok(sink);
        }
        head.headers.extend(self.headers());
        head.headers.extend_from_slice(self.common_headers);
        self.platform.begin_response(head)
    }

    /// Settles a response whose head has been sent. Returns what it cost, in dollars, if that is known.
    pub(super) fn end_stream(&mut self, end: AttemptEnd) -> Option<String> {
        let AttemptEnd { facts, outcome, failure, text } = end;
        self.record.apply(Fact::AttemptEnded(facts));
        let cost = self.record.exact_cost();
        let ending = Ending { status: 200, outcome, error: failure.map(|failure| failure.error), text };
        settle(self.platform, std::mem::take(&mut self.record), ending);
        cost
    }

    /// Reads all of a response: a copy, and the bytes to hand on.
    ///
    /// # Errors
    /// 502 if it broke off or is too long, 503 if there is no room for it, 504 if it took too long.
    pub(super) async fn gather(
        &mut self,
        target: &Target<'_>,
        answer: P::Answer,
    ) -> Result<(Vec<u8>, Option<P::Buffer>), Failure> {
        match self.gather_up_to(target, answer, self.bridge.config.max_answer_bytes).await? {
            GatheredBody::Whole(bytes, buffer) => Ok((bytes, buffer)),
            GatheredBody::Long(rest, _) => Err(self.too_long(&rest)),
        }
    }

    /// Reads a response, or the beginning of one that is longer than `most`.
    async fn gather_up_to(
        &mut self,
        target: &Target<'_>,
        answer: P::Answer,
        most: usize,
    ) -> Result<GatheredBody<P>, Failure> {
        let failed = |error| Failure::of(error, FailureStage::BeforeContent);
        let (at, room) = (self.platform.now(), self.answer_room(target)?);
        let gathered = call::gather(self.platform, answer, self.left(target), most, &room).await;
        let gathered = gathered.map_err(|lost| failed(call_failed(lost)))?;
        self.record.apply(Fact::FirstByte { at });
        Ok(gathered)
    }

    /// The failure of a response that is longer than may be held; its call is aborted.
    pub(super) fn too_long(&self, rest: &P::Stream) -> Failure {
        self.platform.abort(rest);
        Failure::of(call::too_long(self.bridge.config.max_answer_bytes), FailureStage::BeforeContent)
    }
}

/// The error of a provider whose format is not in the table.
pub(super) fn unknown_format() -> Error {
    Error::gateway(500, "invalid_configuration", "The provider's adapter is none that can be called.")
}
