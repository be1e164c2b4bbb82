//! The rules of a client's format for the bounds and edits of its requests, as a table of functions.

use super::edit::{self, Edit};
use super::effects;
use super::limit::{self, LimitNames};
use super::needs::{self, Demands};
use super::service::{self, ServiceTier};
use super::{prompt, samples};
use crate::config::Model;
use crate::formats::body::MODELS;
use crate::formats::ties::{MESSAGES_TIES, TieRules};
use crate::provider::params;
use crate::wire::json::Document;

/// How much a request can take, read from its fields as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBounds {
    /// The limit of each response that the provider certainly honours, in tokens.
    pub limit: Option<u64>,
    /// How many responses may be generated for each question.
    pub samples: u64,
    /// The service tier that it requests.
    pub tier: ServiceTier,
    /// Whether the provider may add to the prompt what is not in the body.
    pub adds_to_prompt: bool,
    /// The searches that the provider may run itself.
    pub searches: u64,
}

/// How a format's requests are bounded and edited.
#[derive(Debug)]
pub struct RequestRules {
    /// Makes a request ready for a provider of the same format.
    pub edit: fn(&mut Document<'_>, &Edit<'_>),
    /// Reads the bounds of a request that was edited. `allows_zero_limit`: a limit of 0 tokens is not a
    /// mistake.
    pub bounds: fn(&Document<'_>, limit_names: &LimitNames<'_>, allows_zero_limit: bool) -> RequestBounds,
    /// Reads the bounds of a request that is translated into another format, for a model of this row.
    pub translated_bounds: fn(&Document<'_>, &Model) -> RequestBounds,
    /// Sets the limit of each response, in tokens, for a model by its provider's name; all other limits are
    /// removed.
    pub set_limit: fn(&mut Document<'_>, &LimitNames<'_>, model: &str, limit: u64),
    /// The most tokens that the prompt can have.
    pub most_prompt_tokens: fn(&Document<'_>) -> u64,
    /// The tokens that are allowed for thinking alone, if the request says so.
    pub thinking_budget: fn(&Document<'_>) -> Option<u64>,
    /// Whether a body may ask for its prompt to be cached for an hour, which costs more.
    pub may_cache_long: fn(&[u8]) -> bool,
    /// The first field of the caller's request that could select another model, or that a provider could read
    /// in another way than the gateway. `known`: the fields that the gateway reads. `nested`: also report an
    /// object that may hide a limit.
    pub stray_field: for<'d> fn(&'d Document<'_>, known: &[&str], nested: bool) -> Option<&'d str>,
    /// Whether a provider that has begun to work on the request must not be followed by another one: the work
    /// has effects (it is stored, or tools run at the provider), or is dear (images, sound).
    pub has_effects: fn(&Document<'_>) -> bool,
    /// What a request asks of a model.
    pub demands: fn(&Document<'_>) -> Demands,
    /// What ties a request to one account of a provider.
    pub ties: &'static TieRules,
    /// The fields that refusals name.
    pub names: FieldNames,
    /// The field in which a client asks for the usage of a stream, in formats that leave it to the client.
    pub usage_field: Option<&'static str>,
    /// Whether a request for a whole response may be sent as one for a stream: whether the provider streams
    /// all that it asks for.
    pub may_stream: fn(&Document<'_>) -> bool,
}

/// The names of fields in a client's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldNames {
    /// The limit of a response, in tokens.
    pub limit: &'static str,
    /// The tier in which a request is to be served.
    pub tier: &'static str,
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
    has_effects: effects::has_effects,
    demands: needs::demands,
    ties: &MESSAGES_TIES,
    names: FieldNames { limit: "max_tokens", tier: "service_tier" },
    usage_field: None,
    may_stream: |_| true,
};

/// The fields that the gateway reads or sets in a request with `messages`, in either format: hosts honour
/// each other's names.
pub const MESSAGES_FIELDS: &[&str] = &[
    "model",
    MODELS,
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "tools",
    "service_tier",
    "speed",
    "inference_geo",
];

/// The names of the limit in requests that can be translated.
const TRANSLATED_LIMITS: &[&str] = &["max_tokens", "max_completion_tokens"];

fn bounds(document: &Document<'_>, limit_names: &LimitNames<'_>, allows_zero_limit: bool) -> RequestBounds {
    let adds_to_prompt = service::adds_to_prompt(document);
    RequestBounds {
        limit: limit::requested(document, limit_names, allows_zero_limit),
        samples: samples::read(document),
        tier: service::tier(document),
        adds_to_prompt,
        searches: if adds_to_prompt { service::most_searches(document) } else { 0 },
    }
}

/// The provider's format has one name for the limit, which the provider honours, and no tier but that of the
/// row's edits. An edit of a limit may undo it.
fn translated_bounds(document: &Document<'_>, row: &Model) -> RequestBounds {
    let mut edits = Document::empty();
    params::apply(&mut edits, &row.params);
    let is_given = |name: &&str| document.value(name).is_some_and(|value| value != "null");
    let asked = limit::requested(document, &LimitNames::Listed(TRANSLATED_LIMITS), false);
    let limit = match row.max_tokens {
        Some(ceiling) if TRANSLATED_LIMITS.iter().any(is_given) => Some(asked.unwrap_or(ceiling).min(ceiling)),
        Some(_) | None => asked,
    };
    RequestBounds {
        limit: if row.params.names().any(limit::may_limit) { None } else { limit },
        samples: samples::read(document),
        tier: service::tier(&edits),
        adds_to_prompt: service::adds_to_prompt(document),
        // Tools that a provider runs are not translated.
        searches: 0,
    }
}
