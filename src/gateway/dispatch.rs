//! From a request and its target to an answer: calls the provider, or has the gateway answer itself.

use std::rc::Rc;

use super::host::{Answer as _, Call, Host, Lost};
use super::receipt::Receipt;
use super::relay::Relay;
use super::{Body, Bridge, Response};
use crate::adapters::echo;
use crate::adapters::openai::inbound::{self, Ask, Encode};
use crate::adapters::openai::outbound;
use crate::chat::Event;
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::policy::route::Target;
use crate::provider::{Secret, scrub};

/// Bytes of a refusal that are read.
const REFUSAL: usize = 64 << 10;

/// Pieces of an answer that the gateway gives itself, each with the pause before it.
pub type Story = std::vec::IntoIter<(Millis, Vec<u8>)>;

/// Gets the answer.
///
/// # Errors
/// 502, 503, 504, or the provider's own refusal.
pub async fn answer<H: Host>(
    bridge: &Rc<Bridge>,
    host: &H,
    ask: Ask<'_>,
    target: Target<'_>,
    receipt: &mut Receipt,
) -> Result<Response<H>> {
    if target.provider.address.is_none() {
        return tell(bridge, host, &ask, &target, receipt);
    }
    let stream = ask.stream;
    let key = bridge.account(target.index).key(&target.provider.name)?;
    let deadline = receipt.started.saturating_add(target.model.timeout);
    let left = || deadline.saturating_sub(host.now());
    let answer = host.send(call(ask, &target, key)?, left()).await.map_err(unanswered)?;
    let words = |error: Error| clean(error, &target, key);
    if !(200..300).contains(&answer.status()) {
        return Err(words(refused(host, answer).await));
    }
    if stream && is_stream::<H>(&answer) {
        let (stream, held, relay) = hold_back(bridge, host, answer, receipt, deadline).await.map_err(words)?;
        return Ok(Response::stream(Body::Overheard(stream, held, relay)));
    }
    let (bytes, buffer) = host.gather(answer, left()).await.map_err(unanswered)?;
    receipt.first_byte = Some(host.now());
    let facts = outbound::reply(&bytes).map_err(words)?;
    receipt.usage = facts.usage;
    Ok(Response::json(200, Body::Buffer(buffer, bytes)))
}

/// Reads a stream up to its first content: until then, a failure can still be told as what it is.
async fn hold_back<H: Host>(
    bridge: &Rc<Bridge>,
    host: &H,
    answer: H::Answer,
    receipt: &mut Receipt,
    deadline: Millis,
) -> Result<(H::Stream, Vec<u8>, Relay)> {
    receipt.status = 200;
    let mut relay = Relay::new(Rc::clone(bridge), receipt.clone(), deadline);
    let stream = host.open(answer);
    let mut held = Vec::new();
    while !relay.has_begun() {
        let left = deadline.saturating_sub(host.now());
        let Some(bytes) = host.next(&stream, left).await.map_err(unanswered)? else {
            relay.ended_early()?;
            break;
        };
        if let Some(line) = relay.push(&bytes, host.now()) {
            host.log(&line);
        }
        held.extend_from_slice(&bytes);
        relay.failed_early()?;
    }
    Ok((stream, held, relay))
}

/// The gateway's own answer.
fn tell<H: Host>(
    bridge: &Rc<Bridge>,
    host: &H,
    ask: &Ask<'_>,
    target: &Target<'_>,
    receipt: &mut Receipt,
) -> Result<Response<H>> {
    let steps = echo::answer(&inbound::chat(ask)?, &target.model.demo);
    let encode = Encode {
        id: format!("chatcmpl-{:032x}", host.dice()),
        created: host.now() / 1000,
        model: target.upstream.clone().into_owned(),
        fingerprint: echo::FINGERPRINT,
        include_usage: ask.include_usage,
    };
    let mut text = String::new();
    let mut whole = Vec::new();
    for (_, event) in &steps {
        match event {
            Event::Text(piece) => text.push_str(piece),
            Event::End { finish, usage } => {
                receipt.usage = Some(*usage);
                whole = encode.reply(&text, *finish, *usage);
            }
        }
    }
    if !ask.stream {
        return Ok(Response::json(200, Body::Bytes(whole)));
    }
    receipt.status = 200;
    let mut frames = vec![(0, encode.start())];
    frames.extend(steps.iter().map(|(pause, event)| (*pause, encode.event(event))));
    Ok(Response::stream(Body::Told(frames.into_iter(), Relay::new(Rc::clone(bridge), receipt.clone(), Millis::MAX))))
}

fn call(mut ask: Ask<'_>, target: &Target<'_>, key: Option<&Secret>) -> Result<Call> {
    outbound::prepare(&mut ask.document, target.model, &target.upstream)?;
    let url = target.provider.address.as_ref().map(|address| address.join(outbound::ENDPOINT)).unwrap_or_default();
    let mut headers = target.provider.headers.clone();
    if let Some(key) = key {
        headers.push(("authorization".to_owned(), format!("Bearer {}", key.reveal())));
    }
    Ok(Call { url, headers, body: ask.document.render().into_owned(), stream: ask.stream })
}

async fn refused<H: Host>(host: &H, answer: H::Answer) -> Error {
    let status = answer.status();
    let hints = ["retry-after", "retry-after-ms"].map(|name| (name, answer.header(name)));
    let body = host.peek(answer, REFUSAL).await;
    let mut error = outbound::refusal(status, &body);
    for (name, value) in hints {
        if let Some(value) = value.filter(|_| error.status() == status) {
            error = error.with_header(name, value);
        }
    }
    error
}

fn clean(error: Error, target: &Target<'_>, key: Option<&Secret>) -> Error {
    match scrub(error.message(), target.provider, key) {
        Some(message) => error.reworded(message),
        None => error,
    }
}

fn unanswered(lost: Lost) -> Error {
    match lost {
        Lost::TimedOut => Error::upstream(504, "upstream_timeout", "The provider did not answer in the time allowed."),
        Lost::Broken => {
            Error::upstream(502, "upstream_unreachable", "The provider could not be reached, or broke the connection.")
        }
    }
}

fn is_stream<H: Host>(answer: &H::Answer) -> bool {
    answer.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
}
