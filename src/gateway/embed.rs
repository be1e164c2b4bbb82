//! Embeddings of a provider whose format is another than the client's. It knows neither.

use std::rc::Rc;

use super::dispatch::{KEPT, send};
use super::dropped_fields::DroppedFields;
use super::gather::gather;
use super::pair::{ESTIMATED, Manner, finish, posted, sparse};
use super::platform::{Platform, ProviderRequest};
use super::record::{Metering, RequestRecord};
use super::{Body, Bridge, MemoryReservation, Response};
use crate::error::{Error, Result};
use crate::formats::envelope::RequestEnvelope;
use crate::formats::{self, EmbedCall, EmbeddingContext, EmbeddingForm, ProviderFormat};
use crate::policy::routing::Target;
use crate::policy::{pricing, tokens};

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
    ask: &RequestEnvelope<'_>,
    target: &Target<'_>,
    manner: &Manner<'_>,
    receipt: &mut RequestRecord,
) -> Result<Exchange> {
    let upstream = formats::provider_format(target.provider.adapter);
    let (upstream, embed) = upstream
        .and_then(|upstream| Some((upstream, upstream.embed.as_ref()?)))
        .ok_or_else(|| Error::caller(400, "unsupported_endpoint", "This provider has no embeddings.").at("model"))?;
    let key = bridge.account(target.index).key(&target.provider.name)?;
    let (written, form) = (embed.write)(sparse(&ask.document)?, &target.upstream)?;
    let written = finish(written, target, manner)?;
    receipt.dropped = DroppedFields::of(&written.dropped);
    let question = ask.document.value(ask.operation.question_field).unwrap_or_default().len() as u64;
    // The client's words, for the provider's are not read when tokens are counted.
    let asked = ask.document.bytes();
    let kept = (asked.len() <= KEPT).then(|| Rc::new(asked.to_vec()));
    let price = pricing::card(target.provider, target.model, &target.upstream).price;
    receipt.meter = Some(Metering { price, prompt: (kept, question), called: host.now() });
    Ok(Exchange { call: posted(written, target, key, upstream), upstream, embed, form, question })
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
