//! The list of models: what can be called now, or all that is configured. OpenAI's format, which every client reads.

use serde::Serialize;

use super::Bridge;
use crate::config::{Model, Provider};
use crate::error::{Error, Result};
use crate::policy::route;
use crate::provider::Account;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: String,
    object: &'static str,
    /// When this gateway began to offer it, in seconds since 1970: providers do not say when a model was made.
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable_reason: Option<String>,
}

/// The list as a response's body: what can be called now, or with `all` everything, each marked.
pub fn list(bridge: &Bridge, all: bool) -> Vec<u8> {
    let rows = bridge.config.providers.iter().zip(&bridge.accounts).flat_map(|(provider, account)| {
        let wildcard = provider.any_model.iter().filter(move |_| all);
        provider.models.iter().chain(wildcard).map(move |model| (provider, account, model))
    });
    let callable = rows.filter(|(_, account, _)| all || !matches!(account, Account::Missing(_)));
    let data = callable.map(|(provider, account, model)| entry(bridge, provider, account, model, all)).collect();
    serde_json::to_vec(&List { object: "list", data }).unwrap_or_default()
}

/// One model as a response's body.
///
/// # Errors
/// 404 if no row serves this name.
pub fn one(bridge: &Bridge, name: &str) -> Result<Vec<u8>> {
    let target = route::resolve(&bridge.config, name)?;
    let account = bridge.account(target.index);
    let mut entry = entry(bridge, target.provider, account, target.model, matches!(account, Account::Missing(_)));
    if target.provider.any_model.is_some() && target.model.name == "*" {
        entry.id = format!("{}/{}", target.provider.name, target.upstream);
    }
    serde_json::to_vec(&entry).map_err(|_| Error::gateway(500, "internal_error", "The model could not be described."))
}

fn entry<'a>(bridge: &Bridge, provider: &'a Provider, account: &Account, model: &Model, marked: bool) -> Entry<'a> {
    let missing = match account {
        Account::Missing(name) => Some(format!("{name} is not set")),
        Account::Keyed(_) | Account::Keyless => None,
    };
    Entry {
        id: route::id(provider, model),
        object: "model",
        created: bridge.opened / 1000,
        owned_by: &provider.name,
        available: marked.then_some(missing.is_none()),
        unavailable_reason: missing.filter(|_| marked),
    }
}
