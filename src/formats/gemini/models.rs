//! The list of models in Gemini's format, as a single page. Prices, parameters and origins are named as in the list
//! in the default format. Source: <https://ai.google.dev/api/models>.

use std::collections::BTreeMap;

use serde::Serialize;

use super::request::full_name;
use crate::catalogue::field::Field;
use crate::formats::client_format::ModelEntry;
use crate::formats::model_facts::Pricing;

/// What a model can be asked for.
const METHODS: &[&str] = &["generateContent", "streamGenerateContent", "countTokens"];

#[derive(Serialize)]
struct ModelPage<'a> {
    models: Vec<ModelObject<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelObject<'a> {
    name: String,
    version: &'static str,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    supported_generation_methods: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    supported_parameters: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    origins: BTreeMap<&'static str, String>,
}

impl<'a> From<&'a ModelEntry<'a>> for ModelObject<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let facts = &model.facts;
        Self {
            name: full_name(&model.id),
            // Providers do not say.
            version: "",
            display_name: &model.id,
            available: model.available,
            unavailable_reason: model.unavailable_reason.as_deref(),
            input_token_limit: facts.facts.count(Field::Context),
            output_token_limit: facts.facts.count(Field::MaxOutput),
            supported_generation_methods: METHODS,
            thinking: facts.flag(Field::Thinks),
            supported_parameters: &facts.parameters,
            pricing: facts.pricing(),
            origins: facts.origin_texts(),
        }
    }
}

/// Writes the list as a response body.
pub(super) fn write_list(models: &[ModelEntry<'_>]) -> Vec<u8> {
    serde_json::to_vec(&ModelPage { models: models.iter().map(ModelObject::from).collect() }).unwrap_or_default()
}

/// Writes one model as a response body.
pub(super) fn write_one(model: &ModelEntry<'_>) -> Vec<u8> {
    serde_json::to_vec(&ModelObject::from(model)).unwrap_or_default()
}
