//! From a request and its target to an answer: calls the provider, or has the gateway answer itself.

use std::rc::Rc;

use super::deadlines::{Deadlines, TimerEvent};
use super::gather::{read_answer, too_long};
use super::long_body::LongBodyRelay;
use super::pair::{Manner, Pair};
use super::peek::HeldStream;
use super::platform::{CallError, GatheredBody, Platform, ProviderRequest, ProviderResponse as _};
use super::reasoning::ReasoningCache;
use super::record::{Metering, RequestRecord};
use super::relay::{StreamOptions, StreamRelay};
use super::translate::ResponseSummary;
use super::{Body, Bridge, MemoryReservation, Response, embed, memory};
use crate::config::{Millis, StreamUsage};
use crate::error::{Error, Result};
use crate::formats::bounds::{Edit, LimitNames};
use crate::formats::envelope::RequestEnvelope;
use crate::formats::openai::{inbound, outbound};
use crate::formats::operation::{Operation, OperationKind};
use crate::formats::{self, CHAT, ResponseHead, echo};
use crate::policy::pricing;
use crate::policy::routing::Target;
use crate::provider::ProviderKey;
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
    pair: Option<Pair<'m>>,
    wanted: StreamOptions,
    task: &'static Operation,
    stream: bool,
}

/// Makes the call of a provider, or answers at once.
///
/// # Errors
/// 400 for what cannot be said in the provider's format; 503 without the provider's key; as for [`answer`].
pub(super) async fn begin<'m, H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    ask: RequestEnvelope<'_>,
    target: &Target<'_>,
    manner: &'m Manner<'m>,
    receipt: &mut RequestRecord,
) -> Result<Prepared<'m, H>> {
    if ask.operation.kind == OperationKind::Embed && target.provider.adapter != CHAT.name {
        return embed::begin(bridge, host, &ask, target, manner, receipt).map(Prepared::Embedding);
    }
    if target.provider.adapter == echo::KIND.name {
        let head = ResponseHead { model: target.upstream.clone().into_owned(), ..head(host, &ask) };
        return super::echo::respond(bridge, host, (&ask, head), target, manner, receipt).map(Prepared::Answered);
    }
    let key = bridge.account(target.index).key(&target.provider.name)?;
    let wanted = StreamOptions {
        usage: ask.options.include_usage,
        cost: ask.options.include_cost,
        choices: ask.options.choices,
    };
    let (task, stream) = (ask.operation, ask.delivery.is_stream());
    let safe = || {
        let account = receipt.key_id.as_deref().unwrap_or_default();
        ReasoningCache::of(bridge.config.vault, account, target, key, host.random_u128())
    };
    let pair = Pair::of(manner, target, ask.document.bytes(), || head(host, &ask), safe);
    let call = match &pair {
        None => call(&ask, target, key),
        Some(pair) => pair.call(host, &ask, target, key, receipt).await?,
    };
    receipt.meter = Some(meter(target, &call.body, host.now()));
    Ok(Prepared::Call(Exchange { call, pair, wanted, task, stream }))
}

/// Gets the answer. `room`: what is reserved for the request.
///
/// # Errors
/// 502, 503, 504, or the provider's own refusal.
pub(super) async fn answer<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    Exchange { call, pair, wanted, task, stream }: Exchange<'_>,
    room: MemoryReservation,
    target: &Target<'_>,
    manner: &Manner<'_>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    room.hold(call.body.len());
    let clocks = target.model.clocks;
    let refusal = pair.as_ref().map_or(outbound::refusal as fn(_, &_) -> _, Pair::refusal);
    let answer = send(bridge, host, (call, Some(room)), target, refusal, receipt).await?;
    if stream && !is_document::<H>(&answer) {
        let watch = Deadlines::new(clocks, target.provider.streaming.keep_alive, receipt.started, host.now());
        receipt.status = 200;
        let mut relay = match pair {
            None => StreamRelay::new(Rc::clone(bridge), target.index, watch, wanted, receipt.clone()),
            Some(pair) => {
                let listen = pair.stream(bridge.config.logging.fields.shows("response"));
                StreamRelay::listening(Rc::clone(bridge), target.index, watch, listen, receipt.clone())
            }
        };
        let held = hold_back(host, answer, &mut relay).await.inspect_err(|_| relay.report(receipt));
        let (stream, held) = held.map_err(|error| bridge.redact(target.index, error))?;
        return Ok(Response::event_stream(Body::Overheard(stream, held, relay)));
    }
    let is_native = pair.as_ref().is_none_or(Pair::is_native) && !stream;
    let most = if is_native { HELD.min(bridge.config.max_answer_bytes) } else { bridge.config.max_answer_bytes };
    let usage = pair.as_ref().map_or(formats::CHAT_USAGE, Pair::usage);
    let (bytes, buffer) = match read_answer(bridge, host, answer, target, most, receipt).await? {
        GatheredBody::Whole(bytes, buffer) => (bytes, buffer),
        GatheredBody::Long(rest, head) if is_native => {
            receipt.status = 200;
            let hears_out = receipt.outlives_client(&target.provider.streaming);
            let until = receipt.started.saturating_add(clocks.total);
            let transit = LongBodyRelay::new(Rc::clone(bridge), usage, hears_out, until, receipt.clone());
            return Ok(Response::json(200, Body::Carried(rest, head, transit)));
        }
        GatheredBody::Long(rest, _) => return Err(too_long(bridge, host, &rest)),
    };
    let (body, facts) = match pair {
        Some(pair) => pair.whole(host, &bytes, stream).await,
        None => heard(task, &bytes),
    };
    if body.is_ok() || facts.usage.is_some() {
        receipt.charge(facts.usage, facts.tier.as_deref(), &facts.words, facts.said);
    }
    receipt.served = facts.model;
    Ok(match body.map_err(|error| bridge.redact(target.index, error))? {
        None if stream && manner.chats() => streamed(&bytes, wanted, receipt)?,
        Some(body) if stream && manner.chats() => streamed(&body, wanted, receipt)?,
        Some(body) if stream => Response::event_stream(Body::Bytes(body)),
        None => Response::json(200, Body::gathered(bytes, buffer)),
        Some(body) => Response::json(200, Body::Bytes(body)),
    })
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
    let answer = host.send(call, connect, room).await.map_err(call_failed)?;
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
fn head<H: Platform>(host: &H, ask: &RequestEnvelope<'_>) -> ResponseHead {
    let (created, include_usage) = (host.now() / 1000, ask.options.include_usage == Some(true));
    ResponseHead {
        random: host.random_u128(),
        created,
        model: ask.model.clone(),
        include_usage,
        include_cost: ask.options.include_cost,
    }
}

/// A whole answer that the client gets as it is.
fn heard(task: &Operation, bytes: &[u8]) -> (Result<Option<Vec<u8>>>, ResponseSummary) {
    let Some(read) = task.read_response else { return (Ok(None), ResponseSummary::default()) };
    match read(bytes) {
        Ok(facts) => (facts.check().map(|()| None), facts.into()),
        Err(error) => (Err(error), ResponseSummary::default()),
    }
}

/// A whole answer where a stream was asked for.
///
/// # Errors
/// 502 if it cannot be told as one: its JSON is beyond what is read here (half a surrogate, a number without bounds, hundreds of levels).
fn streamed<H: Platform>(body: &[u8], wanted: StreamOptions, receipt: &RequestRecord) -> Result<Response<H>> {
    let cost = wanted.cost.then(|| receipt.told_cost());
    let told = inbound::as_stream(body, wanted.usage == Some(true), cost.as_deref());
    let told = told.ok_or_else(|| {
        let message = "The provider answered with a whole answer that cannot be told as the stream that was asked for.";
        Error::upstream(502, "upstream_invalid_response", message)
    })?;
    Ok(Response::event_stream(Body::Bytes(told)))
}

/// Reads a stream up to its first content: until then, a failure can still be told as what it is. A client that would hear nothing for
/// too long gets what there is, and the rest as it comes.
async fn hold_back<H: Platform>(host: &H, answer: H::Answer, relay: &mut StreamRelay) -> Result<(H::Stream, Vec<u8>)> {
    let stream = host.open(answer);
    let mut held = HeldStream::default();
    while !relay.has_begun() {
        match host.next(&stream, relay.wait(host.now())).await {
            Ok(Some(bytes)) => {
                let (passed, line) = relay.pass(&bytes, host.now());
                held.push(&passed);
                line.iter().for_each(|line| host.log(line));
                if let Some(keepsake) = relay.keepsake() {
                    keepsake.keep(host).await;
                }
                relay.failed_early().and_then(|()| held.check()).inspect_err(|_| host.cancel(&stream))?;
                if held.is_in_long_event() {
                    break;
                }
            }
            Ok(None) => {
                relay.ended_early()?;
                break;
            }
            Err(lost @ (CallError::Broken | CallError::Unbound | CallError::NoRoom | CallError::ClientLeft)) => {
                host.cancel(&stream);
                return Err(call_failed(lost));
            }
            Err(CallError::TimedOut) => match relay.tick(host.now()) {
                TimerEvent::Over => {
                    host.cancel(&stream);
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
    let price = pricing::card(target.provider, target.model, &target.upstream).price;
    let kept = (prompt.len() <= KEPT).then(|| Rc::clone(prompt));
    Metering { price, prompt: (kept, prompt.len() as u64), called }
}

/// Makes the edits of a request that is edited in place.
pub(super) fn prepare(
    ask: &mut RequestEnvelope<'_>,
    target: &Target<'_>,
    manner: &Manner<'_>,
    names: &LimitNames<'_>,
    silent: bool,
) {
    let asks = ask.options.include_usage == Some(true) && !ask.options.include_cost;
    let told = ask.delivery.is_stream() && !asks && target.provider.streaming.usage != StreamUsage::Leave;
    let edit = Edit {
        row: target.model,
        model: &target.upstream,
        limit_names: *names,
        allows_zero_limit: silent,
        asks_for_usage: ask.options.include_cost || told,
    };
    (manner.client.rules.edit)(&mut ask.document, &edit);
}

fn call(ask: &RequestEnvelope<'_>, target: &Target<'_>, key: Option<&ProviderKey>) -> ProviderRequest {
    let mut headers = target.provider.headers.clone();
    if let Some(key) = key {
        headers.push(("authorization".to_owned(), format!("Bearer {}", key.reveal())));
    }
    ProviderRequest {
        url: target.provider.address.as_ref().map(|address| address.join(ask.operation.path)).unwrap_or_default(),
        headers,
        body: Rc::new(ask.document.render().into_owned()),
        stream: ask.delivery.is_stream(),
        ends_with_client: true,
    }
}

async fn refused<H: Platform>(host: &H, answer: H::Answer, within: Millis, refusal: fn(u16, &[u8]) -> Error) -> Error {
    let status = answer.status();
    let hints = ["retry-after", "retry-after-ms"].map(|name| (name, answer.header(name)));
    let body = host.peek(answer, REFUSAL, within).await;
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
