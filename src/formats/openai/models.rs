//! The list of models in OpenAI's format. Source: <https://platform.openai.com/docs/api-reference/models>.

use serde::Serialize;

use crate::formats::client_format::ModelEntry;

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
}

impl<'a> From<&'a ModelEntry<'a>> for ListedModel<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let ModelEntry { id, created, owned_by, available, unavailable_reason } = model;
        let unavailable_reason = unavailable_reason.as_deref();
        Self { id, object: "model", created: *created, owned_by, available: *available, unavailable_reason }
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
