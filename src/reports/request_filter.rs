//! Selects requests for a list. Each condition names a column of the index, so that a store selects the same
//! requests as [`RequestFilter::selects`].

use crate::config::Millis;
use crate::telemetry::RequestSummary;

/// The value of a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnValue {
    /// An integer; 1 stands for yes and 0 for no.
    Number(u64),
    /// A text.
    Text(String),
}

/// A column of the index by which requests are selected.
pub struct IndexColumn {
    /// Its name.
    pub name: &'static str,
    /// The value of a request.
    pub of: fn(&RequestSummary) -> ColumnValue,
}

/// The columns of the index, without the tags, which have a column together.
pub const INDEX_COLUMNS: &[IndexColumn] = &[
    IndexColumn { name: "at", of: |request| ColumnValue::Number(request.at) },
    IndexColumn { name: "request_id", of: |request| text(&request.request_id) },
    IndexColumn { name: "key_id", of: |request| text(&request.key_id) },
    IndexColumn { name: "provider", of: |request| text(&request.provider) },
    IndexColumn { name: "model", of: |request| text(&request.model) },
    IndexColumn { name: "route", of: |request| text(&request.route) },
    IndexColumn { name: "status", of: |request| ColumnValue::Number(request.status.into()) },
    IndexColumn { name: "outcome", of: |request| text(&request.outcome) },
    IndexColumn { name: "class", of: |request| text(&request.class) },
    IndexColumn { name: "stream", of: |request| ColumnValue::Number(request.stream.into()) },
];

fn text(text: &str) -> ColumnValue {
    ColumnValue::Text(text.to_owned())
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It has this value.
    Equal,
    /// It has this value or a greater one.
    AtLeast,
    /// It has a lower value.
    Below,
}

/// What a request has to meet to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A column compares so.
    Column(&'static str, Comparison, ColumnValue),
    /// The tag of this name has this value.
    Tag(String, String),
}

/// Selects requests for a list. A field that is `None` selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Those that ended at this time or later.
    pub from: Option<Millis>,
    /// Those that ended earlier.
    pub to: Option<Millis>,
    /// That with this id, which callers may choose, so that there may be several.
    pub request_id: Option<String>,
    /// Those of this key.
    pub key_id: Option<String>,
    /// Those that called this provider last.
    pub provider: Option<String>,
    /// Those that called this model last, as its provider names it.
    pub model: Option<String>,
    /// Those that asked for this model or route, as the caller named it.
    pub route: Option<String>,
    /// Those with these statuses.
    pub status: Option<StatusRange>,
    /// Those with this outcome.
    pub outcome: Option<String>,
    /// Those that failed with this class.
    pub class: Option<String>,
    /// Those that asked for a stream, or did not.
    pub stream: Option<bool>,
    /// Those with these tags.
    pub tags: Vec<(String, String)>,
}

/// A range of HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// The first one.
    pub first: u16,
    /// The last one, included.
    pub last: u16,
}

impl StatusRange {
    /// Reads `429`, or `4xx` for all from 400 to 499.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() != 3 {
            return None;
        }
        let (first, last) = match text.strip_suffix("xx") {
            Some(hundreds) => (hundreds.parse::<u16>().ok()? * 100, hundreds.parse::<u16>().ok()? * 100 + 99),
            None => (text.parse().ok()?, text.parse().ok()?),
        };
        (100..=599).contains(&first).then_some(Self { first, last })
    }
}

impl RequestFilter {
    /// What a request has to meet.
    pub fn conditions(&self) -> Vec<Condition> {
        let number = |name, comparison, value: Option<u64>| {
            value.map(|value| Condition::Column(name, comparison, ColumnValue::Number(value)))
        };
        let equal = |name, value: &Option<String>| {
            value.clone().map(|value| Condition::Column(name, Comparison::Equal, ColumnValue::Text(value)))
        };
        let columns = [
            number("at", Comparison::AtLeast, self.from),
            number("at", Comparison::Below, self.to),
            equal("request_id", &self.request_id),
            equal("key_id", &self.key_id),
            equal("provider", &self.provider),
            equal("model", &self.model),
            equal("route", &self.route),
            number("status", Comparison::AtLeast, self.status.map(|status| status.first.into())),
            number("status", Comparison::Below, self.status.map(|status| u64::from(status.last) + 1)),
            equal("outcome", &self.outcome),
            equal("class", &self.class),
            number("stream", Comparison::Equal, self.stream.map(u64::from)),
        ];
        let tags = self.tags.iter().map(|(name, value)| Condition::Tag(name.clone(), value.clone()));
        columns.into_iter().flatten().chain(tags).collect()
    }

    /// Whether a request is selected.
    pub fn selects(&self, request: &RequestSummary) -> bool {
        self.conditions().iter().all(|condition| condition.holds(request))
    }
}

impl Condition {
    /// Whether a request meets it.
    pub fn holds(&self, request: &RequestSummary) -> bool {
        match self {
            Self::Tag(name, value) => request.tags.iter().any(|(tag, given)| tag == name && given == value),
            Self::Column(name, comparison, value) => {
                let own = INDEX_COLUMNS.iter().find(|column| column.name == *name);
                let own = own.map(|column| (column.of)(request));
                own.is_some_and(|own| match comparison {
                    Comparison::Equal => own == *value,
                    Comparison::AtLeast => own >= *value,
                    Comparison::Below => own < *value,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestSummary {
        RequestSummary {
            at: 1_000,
            request_id: "r1".into(),
            key_id: "vk_1".into(),
            provider: "p".into(),
            model: "m".into(),
            route: "fast".into(),
            status: 429,
            outcome: "refused".into(),
            class: "rate".into(),
            stream: true,
            tags: vec![("team".into(), "search".into())],
            ..RequestSummary::default()
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    /// A filter for each field: one that selects the request, and one that does not.
    fn filters() -> Vec<(RequestFilter, RequestFilter)> {
        let all = RequestFilter::default;
        let tag = |value: &str| vec![("team".to_owned(), value.to_owned())];
        vec![
            (RequestFilter { from: Some(1_000), ..all() }, RequestFilter { from: Some(1_001), ..all() }),
            (RequestFilter { to: Some(1_001), ..all() }, RequestFilter { to: Some(1_000), ..all() }),
            (RequestFilter { request_id: some("r1"), ..all() }, RequestFilter { request_id: some("r"), ..all() }),
            (RequestFilter { key_id: some("vk_1"), ..all() }, RequestFilter { key_id: some("vk_2"), ..all() }),
            (RequestFilter { provider: some("p"), ..all() }, RequestFilter { provider: some("q"), ..all() }),
            (RequestFilter { model: some("m"), ..all() }, RequestFilter { model: some("M"), ..all() }),
            (RequestFilter { route: some("fast"), ..all() }, RequestFilter { route: some("m"), ..all() }),
            (
                RequestFilter { status: StatusRange::read("4xx"), ..all() },
                RequestFilter { status: StatusRange::read("428"), ..all() },
            ),
            (RequestFilter { outcome: some("refused"), ..all() }, RequestFilter { outcome: some("lost"), ..all() }),
            (RequestFilter { class: some("rate"), ..all() }, RequestFilter { class: some(""), ..all() }),
            (RequestFilter { stream: Some(true), ..all() }, RequestFilter { stream: Some(false), ..all() }),
            (RequestFilter { tags: tag("search"), ..all() }, RequestFilter { tags: tag("ads"), ..all() }),
        ]
    }

    #[test]
    fn each_field_selects() {
        for (matching, other) in filters() {
            assert!(matching.selects(&request()), "{matching:?}");
            assert!(!other.selects(&request()), "{other:?}");
        }
        assert!(RequestFilter::default().selects(&request()));
    }

    #[test]
    fn conditions_name_columns() {
        for condition in filters().into_iter().flat_map(|(filter, _)| filter.conditions()) {
            if let Condition::Column(name, ..) = condition {
                assert!(INDEX_COLUMNS.iter().any(|column| column.name == name), "{name}");
            }
        }
    }

    #[test]
    fn statuses_are_read_alone_and_by_the_hundred() {
        assert_eq!(StatusRange::read("429"), Some(StatusRange { first: 429, last: 429 }));
        assert_eq!(StatusRange::read("5xx"), Some(StatusRange { first: 500, last: 599 }));
        for text in ["", "4", "44xx", "xxx", "0xx", "600", "+40", "+xx", "éx"] {
            assert_eq!(StatusRange::read(text), None, "{text}");
        }
    }
}
