//! The list of models in Anthropic's format, as a single page. Source:
//! <https://docs.anthropic.com/en/api/models-list>.

use serde::Serialize;

use crate::formats::client_format::ModelEntry;
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
}

impl<'a> From<&'a ModelEntry<'a>> for ModelObject<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let ModelEntry { id, created, available, unavailable_reason, .. } = model;
        let created_at = date::write_time(created.saturating_mul(1000));
        let unavailable_reason = unavailable_reason.as_deref();
        Self { kind: "model", id, display_name: id, created_at, available: *available, unavailable_reason }
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
