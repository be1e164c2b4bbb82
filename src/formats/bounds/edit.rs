//! The edits that make a client's request ready for a provider of the same format.

use super::limit::{self, LimitNames};
use crate::config::Model;
use crate::formats::body::MODELS;
use crate::formats::operation::ModelPlace;
use crate::provider::params;
use crate::wire::json::{Document, quote};

/// The edits of a request. All other fields stay as they were written.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// The model's row: its ceiling and its edits.
    pub row: &'a Model,
    /// The provider's name for the model.
    pub model: &'a str,
    /// Where the request names the model. A name in the path leaves the body alone.
    pub model_place: ModelPlace,
    /// The names by which the provider honours a limit.
    pub limit_names: LimitNames<'a>,
    /// Whether the request means a limit of 0 tokens.
    pub allows_zero_limit: bool,
    /// Whether the response is one that can be streamed.
    pub streams: bool,
    /// Whether the response has to hold what a later request needs of its reasoning.
    pub seals_reasoning: bool,
    /// Whether only the prompt matters: limits and the row's edits are left out.
    pub prompt_only: bool,
    /// The role by which the host knows the role `developer`, if it has another name there.
    pub developer_role: Option<&'a str>,
    /// Whether to request the usage at the end of a stream, if the format leaves that to the client.
    pub asks_for_usage: bool,
    /// Whether to request a stream, although the client wants a whole response: see
    /// [`RequestRules::may_stream`](super::RequestRules::may_stream).
    pub asks_for_stream: bool,
}

/// The field that requests a stream.
const STREAM: &str = "stream";

/// Sets the model's name, removes the names of models to be tried after it, requests a stream, lowers limits to
/// the row's ceiling, and applies the row's edits.
pub fn apply(document: &mut Document<'_>, edit: &Edit<'_>) {
    if let ModelPlace::Body(field) = edit.model_place {
        let name = quote(edit.model);
        if document.value(field) != Some(&name) {
            document.set(field, name);
        }
    }
    if document.value(MODELS).is_some() {
        document.remove(MODELS);
    }
    if edit.prompt_only {
        return;
    }
    if edit.asks_for_stream {
        document.set(STREAM, "true");
    }
    if let Some(ceiling) = edit.row.max_tokens {
        limit::apply_ceiling(document, &edit.limit_names, edit.model, ceiling, edit.allows_zero_limit);
    }
    params::apply(document, &edit.row.params);
}
