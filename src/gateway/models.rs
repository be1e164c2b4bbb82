//! The list of models: those that can be called now, or all that are configured.

use super::{AdmittedRequest, Body, Bridge, Platform, Response, admit};
use crate::config::{Millis, Model, Provider};
use crate::error::Result;
use crate::formats::{self, ClientFormat, ModelEntry, ModelFacts};
use crate::policy::model_card::ModelCard;
use crate::policy::routing;
use crate::provider::ProviderAccount;

/// Lists the models, for a caller whose account is valid.
///
/// # Errors
/// 401, 403 or 503 from the caller's account.
pub async fn list_models<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    admitted: &AdmittedRequest<'_, P>,
) -> Result<Response<P>> {
    admit::check(bridge, platform, &admitted.caller).await?;
    let (query, now) = (admitted.request.query, platform.now());
    Ok(Response::json(200, Body::Bytes(list_body(bridge, admitted.client, query, now))))
}

/// Describes one model, for a caller whose account is valid.
///
/// # Errors
/// 401, 403 or 503 from the caller's account; 404 if no row serves this name.
pub async fn read_model<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    admitted: &AdmittedRequest<'_, P>,
    name: &str,
) -> Result<Response<P>> {
    admit::check(bridge, platform, &admitted.caller).await?;
    Ok(Response::json(200, Body::Bytes(model_body(bridge, admitted.client, name, platform.now())?)))
}

/// The body of the list: the models that can be called now, or, with `all` in the query, all models, each
/// with its availability.
fn list_body(bridge: &Bridge, client: &ClientFormat, query: &str, now: Millis) -> Vec<u8> {
    let all = query.split('&').any(|pair| matches!(pair, "all" | "all=true" | "all=1"));
    let rows = bridge.config.providers.iter().zip(&bridge.accounts).flat_map(|(provider, account)| {
        let patterns = if all { provider.patterns.as_slice() } else { &[] };
        provider.models.iter().chain(patterns).map(move |model| (provider, account, model))
    });
    let callable = rows.filter(|(_, account, _)| all || !matches!(account, ProviderAccount::Missing(_)));
    let mut models = Vec::new();
    for (provider, account, model) in callable {
        let mut listed = entry(bridge, provider, account, model, all);
        // A pattern stands for many models, of which different facts are true.
        if !model.is_pattern() {
            listed.facts = facts(provider, model, &model.upstream, now);
        }
        models.push(listed);
    }
    (client.models)(&models)
}

/// The body that describes one model.
///
/// # Errors
/// 404 if no row serves this name.
fn model_body(bridge: &Bridge, client: &ClientFormat, name: &str, now: Millis) -> Result<Vec<u8>> {
    let target = routing::resolve_target(&bridge.config, name)?;
    let account = bridge.account(target.index);
    let mut model =
        entry(bridge, target.provider, account, target.model, matches!(account, ProviderAccount::Missing(_)));
    model.facts = facts(target.provider, target.model, &target.upstream, now);
    if target.model.is_pattern() {
        model.id = format!("{}/{}", target.provider.name, target.upstream);
    }
    Ok((client.model)(&model))
}

fn facts(provider: &Provider, model: &Model, upstream: &str, now: Millis) -> ModelFacts {
    let price = ModelCard::of(provider, model, upstream, now).price;
    formats::describe(provider, model, upstream, price, now)
}

fn entry<'a>(
    bridge: &Bridge,
    provider: &'a Provider,
    account: &ProviderAccount,
    model: &Model,
    with_availability: bool,
) -> ModelEntry<'a> {
    let missing = match account {
        ProviderAccount::Missing(name) => Some(format!("{name} is not set")),
        ProviderAccount::Keyed(_) | ProviderAccount::Keyless => None,
    };
    ModelEntry {
        id: routing::id(provider, model),
        created: bridge.opened / 1000,
        owned_by: &provider.name,
        available: with_availability.then_some(missing.is_none()),
        unavailable_reason: if with_availability { missing } else { None },
        facts: ModelFacts::default(),
    }
}
