//! The rules of a client's format on how much its requests can take, as a table of functions.

use super::edit::{self, Edit};
use super::limit::{self, LimitNames};
use super::service::{self, ServiceTier};
use super::{prompt, samples};
use crate::config::Model;
use crate::provider::params;
use crate::wire::json::Document;

/// How much a request can take, read from its fields as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBounds {
    /// The limit of each response that the provider is sure to keep to, in tokens.
    pub limit: Option<u64>,
    /// How many responses may be generated for each question.
    pub samples: u64,
    /// How it asks to be served.
    pub tier: ServiceTier,
    /// The provider may add to its prompt what is not in the body.
    pub adds_to_prompt: bool,
}

/// How a format's requests are bounded and edited.
#[derive(Debug)]
pub struct RequestRules {
    /// Makes a request ready for a provider of the same format.
    pub edit: fn(&mut Document<'_>, &Edit<'_>),
    /// Reads the bounds of a request that was edited. `allows_zero_limit`: a limit of 0 tokens is meant.
    pub bounds: fn(&Document<'_>, limit_names: &LimitNames<'_>, allows_zero_limit: bool) -> RequestBounds,
    /// Reads the bounds of a request that is going to be translated into another format, for a model of this row.
    pub translated_bounds: fn(&Document<'_>, &Model) -> RequestBounds,
    /// Sets the limit of each response, in tokens, for a model by its provider's name; all other limits are removed.
    pub set_limit: fn(&mut Document<'_>, &LimitNames<'_>, model: &str, limit: u64),
    /// The most tokens that the prompt can have.
    pub most_prompt_tokens: fn(&Document<'_>) -> u64,
    /// The tokens that are allowed for thinking alone, if the request says so.
    pub thinking_budget: fn(&Document<'_>) -> Option<u64>,
    /// Whether a body may ask for its prompt to be cached for an hour, which costs more.
    pub may_cache_long: fn(&[u8]) -> bool,
    /// The first field, as the caller wrote it, that could lead to another model or another reading than the gateway's, besides the `known`
    /// fields. `nested`: so could an object in which a limit may be hidden.
    pub stray_field: for<'d> fn(&'d Document<'_>, known: &[&str], nested: bool) -> Option<&'d str>,
}

/// The rules that formats share.
pub const COMMON: RequestRules = RequestRules {
    edit: edit::apply,
    bounds,
    translated_bounds,
    set_limit: limit::set,
    most_prompt_tokens: prompt::most_tokens,
    thinking_budget: prompt::thinking_budget,
    may_cache_long: prompt::may_cache_long,
    stray_field: service::stray_field,
};

/// The names of the limit in requests that can be translated.
const TRANSLATED_LIMITS: &[&str] = &["max_tokens", "max_completion_tokens"];

fn bounds(document: &Document<'_>, limit_names: &LimitNames<'_>, allows_zero_limit: bool) -> RequestBounds {
    RequestBounds {
        limit: limit::asked(document, limit_names, allows_zero_limit),
        samples: samples::samples(document),
        tier: service::tier(document),
        adds_to_prompt: service::adds_to_prompt(document),
    }
}

/// The provider's format has one name for the limit, which is honoured, and no tier but that of the row's edits. An edit that touches a limit
/// may undo it.
fn translated_bounds(document: &Document<'_>, row: &Model) -> RequestBounds {
    let mut edits = Document::empty();
    params::apply(&mut edits, &row.params);
    let is_said = |name: &&str| document.value(name).is_some_and(|value| value != "null");
    let asked = limit::asked(document, &LimitNames::Listed(TRANSLATED_LIMITS), false);
    let limit = match row.max_tokens {
        Some(ceiling) if TRANSLATED_LIMITS.iter().any(is_said) => Some(asked.unwrap_or(ceiling).min(ceiling)),
        Some(_) | None => asked,
    };
    RequestBounds {
        limit: if row.params.names().any(limit::may_limit) { None } else { limit },
        samples: samples::samples(document),
        tier: service::tier(&edits),
        adds_to_prompt: service::adds_to_prompt(document),
    }
}
