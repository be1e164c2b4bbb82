//! What sums are kept for: one quarter of an hour, key, owner, provider, model, and tags.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use super::quarter::Quarter;
use crate::config::is_tag_name;
use crate::telemetry::RequestSummary;

/// Stands for all models of a provider, or values of a tag, that are too many to be kept apart.
pub const OTHER: &str = "(other)";

/// Stands for owners, and values of a tag, whose requests were deleted.
pub const DELETED: &str = "(deleted)";

/// What some sums are kept for. Keys that were deleted stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The quarter of an hour in which the requests ended.
    pub quarter: Quarter,
    /// The key's id; empty if the caller was not known.
    pub key_id: String,
    /// The owner that the key had when the requests were admitted; empty if it had none. Neither a change of
    /// the owner nor the end of the key moves what was spent before.
    pub owner: String,
    /// The provider called last; empty if none was.
    pub provider: String,
    /// The model called last, as its provider names it; empty if none was.
    pub model: String,
    /// The values of declared tags, by name.
    pub tags: BTreeMap<String, String>,
}

/// By what sums are grouped and selected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dimension {
    /// The key's id.
    Key,
    /// The owner of the key.
    Owner,
    /// The provider.
    Provider,
    /// The model.
    Model,
    /// The value of the tag of this name.
    Tag(String),
}

impl Dimension {
    /// The dimension of this name: `key`, `owner`, `provider`, `model`, or `tag.` and the name of a tag.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "key" => Some(Self::Key),
            "owner" => Some(Self::Owner),
            "provider" => Some(Self::Provider),
            "model" => Some(Self::Model),
            _ => name.strip_prefix("tag.").filter(|tag| is_tag_name(tag)).map(|tag| Self::Tag(tag.to_owned())),
        }
    }
}

impl Cell {
    /// The cell of a request.
    pub fn of(request: &RequestSummary) -> Self {
        Self {
            quarter: Quarter::of(request.at),
            key_id: request.key_id.clone(),
            owner: request.owner.clone(),
            provider: request.provider.clone(),
            model: request.model.clone(),
            tags: request.tags.iter().cloned().collect(),
        }
    }

    /// Whether two requests surely have the same cell.
    pub fn is_same_of(one: &RequestSummary, other: &RequestSummary) -> bool {
        Quarter::of(one.at) == Quarter::of(other.at)
            && (&one.key_id, &one.owner, &one.provider) == (&other.key_id, &other.owner, &other.provider)
            && (&one.model, &one.tags) == (&other.model, &other.tags)
    }

    /// Its value in a dimension; `None` if it has none.
    pub fn value(&self, dimension: &Dimension) -> Option<&str> {
        let value = match dimension {
            Dimension::Key => Some(self.key_id.as_str()),
            Dimension::Owner => Some(self.owner.as_str()),
            Dimension::Provider => Some(self.provider.as_str()),
            Dimension::Model => Some(self.model.as_str()),
            Dimension::Tag(name) => self.tags.get(name).map(String::as_str),
        };
        value.filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_names_of_its_request() {
        let request = RequestSummary {
            at: 1_800_000,
            key_id: "vk_1".into(),
            model: "m".into(),
            tags: vec![("team".into(), "search".into())],
            ..RequestSummary::default()
        };
        let cell = Cell::of(&request);
        assert_eq!(cell.quarter, Quarter(2));
        assert_eq!(cell.value(&Dimension::Key), Some("vk_1"));
        assert_eq!(cell.value(&Dimension::Provider), None, "no provider was called");
        assert_eq!(cell.value(&Dimension::Tag("team".into())), Some("search"));
        assert_eq!(cell.value(&Dimension::Tag("env".into())), None);
    }

    #[test]
    fn requests_that_are_said_to_have_the_same_cell_have_it() {
        let request = RequestSummary { at: 900_000, ..RequestSummary::default() };
        let others = [
            RequestSummary { at: 1_800_000, ..request.clone() },
            RequestSummary { key_id: "k".into(), ..request.clone() },
            RequestSummary { owner: "o".into(), ..request.clone() },
            RequestSummary { provider: "p".into(), ..request.clone() },
            RequestSummary { model: "m".into(), ..request.clone() },
            RequestSummary { tags: vec![("team".into(), "t".into())], ..request.clone() },
        ];
        assert!(others.iter().all(|other| !Cell::is_same_of(&request, other)));
        let other = RequestSummary { at: 900_001, status: 500, route: "r".into(), ..request.clone() };
        assert!(Cell::is_same_of(&request, &other) && Cell::of(&request) == Cell::of(&other));
    }

    #[test]
    fn dimensions_have_names() {
        assert_eq!(Dimension::named("model"), Some(Dimension::Model));
        assert_eq!(Dimension::named("tag.team"), Some(Dimension::Tag("team".into())));
        for name in ["tag.", "tag.a\"b", "tag.$.a", "tag.A", "tag.a b"] {
            assert_eq!(Dimension::named(name), None, "{name}");
        }
        assert_eq!(Dimension::named("status"), None);
    }
}
