//! The list of models in Anthropic's shape, all on one page. Source: <https://docs.anthropic.com/en/api/models-list>.

use serde::Serialize;

use crate::formats::ModelEntry;
use crate::wire::date;

#[derive(Serialize)]
struct List<'a> {
    data: Vec<Entry<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Entry<'a> {
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

impl<'a> From<&'a ModelEntry<'a>> for Entry<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let ModelEntry { id, created, available, unavailable_reason, .. } = model;
        let created_at = date::write_time(created.saturating_mul(1000));
        let unavailable_reason = unavailable_reason.as_deref();
        Self { kind: "model", id, display_name: id, created_at, available: *available, unavailable_reason }
    }
}

/// A list as a response's body.
pub(super) fn list(models: &[ModelEntry<'_>]) -> Vec<u8> {
    let id = |model: Option<&'_ ModelEntry<'_>>| model.map(|model| model.id.clone());
    let (first, last) = (id(models.first()), id(models.last()));
    let data = models.iter().map(Entry::from).collect();
    let list = List { data, has_more: false, first_id: first.as_deref(), last_id: last.as_deref() };
    serde_json::to_vec(&list).unwrap_or_default()
}

/// One model as a response's body.
pub(super) fn one(model: &ModelEntry<'_>) -> Vec<u8> {
    serde_json::to_vec(&Entry::from(model)).unwrap_or_default()
}
