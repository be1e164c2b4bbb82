//! From a request and its target to an answer: calls the provider, or has the gateway answer itself.

use std::rc::Rc;

use super::attempt::{Attempt, Mode};
use super::call::{self, GatheredBody};
use super::deadlines::{Deadlines, TimerEvent};
use super::gather::{read_answer, too_long};
use super::long_body::LongBodyRelay;
use super::pair::Pair;
use super::peek::HeldStream;
use super::platform::{CallError, Piece as _, Platform, ProviderRequest, ProviderResponse as _};
use super::reader::StreamOptions;
use super::reasoning::ReasoningCache;
use super::record::{Metering, RequestRecord};
use super::relay::StreamRelay;
use super::wait::within;
use super::whole::WholeResponse;
use super::{Body, Bridge, MemoryReservation, Response, StreamBody, embed, memory};
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::formats::envelope::RequestEnvelope;
use crate::formats::operation::OperationKind;
use crate::formats::{ResponseHead, RestreamOptions};
use crate::policy::model_card::ModelCard;
use crate::policy::routing::Target;
use crate::wire::date::is_http_date;

/// A whole answer that the client gets as it is, is held up to so many bytes; a longer one passes in pieces.
const HELD: usize = 4 << 20;

/// Bytes of a refusal that are read.
const REFUSAL: usize = 64 << 10;

/// What becomes of a request.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once; a box would be one allocation for each request"
)]
pub(super) enum Prepared<'m, H: Platform> {
    /// It is answered already.
    Answered(Response<H>),
    /// Its provider has to be called.
    Call(Exchange<'m>),
    /// Its provider has to be called for vectors, in another format.
    Embedding(embed::Exchange),
}

/// A call of a provider, which holds nothing of the client's body, and how its answer is read.
pub(super) struct Exchange<'m> {
    call: ProviderRequest,
    pair: Pair<'m>,
    wanted: StreamOptions,
    stream: bool,
}

/// Makes the call of a provider, or answers at once.
///
/// # Errors
/// 400 for what cannot be said in the provider's format; 503 without the provider's key; as for [`answer`].
pub(super) async fn begin<'m, H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    attempt: Attempt<'_, '_, 'm>,
    receipt: &mut RequestRecord,
) -> Result<Prepared<'m, H>> {
    let (ask, target) = (attempt.envelope, attempt.target);
    let format = match attempt.mode {
        Mode::Local => return super::echo::respond(bridge, host, &attempt, receipt).map(Prepared::Answered),
        Mode::Translate(format) if ask.operation.kind == OperationKind::Embed => {
            return embed::begin(bridge, host, &attempt, format, receipt).map(Prepared::Embedding);
        }
        Mode::Translate(format) | Mode::Passthrough(format) => format,
    };
    let key = bridge.account(target.index).key(&target.provider.name)?;
    let text = bridge.config.logging.fields.shows("response");
    let options = ask.options;
    let wanted =
        StreamOptions { usage: options.include_usage, cost: options.include_cost, choices: options.choices, text };
    let safe = || {
        let account = receipt.key_id.as_deref().unwrap_or_default();
        ReasoningCache::of(bridge.config.vault, account, target, key, host.random_u128())
    };
    let pair = Pair::of(&attempt, format, || head(host, ask), safe);
    let written = match attempt.mode.is_passthrough() {
        true => attempt.pass_through(),
        false => attempt.translate(host, format, pair.safe.as_ref()).await?,
    };
    let call;
    (call, receipt.dropped) = attempt.request(written, format, key);
    receipt.meter = Some(meter(target, &call.body, host.now()));
    Ok(Prepared::Call(Exchange { call, pair, wanted, stream: ask.delivery.is_stream() }))
}

/// Who is called, and by what means.
pub(super) struct Lane<'a, H> {
    pub(super) bridge: &'a Rc<Bridge>,
    pub(super) host: &'a H,
    pub(super) target: &'a Target<'a>,
}

/// Gets the response. `room`: what is reserved for the request.
///
/// # Errors
/// 502, 503, 504, or the provider's own refusal.
pub(super) async fn answer<H: Platform>(
    lane: Lane<'_, H>,
    exchange: Exchange<'_>,
    room: MemoryReservation,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let Lane { bridge, host, target } = lane;
    let Exchange { call, pair, wanted, stream } = exchange;
    room.hold(call.body.len());
    let answer = send(bridge, host, (call, Some(room)), target, pair.upstream.refusal, receipt).await?;
    if stream && !is_document::<H>(&answer) {
        return streamed(&lane, pair, wanted, answer, receipt).await;
    }
    // A long body passes in pieces if nothing of it has to be written.
    let passes = pair.native && !stream;
    let most = if passes { HELD.min(bridge.config.max_answer_bytes) } else { bridge.config.max_answer_bytes };
    let (bytes, buffer) = match read_answer(bridge, host, answer, target, most, receipt).await? {
        GatheredBody::Whole(bytes, buffer) => (bytes, buffer),
        GatheredBody::Long(rest, head) if passes => {
            receipt.status = 200;
            let hears_out = receipt.outlives_client(&target.provider.streaming);
            let until = receipt.started.saturating_add(target.model.clocks.total);
            let usage = pair.upstream.usage;
            let transit = LongBodyRelay::new(usage, hears_out, until, receipt.clone());
            return Ok(Response::json(200, Body::Stream(StreamBody::long(rest, head, transit))));
        }
        GatheredBody::Long(rest, _) => return Err(too_long(bridge, host, &rest)),
    };
    let mut whole = WholeResponse::read(host, pair, &bytes).await;
    receipt.charge_whole(&mut whole.summary);
    whole.summary.check().map_err(|error| bridge.redact(target.index, error))?;
    if stream {
        let cost = wanted.cost.then(|| receipt.told_cost());
        let options = RestreamOptions { usage: wanted.usage == Some(true), cost: cost.as_deref() };
        return whole.into_stream(&bytes, options).map(|body| Response::event_stream(Body::Bytes(body)));
    }
    Ok(Response::json(200, whole.into_body().map_or_else(|| Body::gathered(bytes, buffer), Body::Bytes)))
}

/// Reads a stream until content comes; the rest follows the head of the response.
async fn streamed<H: Platform>(
    lane: &Lane<'_, H>,
    pair: Pair<'_>,
    wanted: StreamOptions,
    answer: H::Answer,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let Lane { bridge, host, target } = *lane;
    let streaming = target.provider.streaming;
    let deadlines = Deadlines::new(target.model.clocks, streaming.keep_alive, receipt.started, host.now());
    receipt.status = 200;
    let channel = pair.stream(&streaming, wanted);
    let mut relay = StreamRelay::new(Rc::clone(bridge), target.index, deadlines, channel, receipt.clone());
    let held = hold_back(host, answer, &mut relay).await.inspect_err(|_| relay.report(receipt));
    let (stream, held) = held.map_err(|error| bridge.redact(target.index, error))?;
    Ok(Response::event_stream(Body::Stream(StreamBody::events(stream, held, relay))))
}

/// The provider speaks a format that is not in the table.
pub(super) fn unknown_format() -> Error {
    Error::gateway(500, "invalid_configuration", "The provider's adapter is none that can be called.")
}

/// Calls a provider, and waits for the head of an answer that is one.
pub(super) async fn send<H: Platform>(
    bridge: &Bridge,
    host: &H,
    (mut call, room): (ProviderRequest, Option<MemoryReservation>),
    target: &Target<'_>,
    refusal: fn(u16, &[u8]) -> Error,
    receipt: &mut RequestRecord,
) -> Result<H::Answer> {
    let clocks = target.model.clocks;
    call.ends_with_client = !receipt.outlives_client(&target.provider.streaming);
    let sent = host.now();
    let first_token = clocks.first_token.filter(|_| call.stream);
    let connect = [clocks.connect, first_token].into_iter().flatten().fold(left(host, target, receipt), Millis::min);
    let answer = call::send(host, call, connect, room).await.map_err(call_failed)?;
    if !(200..300).contains(&answer.status()) {
        let left = left(host, target, receipt);
        return Err(bridge.redact(target.index, refused(host, answer, left, refusal).await));
    }
    receipt.sent = Some(sent);
    Ok(answer)
}

/// What is left of the time for the whole.
pub(super) fn left<H: Platform>(host: &H, target: &Target<'_>, receipt: &RequestRecord) -> Millis {
    receipt.started.saturating_add(target.model.clocks.total).saturating_sub(host.now())
}

/// What the head of an answer says, where its provider says nothing better.
pub(super) fn head<H: Platform>(host: &H, ask: &RequestEnvelope<'_>) -> ResponseHead {
    let (created, include_usage) = (host.now() / 1000, ask.options.include_usage == Some(true));
    ResponseHead {
        random: host.random_u128(),
        created,
        model: ask.model.clone(),
        include_usage,
        include_cost: ask.options.include_cost,
        fingerprint: None,
    }
}

/// Reads a stream up to its first content: until then, a failure can still be told as what it is. A client that would hear nothing for
/// too long gets what there is, and the rest as it comes.
async fn hold_back<H: Platform>(host: &H, answer: H::Answer, relay: &mut StreamRelay) -> Result<(H::Stream, Vec<u8>)> {
    let mut stream = host.open_answer(answer);
    let mut held = HeldStream::default();
    while !relay.has_begun() {
        match within(host, relay.wait(host.now()), host.next(&mut stream)).await {
            Ok(Some(piece)) => {
                let bytes = piece.to_vec();
                let now = host.now();
                let passed = relay.pass(&bytes, now);
                held.push(&passed);
                relay.chunk_event(&bytes, now).iter().for_each(|event| host.log(event));
                if let Some(keepsake) = relay.keepsake() {
                    keepsake.keep(host).await;
                }
                relay.failed_early().and_then(|()| held.check()).inspect_err(|_| host.abort(&stream))?;
                if held.is_in_long_event() {
                    break;
                }
            }
            Ok(None) => {
                relay.ended_early()?;
                break;
            }
            Err(lost @ (CallError::Broken | CallError::Unbound | CallError::NoRoom | CallError::ClientLeft)) => {
                host.abort(&stream);
                return Err(call_failed(lost));
            }
            Err(CallError::TimedOut) => match relay.tick(host.now()) {
                TimerEvent::Over => {
                    host.abort(&stream);
                    return Err(call_failed(CallError::TimedOut));
                }
                TimerEvent::KeepAlive => {
                    held.keep_alive();
                    break;
                }
                TimerEvent::Nothing => {}
            },
        }
    }
    Ok((stream, held.into_bytes()))
}

/// A long prompt is not kept until its answer has ended.
pub(super) const KEPT: usize = 32 << 10;

pub(super) fn meter(target: &Target<'_>, prompt: &Rc<Vec<u8>>, called: Millis) -> Metering {
    let price = ModelCard::of(target.provider, target.model, &target.upstream, called).price;
    let kept = (prompt.len() <= KEPT).then(|| Rc::clone(prompt));
    Metering { price, prompt: (kept, prompt.len() as u64), called }
}

async fn refused<H: Platform>(host: &H, answer: H::Answer, limit: Millis, refusal: fn(u16, &[u8]) -> Error) -> Error {
    let status = answer.status();
    let hints = ["retry-after", "retry-after-ms"].map(|name| (name, answer.header(name)));
    let body = call::read_beginning(host, answer, REFUSAL, limit).await;
    let mut error = refusal(status, &body);
    for (name, value) in hints {
        let is_wait = |value: &String| is_number(value) || (name == "retry-after" && is_http_date(value));
        if let Some(value) = value.filter(is_wait).filter(|_| error.status() == status) {
            error = error.with_header(name, value);
        }
    }
    error
}

/// Whether a provider's hint is a number of seconds, or of milliseconds, within reason.
fn is_number(value: &str) -> bool {
    (1..=10).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Why there is no answer, as an error.
pub fn call_failed(lost: CallError) -> Error {
    match lost {
        CallError::TimedOut => {
            Error::upstream(504, "upstream_timeout", "The provider did not answer in the time allowed.")
        }
        CallError::NoRoom => memory::full(),
        // Nobody reads the words if the client has left.
        CallError::Broken | CallError::Unbound | CallError::ClientLeft => {
            Error::upstream(502, "upstream_unreachable", "The provider could not be reached, or broke the connection.")
        }
    }
}

/// Whether an answer says of itself that it is no stream. One that says nothing, or something odd, is taken for what was asked.
fn is_document<H: Platform>(answer: &H::Answer) -> bool {
    let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    ["application/json", "text/html"].iter().any(|document| kind.starts_with(document))
}
