//! What a request asks for, and where it goes. It knows no keys, and waits for nothing.

use super::{Bridge, RequestRecord, refusal};
use crate::error::{Error, Result};
use crate::formats::envelope::RequestEnvelope;
use crate::formats::operation::{Operation, OperationKind};
use crate::formats::{self, ClientFormat};
use crate::policy::routing::{self, Target};

/// What is asked, and where it goes.
///
/// # Errors
/// 400 for what is no request for `task`, or nothing that this provider does; 404 for a model that is not known.
pub(super) fn aim<'b, 'a>(
    bridge: &'b Bridge,
    body: &'a [u8],
    (client, task): (&ClientFormat, &'static Operation),
    receipt: &mut RequestRecord,
) -> Result<(RequestEnvelope<'a>, Target<'b>)> {
    let ask = task.read(body)?;
    receipt.model = Some(ask.model.chars().take(200).collect());
    receipt.stream = ask.delivery.is_stream();
    let target = routing::resolve(&bridge.config, &ask.model)?;
    receipt.provider = Some(target.provider.name.clone());
    receipt.called = Some(target.upstream.chars().take(200).collect());
    if !serves(client, task, &target) {
        let message = format!("The provider `{}` has no {}.", target.provider.name, task.name);
        return Err(Error::caller(400, "unsupported_endpoint", message).at("model"));
    }
    // A ceiling holds for everyone, so nobody may lead the provider around it.
    let stray = (client.rules.stray_field)(&ask.document, task.unique_fields, true);
    match stray.filter(|_| target.model.max_tokens.is_some()) {
        Some(name) => Err(refusal::astray(name)),
        None => Ok((ask, target)),
    }
}

/// Whether a provider does such a thing at all: whoever speaks the same may, and its words decide; of others the tables say so.
fn serves(client: &ClientFormat, task: &Operation, target: &Target<'_>) -> bool {
    let adapter = target.provider.adapter;
    let embeds = || {
        task.kind == OperationKind::Embed
            && formats::provider_format(adapter).is_some_and(|format| format.embed.is_some())
    };
    task.conversation.is_some() || adapter == client.name || embeds()
}

/// A model's names: as the caller wrote it, and in full.
pub(super) fn names(ask: &RequestEnvelope<'_>, target: &Target<'_>) -> Vec<String> {
    vec![ask.model.clone(), format!("{}/{}", target.provider.name, target.upstream)]
}
