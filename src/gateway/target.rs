//! What a request asks for, and where it goes. It knows no keys, and waits for nothing.

use super::attempt::Mode;
use super::{Bridge, RequestRecord, refusal};
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::envelope::RequestEnvelope;
use crate::formats::operation::Operation;
use crate::policy::routing::{self, Target};

/// A request whose target is known.
pub(super) struct ResolvedRequest<'b, 'a> {
    pub(super) envelope: RequestEnvelope<'a>,
    pub(super) target: Target<'b>,
    pub(super) mode: Mode,
}

/// Reads a request and finds its target.
///
/// # Errors
/// 400 for a body that is not as the operation wants it, and for what the provider does not support; 404 for an unknown model.
pub(super) fn resolve_target<'b, 'a>(
    bridge: &'b Bridge,
    body: &'a [u8],
    client: &ClientFormat,
    operation: &'static Operation,
    receipt: &mut RequestRecord,
) -> Result<ResolvedRequest<'b, 'a>> {
    let envelope = operation.read(body)?;
    receipt.model = Some(envelope.model.chars().take(200).collect());
    receipt.stream = envelope.delivery.is_stream();
    let target = routing::resolve(&bridge.config, &envelope.model)?;
    receipt.provider = Some(target.provider.name.clone());
    receipt.called = Some(target.upstream.chars().take(200).collect());
    let mode = Mode::choose(client, &envelope, &target).ok_or_else(|| {
        let message = format!("The provider `{}` has no {}.", target.provider.name, operation.name);
        Error::caller(400, "unsupported_endpoint", message).at("model")
    })?;
    // A ceiling holds for everyone, so nobody may lead the provider around it.
    let stray = (client.rules.stray_field)(&envelope.document, operation.unique_fields, true);
    match stray {
        Some(name) if target.model.max_tokens.is_some() => Err(refusal::astray(name)),
        Some(_) | None => Ok(ResolvedRequest { envelope, target, mode }),
    }
}

/// A model's names: as the caller wrote it, and in full.
pub(super) fn names(ask: &RequestEnvelope<'_>, target: &Target<'_>) -> Vec<String> {
    vec![ask.model.clone(), format!("{}/{}", target.provider.name, target.upstream)]
}
