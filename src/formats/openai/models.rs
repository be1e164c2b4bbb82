//! The list of models in OpenAI's format. Source: <https://platform.openai.com/docs/api-reference/models>.
//! What a model takes and costs is named as OpenRouter does, because clients know these names. Source:
//! <https://openrouter.ai/docs/guides/overview/models>.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalogue::field::Field;
use crate::formats::client_format::ModelEntry;
use crate::formats::model_facts::Pricing;

#[derive(Serialize)]
struct ModelList<'a> {
    object: &'static str,
    data: Vec<ListedModel<'a>>,
}

#[derive(Serialize)]
struct ListedModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_provider: Option<ProviderLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<Architecture>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    supported_parameters: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    origins: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct ProviderLimits {
    context_length: Option<u64>,
    max_completion_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Architecture {
    input_modalities: Vec<&'static str>,
}

/// Kinds of input in the catalogue, and their names in this list.
const MODALITIES: &[(&str, &str)] =
    &[("text", "text"), ("image", "image"), ("audio", "audio"), ("video", "video"), ("pdf", "file")];

impl<'a> From<&'a ModelEntry<'a>> for ListedModel<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let facts = &model.facts;
        let (context, max_output) = (facts.facts.count(Field::Context), facts.facts.count(Field::MaxOutput));
        let limits = ProviderLimits { context_length: context, max_completion_tokens: max_output };
        let taken = MODALITIES.iter().filter(|(kind, _)| facts.takes(kind) == Some(true));
        let input_modalities: Vec<&str> = taken.map(|(_, name)| *name).collect();
        Self {
            id: &model.id,
            object: "model",
            created: model.created,
            owned_by: model.owned_by,
            available: model.available,
            unavailable_reason: model.unavailable_reason.as_deref(),
            context_length: context,
            top_provider: context.or(max_output).is_some().then_some(limits),
            architecture: (!input_modalities.is_empty()).then_some(Architecture { input_modalities }),
            supported_parameters: &facts.parameters,
            pricing: facts.pricing(),
            origins: facts.origin_texts(),
        }
    }
}

/// Writes the list as a response body.
pub(super) fn write_list(models: &[ModelEntry<'_>]) -> Vec<u8> {
    serde_json::to_vec(&ModelList { object: "list", data: models.iter().map(ListedModel::from).collect() })
        .unwrap_or_default()
}

/// Writes one model as a response body.
pub(super) fn write_one(model: &ModelEntry<'_>) -> Vec<u8> {
    serde_json::to_vec(&ListedModel::from(model)).unwrap_or_default()
}
