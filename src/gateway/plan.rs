//! What a request asks for, and where it goes.

use super::attempt::Mode;
use super::refusal;
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::operation::RequestEnvelope;
use crate::policy::routing::Target;

/// A request whose target is known.
pub(super) struct Plan<'b, 'a> {
    pub(super) envelope: RequestEnvelope<'a>,
    pub(super) target: Target<'b>,
    pub(super) mode: Mode,
}

impl<'b, 'a> Plan<'b, 'a> {
    /// Plans to send a request to a target.
    ///
    /// # Errors
    /// 400 for what the provider does not support, and for a field by which a caller could exceed the model's
    /// limit.
    pub(super) fn new(client: &ClientFormat, envelope: RequestEnvelope<'a>, target: Target<'b>) -> Result<Self> {
        let operation = envelope.operation;
        let mode = Mode::choose(client, &envelope, &target).ok_or_else(|| {
            let message = format!("The provider `{}` has no {}.", target.provider.name, operation.name);
            Error::caller(400, "unsupported_endpoint", message).at("model")
        })?;
        // The operator's limit holds for everyone.
        let stray = (client.rules.stray_field)(&envelope.document, operation.unique_fields, true);
        match stray {
            Some(name) if target.model.max_tokens.is_some() => Err(refusal::stray_field(name)),
            Some(_) | None => Ok(Self { envelope, target, mode }),
        }
    }
}

/// A model's names: as the caller wrote it, and in full.
pub(super) fn names(envelope: &RequestEnvelope<'_>, target: &Target<'_>) -> Vec<String> {
    vec![envelope.model.name.clone(), format!("{}/{}", target.provider.name, target.upstream)]
}
