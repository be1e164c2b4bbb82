//! The list of models in Anthropic's format, as a single page. Source:
//! <https://docs.anthropic.com/en/api/models-list>. Prices, parameters and origins are named as in the list
//! in the default format.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalogue::field::Field;
use crate::formats::client_format::ModelEntry;
use crate::formats::model_facts::{ModelFacts, Pricing};
use crate::wire::date;

#[derive(Serialize)]
struct ModelPage<'a> {
    data: Vec<ModelObject<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct ModelObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    /// What is known of them; Anthropic's list has more.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    capabilities: BTreeMap<&'static str, Capability>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    supported_parameters: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    origins: BTreeMap<&'static str, String>,
}

/// A capability, with those that belong to it.
#[derive(Serialize)]
struct Capability {
    supported: bool,
    #[serde(flatten)]
    levels: BTreeMap<&'static str, Support>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    types: BTreeMap<&'static str, Support>,
}

#[derive(Serialize)]
struct Support {
    supported: bool,
}

/// Words of effort that a capability lists.
const LEVELS: &[&str] = &["low", "medium", "high", "xhigh", "max"];

fn capabilities(facts: &ModelFacts) -> BTreeMap<&'static str, Capability> {
    let plain = |supported| Capability { supported, levels: BTreeMap::new(), types: BTreeMap::new() };
    let known = [
        ("image_input", facts.takes("image").map(plain)),
        ("pdf_input", facts.takes("pdf").map(plain)),
        ("structured_outputs", facts.flag(Field::StructuredOutput).map(plain)),
        ("effort", effort(facts)),
        ("thinking", thinking(facts)),
    ];
    known.into_iter().filter_map(|(name, capability)| Some((name, capability?))).collect()
}

fn effort(facts: &ModelFacts) -> Option<Capability> {
    let levels = LEVELS.iter().map(|word| Some((*word, Support { supported: facts.takes_effort(word)? })));
    let levels: BTreeMap<_, _> = levels.collect::<Option<_>>()?;
    Some(Capability { supported: levels.values().any(|level| level.supported), levels, types: BTreeMap::new() })
}

fn thinking(facts: &ModelFacts) -> Option<Capability> {
    let (adaptive, budget, effort) =
        (facts.reasons_by("adaptive")?, facts.reasons_by("budget")?, facts.reasons_by("effort")?);
    // The gateway turns a budget into an effort, and adaptive thinking into the model's default.
    let types = [("adaptive", adaptive || effort), ("enabled", budget || effort)];
    let types = types.map(|(name, supported)| (name, Support { supported }));
    let supported = adaptive || budget || effort;
    Some(Capability { supported, levels: BTreeMap::new(), types: BTreeMap::from(types) })
}

impl<'a> From<&'a ModelEntry<'a>> for ModelObject<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let facts = &model.facts;
        Self {
            kind: "model",
            id: &model.id,
            display_name: &model.id,
            created_at: date::write_time(model.created.saturating_mul(1000)),
            available: model.available,
            unavailable_reason: model.unavailable_reason.as_deref(),
            max_input_tokens: facts.facts.count(Field::Context),
            max_tokens: facts.facts.count(Field::MaxOutput),
            capabilities: capabilities(facts),
            supported_parameters: &facts.parameters,
            pricing: facts.pricing(),
            origins: facts.origin_texts(),
        }
    }
}

/// Writes the list as a response body.
pub(super) fn write_list(models: &[ModelEntry<'_>]) -> Vec<u8> {
    let id = |model: Option<&'_ ModelEntry<'_>>| model.map(|model| model.id.clone());
    let (first, last) = (id(models.first()), id(models.last()));
    let data = models.iter().map(ModelObject::from).collect();
    let list = ModelPage { data, has_more: false, first_id: first.as_deref(), last_id: last.as_deref() };
    serde_json::to_vec(&list).unwrap_or_default()
}

/// Writes one model as a response body.
pub(super) fn write_one(model: &ModelEntry<'_>) -> Vec<u8> {
    serde_json::to_vec(&ModelObject::from(model)).unwrap_or_default()
}
