//! Embeddings of a provider whose format is another than the client's. It knows neither.

use std::rc::Rc;

use super::attempt::{Attempt, sparse};
use super::dispatch::{KEPT, send};
use super::gather::gather;
use super::pair::ESTIMATED;
use super::platform::{Platform, ProviderRequest};
use super::record::{Metering, RequestRecord};
use super::{Body, Bridge, MemoryReservation, Response};
use crate::error::{Error, Result};
use crate::formats::{EmbedCall, EmbeddingContext, EmbeddingForm, ProviderFormat};
use crate::policy::routing::Target;
use crate::policy::tokens;

/// A call for vectors, which holds nothing of the client's body, and how its answer is read.
pub(super) struct Exchange {
    call: ProviderRequest,
    upstream: &'static ProviderFormat,
    embed: &'static EmbedCall,
    form: EmbeddingForm,
    /// The length of the texts as JSON, in bytes.
    question: u64,
}

/// Makes the call.
///
/// # Errors
/// 400 for what the provider cannot be asked; 503 without its key.
pub(super) fn begin<H: Platform>(
    bridge: &Bridge,
    host: &H,
    attempt: &Attempt<'_, '_, '_>,
    upstream: &'static ProviderFormat,
    receipt: &mut RequestRecord,
) -> Result<Exchange> {
    let (ask, target) = (attempt.envelope, attempt.target);
    let embed = upstream
        .embed
        .as_ref()
        .ok_or_else(|| Error::caller(400, "unsupported_endpoint", "This provider has no embeddings.").at("model"))?;
    let key = bridge.account(target.index).key(&target.provider.name)?;
    let (written, form) = (embed.write)(sparse(&ask.document)?, &target.upstream)?;
    let call;
    (call, receipt.dropped) = attempt.request(attempt.with_edits(written)?, upstream, key);
    let question = ask.document.value(ask.operation.question_field).unwrap_or_default().len() as u64;
    // The client's words, for the provider's are not read when tokens are counted.
    let asked = ask.document.bytes();
    let kept = (asked.len() <= KEPT).then(|| Rc::new(asked.to_vec()));
    let price = attempt.card.price;
    receipt.meter = Some(Metering { price, prompt: (kept, question), called: host.now() });
    Ok(Exchange { call, upstream, embed, form, question })
}

/// Gets the vectors. `room`: what is reserved for the request.
///
/// # Errors
/// As for a chat.
pub(super) async fn answer<H: Platform>(
    bridge: &Bridge,
    host: &H,
    Exchange { call, upstream, embed, form, question }: Exchange,
    room: MemoryReservation,
    target: &Target<'_>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    room.hold(call.body.len());
    let answer = send(bridge, host, (call, Some(room)), target, upstream.refusal, receipt).await?;
    let (bytes, _) = gather(bridge, host, answer, target, receipt).await?;
    let told = EmbeddingContext { form, model: &target.upstream, estimate: tokens::estimate_from_bytes(question) };
    let (body, usage) = (embed.whole)(&bytes, &told).map_err(|error| bridge.redact(target.index, error))?;
    receipt.charge(usage, None, &[], 0);
    let mut response = Response::json(200, Body::Bytes(body));
    response.headers.extend(usage.is_none().then(|| (ESTIMATED, "true".to_owned())));
    Ok(response)
}
