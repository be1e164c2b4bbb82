//! Embeddings of a provider whose format is another than the client's. It knows neither.

use std::rc::Rc;

use super::dispatch::{KEPT, send};
use super::gather::gather;
use super::host::{Call, Host};
use super::names::Dropped;
use super::pair::{ESTIMATED, Manner, finish, posted, sparse};
use super::receipt::{Meter, Receipt};
use super::{Body, Bridge, Reservation, Response};
use crate::adapters::openai::inbound::Ask;
use crate::adapters::{self, Embed, Embedded, Form, Upstream};
use crate::error::{Error, Result};
use crate::policy::route::Target;
use crate::policy::{price, tokens};

/// A call for vectors, which holds nothing of the client's body, and how its answer is read.
pub(super) struct Exchange {
    call: Call,
    upstream: &'static Upstream,
    embed: &'static Embed,
    form: Form,
    /// The length of the texts as JSON, in bytes.
    question: u64,
}

/// Makes the call.
///
/// # Errors
/// 400 for what the provider cannot be asked; 503 without its key.
pub(super) fn begin<H: Host>(
    bridge: &Bridge,
    host: &H,
    ask: &Ask<'_>,
    target: &Target<'_>,
    manner: &Manner<'_>,
    receipt: &mut Receipt,
) -> Result<Exchange> {
    let upstream = adapters::upstream(target.provider.adapter);
    let (upstream, embed) = upstream
        .and_then(|upstream| Some((upstream, upstream.embed.as_ref()?)))
        .ok_or_else(|| Error::caller(400, "unsupported_endpoint", "This provider has no embeddings.").at("model"))?;
    let key = bridge.account(target.index).key(&target.provider.name)?;
    let (written, form) = (embed.write)(sparse(&ask.document)?, &target.upstream)?;
    let written = finish(written, target, manner)?;
    receipt.dropped = Dropped::of(&written.dropped);
    let question = ask.document.value(ask.task.field).unwrap_or_default().len() as u64;
    // The client's words, for the provider's are not read when tokens are counted.
    let asked = ask.document.bytes();
    let kept = (asked.len() <= KEPT).then(|| Rc::new(asked.to_vec()));
    let price = price::card(target.provider, target.model, &target.upstream).price;
    receipt.meter = Some(Meter { price, prompt: (kept, question), called: host.now() });
    Ok(Exchange { call: posted(written, target, key, upstream), upstream, embed, form, question })
}

/// Gets the vectors. `room`: what is reserved for the request.
///
/// # Errors
/// As for a chat.
pub(super) async fn answer<H: Host>(
    bridge: &Bridge,
    host: &H,
    Exchange { call, upstream, embed, form, question }: Exchange,
    room: Reservation,
    target: &Target<'_>,
    receipt: &mut Receipt,
) -> Result<Response<H>> {
    room.hold(call.body.len());
    let answer = send(bridge, host, (call, Some(room)), target, upstream.refusal, receipt).await?;
    let (bytes, _) = gather(bridge, host, answer, target, receipt).await?;
    let told = Embedded { form, model: &target.upstream, estimate: tokens::rough(question) };
    let (body, usage) = (embed.whole)(&bytes, &told).map_err(|error| bridge.clean(target.index, error))?;
    receipt.charge(usage, None, &[], 0);
    let mut response = Response::json(200, Body::Bytes(body));
    response.headers.extend(usage.is_none().then(|| (ESTIMATED, "true".to_owned())));
    Ok(response)
}
