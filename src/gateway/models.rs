//! The list of models: what can be called now, or all that is configured.

use super::{AdmittedRequest, Body, Bridge, Platform, Response, admit};
use crate::config::{Model, Provider};
use crate::error::Result;
use crate::formats::{ClientFormat, ModelEntry};
use crate::policy::routing;
use crate::provider::ProviderAccount;

/// Lists the models for a caller whose account is good.
///
/// # Errors
/// 401, 403 or 503 from the caller's account.
pub async fn list_models<H: Platform>(
    bridge: &Bridge,
    host: &H,
    admitted: &AdmittedRequest<'_, H>,
) -> Result<Response<H>> {
    admit::check(bridge, host, &admitted.caller).await?;
    Ok(Response::json(200, Body::Bytes(list(bridge, admitted.client, admitted.request.query))))
}

/// Describes one model to a caller whose account is good.
///
/// # Errors
/// 401, 403 or 503 from the caller's account; 404 if no row serves this name.
pub async fn read_model<H: Platform>(
    bridge: &Bridge,
    host: &H,
    admitted: &AdmittedRequest<'_, H>,
    name: &str,
) -> Result<Response<H>> {
    admit::check(bridge, host, &admitted.caller).await?;
    Ok(Response::json(200, Body::Bytes(one(bridge, admitted.client, name)?)))
}

/// The list as a response's body: what can be called now, or, if the query says `all`, everything, each
/// marked.
fn list(bridge: &Bridge, client: &ClientFormat, query: &str) -> Vec<u8> {
    let all = query.split('&').any(|pair| matches!(pair, "all" | "all=true" | "all=1"));
    let rows = bridge.config.providers.iter().zip(&bridge.accounts).flat_map(|(provider, account)| {
        let wildcard = provider.patterns.iter().filter(move |_| all);
        provider.models.iter().chain(wildcard).map(move |model| (provider, account, model))
    });
    let callable = rows.filter(|(_, account, _)| all || !matches!(account, ProviderAccount::Missing(_)));
    let models: Vec<_> =
        callable.map(|(provider, account, model)| listed(bridge, provider, account, model, all)).collect();
    (client.models)(&models)
}

/// One model as a response's body.
///
/// # Errors
/// 404 if no row serves this name.
fn one(bridge: &Bridge, client: &ClientFormat, name: &str) -> Result<Vec<u8>> {
    let target = routing::resolve(&bridge.config, name)?;
    let account = bridge.account(target.index);
    let mut model =
        listed(bridge, target.provider, account, target.model, matches!(account, ProviderAccount::Missing(_)));
    if target.model.is_pattern() {
        model.id = format!("{}/{}", target.provider.name, target.upstream);
    }
    Ok((client.model)(&model))
}

fn listed<'a>(
    bridge: &Bridge,
    provider: &'a Provider,
    account: &ProviderAccount,
    model: &Model,
    marked: bool,
) -> ModelEntry<'a> {
    let missing = match account {
        ProviderAccount::Missing(name) => Some(format!("{name} is not set")),
        ProviderAccount::Keyed(_) | ProviderAccount::Keyless => None,
    };
    ModelEntry {
        id: routing::id(provider, model),
        created: bridge.opened / 1000,
        owned_by: &provider.name,
        available: marked.then_some(missing.is_none()),
        unavailable_reason: missing.filter(|_| marked),
    }
}
