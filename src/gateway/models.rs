//! The list of models: those that can be called now, or all that are configured.

use super::{AdmittedRequest, Body, Bridge, Platform, Response, admit};
use crate::config::{Model, Provider};
use crate::error::Result;
use crate::formats::{ClientFormat, ModelEntry};
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
    Ok(Response::json(200, Body::Bytes(list_body(bridge, admitted.client, admitted.request.query))))
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
    Ok(Response::json(200, Body::Bytes(model_body(bridge, admitted.client, name)?)))
}

/// The body of the list: the models that can be called now, or, with `all` in the query, all models, each
/// with its availability.
fn list_body(bridge: &Bridge, client: &ClientFormat, query: &str) -> Vec<u8> {
    let all = query.split('&').any(|pair| matches!(pair, "all" | "all=true" | "all=1"));
    let rows = bridge.config.providers.iter().zip(&bridge.accounts).flat_map(|(provider, account)| {
        let patterns = if all { provider.patterns.as_slice() } else { &[] };
        provider.models.iter().chain(patterns).map(move |model| (provider, account, model))
    });
    let callable = rows.filter(|(_, account, _)| all || !matches!(account, ProviderAccount::Missing(_)));
    let models: Vec<_> =
        callable.map(|(provider, account, model)| entry(bridge, provider, account, model, all)).collect();
    (client.models)(&models)
}

/// The body that describes one model.
///
/// # Errors
/// 404 if no row serves this name.
fn model_body(bridge: &Bridge, client: &ClientFormat, name: &str) -> Result<Vec<u8>> {
    let target = routing::resolve(&bridge.config, name)?;
    let account = bridge.account(target.index);
    let mut model =
        entry(bridge, target.provider, account, target.model, matches!(account, ProviderAccount::Missing(_)));
    if target.model.is_pattern() {
        model.id = format!("{}/{}", target.provider.name, target.upstream);
    }
    Ok((client.model)(&model))
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
    }
}
