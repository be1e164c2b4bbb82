//! What a request asks for, and where it goes. It knows no keys, and waits for nothing.

use super::{Bridge, Receipt, permit};
use crate::adapters::openai::inbound::{self, Ask};
use crate::adapters::openai::served;
use crate::adapters::openai::task::{self, Task};
use crate::adapters::{self, CHAT};
use crate::error::{Error, Result};
use crate::policy::route::{self, Target};

/// What is asked, and where it goes.
///
/// # Errors
/// 400 for what is no request for `task`, or nothing that this provider does; 404 for a model that is not known.
pub(super) fn aim<'b, 'a>(
    bridge: &'b Bridge,
    body: &'a [u8],
    task: &'static Task,
    receipt: &mut Receipt,
) -> Result<(Ask<'a>, Target<'b>)> {
    let ask = inbound::read(body, task)?;
    receipt.model = Some(ask.model.chars().take(200).collect());
    receipt.stream = ask.stream;
    let target = route::resolve(&bridge.config, &ask.model)?;
    receipt.provider = Some(target.provider.name.clone());
    receipt.called = Some(target.upstream.chars().take(200).collect());
    if !serves(task, &target) {
        let message = format!("The provider `{}` has no {}.", target.provider.name, task.name);
        return Err(Error::caller(400, "unsupported_endpoint", message).at("model"));
    }
    // A ceiling holds for everyone, so nobody may lead the provider around it.
    match served::astray(&ask.document, task, true).filter(|_| target.model.max_tokens.is_some()) {
        Some(name) => Err(permit::astray(name)),
        None => Ok((ask, target)),
    }
}

/// Whether a provider does such a thing at all: whoever speaks the same may, and its words decide; of others the tables say so.
fn serves(task: &Task, target: &Target<'_>) -> bool {
    let adapter = target.provider.adapter;
    let embeds =
        || *task == task::EMBEDDING && adapters::upstream(adapter).is_some_and(|format| format.embed.is_some());
    *task == task::CHAT || adapter == CHAT.name || embeds()
}

/// A model's names: as the caller wrote it, and in full.
pub(super) fn names(ask: &Ask<'_>, target: &Target<'_>) -> Vec<String> {
    vec![ask.model.clone(), format!("{}/{}", target.provider.name, target.upstream)]
}
