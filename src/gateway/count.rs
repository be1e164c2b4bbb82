//! Answers how many tokens a prompt has, in the client's own format: the provider's count where it has one, else an estimate.

use super::dispatch::send;
use super::dropped_fields::DroppedFields;
use super::gather::gather;
use super::inference::aimed;
use super::pair::{DROPPED, ESTIMATED, Manner, posted, sparse, tells_all};
use super::platform::{Platform, ProviderRequest};
use super::target::names;
use super::{AdmittedRequest, Body, Bridge, MemoryReservation, RequestRecord, Response, count_admission, read_body};
use crate::error::{Error, Result};
use crate::formats::envelope::RequestEnvelope;
use crate::formats::operation::Operation;
use crate::formats::tally::{self, TokenTally};
use crate::formats::{self, CHAT, CountCall, ProviderFormat, WriteTarget, WrittenRequest};
use crate::policy::routing::Target;
use crate::policy::tokens;
use crate::wire::json::{Document, quote};

/// Answers a question for a count. It costs nothing and leaves no receipt, but is admitted inside the key's limits.
///
/// # Errors
/// As for a chat; 503 if the vocabulary cannot be loaded.
pub async fn answer<H: Platform>(
    bridge: &Bridge,
    host: &H,
    admitted: AdmittedRequest<'_, H>,
    operation: &'static Operation,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let AdmittedRequest { request, client, caller } = admitted;
    let manner = Manner::new(client, request.header);
    let question = manner.client.write_count.ok_or_else(|| unsupported("Clients of this format do not count."))?;
    let body = read_body(bridge, host, request).await?;
    let (ask, target) = aimed(bridge, host, &body, (client, operation), &caller, receipt).await?;
    let models = names(&ask, &target);
    let subject = count_admission::CountSubject { models, body: body.len() as u64 };
    let leave = count_admission::admit(bridge, host, &caller, subject).await?;
    let upstream = formats::provider_format(target.provider.adapter);
    let theirs = upstream.and_then(|upstream| Some((upstream, upstream.count.as_ref()?)));
    // While somebody is waited for, nothing is held of the client's body.
    let answer = match theirs {
        Some(theirs) => match call(bridge, (ask, &target), &manner, theirs, receipt) {
            Ok(call) => ask_provider(bridge, host, call, body.into_room(), (question, theirs), &target, receipt).await,
            Err(error) => Err(error),
        },
        None => match texts(&ask, &target) {
            Ok(tally) => estimate(host, tally, body.into_room(), &target, question).await,
            Err(error) => Err(error),
        },
    };
    count_admission::release(host, leave).await;
    answer
}

/// The call of a provider for its count, and whether its format is the client's.
fn call(
    bridge: &Bridge,
    (mut ask, target): (RequestEnvelope<'_>, &Target<'_>),
    manner: &Manner<'_>,
    (upstream, count): (&ProviderFormat, &CountCall),
    receipt: &mut RequestRecord,
) -> Result<(ProviderRequest, bool)> {
    let key = bridge.account(target.index).key(&target.provider.name)?;
    let own = |word: &str| memchr::memmem::find(ask.document.bytes(), word.as_bytes()).is_some();
    let native = upstream.kind.name == manner.client.name && !manner.client.own.is_some_and(own);
    let mut call = if native {
        let name = quote(&target.upstream);
        if ask.document.value("model") != Some(&name) {
            ask.document.set("model", name);
        }
        let body = ask.document.render().into_owned();
        let written =
            WrittenRequest { path: ask.operation.path.to_owned(), headers: Vec::new(), body, dropped: Vec::new() };
        posted(written, target, key, upstream)
    } else {
        let request = ask.operation.read_conversation(sparse(&ask.document)?)?;
        let written =
            (count.write)(&request, WriteTarget { model: &target.upstream, max_output: None, limit_field: None })?;
        tells_all(&written, target, manner)?;
        receipt.dropped = DroppedFields::of(&written.dropped);
        posted(written, target, key, upstream)
    };
    if native {
        call.headers.extend(manner.carried());
    }
    Ok((call, native))
}

/// Asks the provider. `room`: what is reserved for the request.
async fn ask_provider<H: Platform>(
    bridge: &Bridge,
    host: &H,
    (call, native): (ProviderRequest, bool),
    room: MemoryReservation,
    (question, (upstream, count)): (fn(u64) -> Vec<u8>, (&ProviderFormat, &CountCall)),
    target: &Target<'_>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    room.hold(call.body.len());
    let answer = send(bridge, host, (call, Some(room)), target, upstream.refusal, receipt).await?;
    let (bytes, buffer) = gather(bridge, host, answer, target, receipt).await?;
    let tokens = (count.read)(&bytes).map_err(|error| bridge.redact(target.index, error))?;
    let body = if native { Body::gathered(bytes, buffer) } else { Body::Bytes(question(tokens)) };
    let mut response = Response::json(200, body);
    response.headers.extend(receipt.dropped.take().map(|dropped| (DROPPED, dropped.header)));
    Ok(response)
}

/// The texts of the chat that it would be.
fn texts(ask: &RequestEnvelope<'_>, target: &Target<'_>) -> Result<TokenTally> {
    let chat = formats::provider_format(CHAT.name).ok_or_else(|| unsupported("Nothing is counted here."))?;
    let request = ask.operation.read_conversation(sparse(&ask.document)?)?;
    let written = (chat.write)(&request, WriteTarget { model: &target.upstream, max_output: None, limit_field: None })?;
    let document = Document::read(&written.body).map_err(|_| unsupported("This prompt cannot be counted."))?;
    tally::chat(&document)
}

/// Counts texts. `room`: what is reserved for the request.
async fn estimate<H: Platform>(
    host: &H,
    tally: TokenTally,
    room: MemoryReservation,
    target: &Target<'_>,
    question: fn(u64) -> Vec<u8>,
) -> Result<Response<H>> {
    room.hold(tally.texts.iter().map(String::len).sum());
    let (counts, _) = count_admission::count(host, tokens::choose(&target.upstream).encoding, tally.texts).await?;
    let tokens = counts.iter().fold(tally.besides, |sum, count| sum.saturating_add(*count));
    let mut response = Response::json(200, Body::Bytes(question(tokens)));
    response.headers.push((ESTIMATED, "true".to_owned()));
    Ok(response)
}

fn unsupported(message: &str) -> Error {
    Error::caller(400, "unsupported_endpoint", message)
}
