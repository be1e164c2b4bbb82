//! What a request asks for, where it goes, and the most that it can take. It knows no keys, and waits for nothing.

use super::{Bridge, Need, Receipt};
use crate::adapters::openai::inbound::{self, Ask};
use crate::adapters::openai::task::{self, Task};
use crate::adapters::openai::{outbound, tally};
use crate::adapters::{self, CHAT};
use crate::error::{Error, Result};
use crate::policy::price;
use crate::policy::route::{self, Target};

/// What is asked, and where it goes.
///
/// # Errors
/// 400 for what is no request for `task`, or nothing that this provider does; 404 for a model that is not known.
pub(super) fn aim<'a>(
    bridge: &'a Bridge,
    body: &'a [u8],
    task: &'static Task,
    receipt: &mut Receipt,
) -> Result<(Ask<'a>, Target<'a>)> {
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
    Ok((ask, target))
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

/// The most that a request can take. What a prompt can be is bounded by the model's context. Tokens of a minute are promised by the bytes of
/// the body alone, for a token has at least one.
pub(super) fn need(ask: &Ask<'_>, target: &Target<'_>, body: &[u8]) -> Need {
    let card = price::card(target.provider, target.model, &target.upstream);
    let each = |tokens: u64| tokens.saturating_mul(ask.questions.max(1));
    let context = card.context.map_or(u64::MAX, each);
    let input = tally::bound(body, &ask.document).min(context);
    // What the operator's edits bring is not looked into.
    let may_be_kept_long = || !target.model.params.is_empty() || tally::may_be_kept_long(body);
    let drawn = ask.drawn.max(1);
    let ceiling = target.model.max_tokens.map(|ceiling| ceiling.saturating_mul(drawn));
    let longest = card.max_output.or(card.context).map(|longest| longest.saturating_mul(drawn));
    let asked = outbound::longest(&ask.document, drawn);
    let asked = asked.map(|asked| ceiling.map_or(asked, |ceiling| asked.min(ceiling)));
    let output = if ask.task.tells { [asked, longest].into_iter().flatten().min() } else { Some(0) };
    let cost = card.price.zip(output).map(|(price, output)| {
        let (usual, kept_long) = (price.bound(input, output, false), price.bound(input, output, true));
        // A body is not searched for nothing.
        if kept_long > usual && may_be_kept_long() { kept_long } else { usual }
    });
    let body = body.len() as u64;
    Need {
        models: names(ask, target),
        body,
        tokens: body.min(context).saturating_add(output.unwrap_or(0)),
        cost,
        time: target.model.clocks.total,
    }
}
