//! The list of models in OpenAI's shape. Source: <https://platform.openai.com/docs/api-reference/models>.

use serde::Serialize;

use crate::formats::ModelEntry;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable_reason: Option<&'a str>,
}

impl<'a> From<&'a ModelEntry<'a>> for Entry<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let ModelEntry { id, created, owned_by, available, unavailable_reason } = model;
        let unavailable_reason = unavailable_reason.as_deref();
        Self { id, object: "model", created: *created, owned_by, available: *available, unavailable_reason }
    }
}

/// A list as a response's body.
pub(super) fn list(models: &[ModelEntry<'_>]) -> Vec<u8> {
    serde_json::to_vec(&List { object: "list", data: models.iter().map(Entry::from).collect() }).unwrap_or_default()
}

/// One model as a response's body.
pub(super) fn one(model: &ModelEntry<'_>) -> Vec<u8> {
    serde_json::to_vec(&Entry::from(model)).unwrap_or_default()
}
