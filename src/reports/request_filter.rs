//! Selects requests for a list.

use serde::{Deserialize, Serialize};

use crate::config::Millis;
use crate::telemetry::RequestSummary;

/// A text field of a request by which requests are selected.
struct TextField {
    /// Its name in the JSON of a summary.
    name: &'static str,
    of: fn(&RequestSummary) -> &String,
    wanted: fn(&RequestFilter) -> &Option<String>,
}

const TEXT_FIELDS: &[TextField] = &[
    TextField { name: "request_id", of: |request| &request.request_id, wanted: |filter| &filter.request_id },
    TextField { name: "key_id", of: |request| &request.key_id, wanted: |filter| &filter.key_id },
    TextField { name: "owner", of: |request| &request.owner, wanted: |filter| &filter.owner },
    TextField { name: "provider", of: |request| &request.provider, wanted: |filter| &filter.provider },
    TextField { name: "model", of: |request| &request.model, wanted: |filter| &filter.model },
    TextField { name: "route", of: |request| &request.route, wanted: |filter| &filter.route },
    TextField { name: "outcome", of: |request| &request.outcome, wanted: |filter| &filter.outcome },
    TextField { name: "class", of: |request| &request.class, wanted: |filter| &filter.class },
];

/// The outcome of requests that were served.
const SERVED: &str = "complete";
/// Selects requests with any outcome but [`SERVED`]; no outcome has this name.
const FAILED: &str = "failed";

/// Selects requests for a list. A field that is `None` selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestFilter {
    /// Those that ended at this time or later.
    pub from: Option<Millis>,
    /// Those that ended earlier.
    pub to: Option<Millis>,
    /// That with this id, which callers may choose, so that there may be several.
    pub request_id: Option<String>,
    /// Those of this key.
    pub key_id: Option<String>,
    /// Those of keys that had this owner then.
    #[serde(default)]
    pub owner: Option<String>,
    /// Those that called this provider last.
    pub provider: Option<String>,
    /// Those that called this model last, as its provider names it.
    pub model: Option<String>,
    /// Those that asked for this model or route, as the caller named it.
    pub route: Option<String>,
    /// Those with these statuses.
    pub status: Option<StatusRange>,
    /// Those with this outcome; `failed` for all but `complete`.
    pub outcome: Option<String>,
    /// Those that failed with this class.
    pub class: Option<String>,
    /// Those that asked for a stream, or did not.
    pub stream: Option<bool>,
    /// Those with these tags.
    pub tags: Vec<(String, String)>,
}

/// A range of HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether a request is selected.
    pub fn selects(&self, request: &RequestSummary) -> bool {
        let has_status = |range: StatusRange| (range.first..=range.last).contains(&request.status);
        let has_text = |field: &TextField| {
            let wanted = (field.wanted)(self).as_ref();
            wanted.is_none_or(|wanted| is_equal(field, wanted, (field.of)(request)))
        };
        self.from.is_none_or(|from| request.at >= from)
            && self.to.is_none_or(|to| request.at < to)
            && self.status.is_none_or(has_status)
            && self.stream.is_none_or(|stream| request.stream == stream)
            && TEXT_FIELDS.iter().all(has_text)
            && self.tags.iter().all(|tag| request.tags.contains(tag))
    }

    /// Texts that the JSON of every selected request contains: what lacks one need not be parsed.
    pub fn texts(&self) -> Vec<String> {
        let json = |value: &str| serde_json::to_string(value).unwrap_or_default();
        let of_field = |field: &TextField| {
            // An empty field may be left out of the JSON.
            let wanted = (field.wanted)(self).as_ref().filter(|wanted| !wanted.is_empty())?;
            if means_any_failure(field, wanted) {
                return None;
            }
            Some(format!("\"{}\":{}", field.name, json(wanted)))
        };
        let tags = self.tags.iter().map(|(name, value)| format!("[{},{}]", json(name), json(value)));
        TEXT_FIELDS.iter().filter_map(of_field).chain(tags).collect()
    }
}

fn means_any_failure(field: &TextField, wanted: &str) -> bool {
    field.name == "outcome" && wanted == FAILED
}

fn is_equal(field: &TextField, wanted: &str, value: &str) -> bool {
    if means_any_failure(field, wanted) { value != SERVED } else { wanted == value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestSummary {
        RequestSummary {
            at: 1_000,
            request_id: "r1".into(),
            key_id: "vk_1".into(),
            owner: "ann".into(),
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
            (RequestFilter { owner: some("ann"), ..all() }, RequestFilter { owner: some("an"), ..all() }),
            (RequestFilter { provider: some("p"), ..all() }, RequestFilter { provider: some("q"), ..all() }),
            (RequestFilter { model: some("m"), ..all() }, RequestFilter { model: some("M"), ..all() }),
            (RequestFilter { route: some("fast"), ..all() }, RequestFilter { route: some("m"), ..all() }),
            (
                RequestFilter { status: StatusRange::read("4xx"), ..all() },
                RequestFilter { status: StatusRange::read("428"), ..all() },
            ),
            (RequestFilter { outcome: some("refused"), ..all() }, RequestFilter { outcome: some("lost"), ..all() }),
            (RequestFilter { outcome: some("failed"), ..all() }, RequestFilter { outcome: some("complete"), ..all() }),
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
    fn a_selected_request_contains_the_texts_of_its_filter() {
        let odd = RequestSummary { route: "a\"b\n\u{4e2d}".into(), ..request() };
        let json = serde_json::to_string(&odd).unwrap();
        for (matching, other) in filters() {
            let matching = RequestFilter { route: None, ..matching };
            assert!(matching.texts().iter().all(|text| json.contains(text)), "{matching:?}");
            let (has_texts, selects) = (!other.texts().is_empty(), other.selects(&odd));
            assert!(!has_texts || !selects, "{other:?}");
        }
        let filter = RequestFilter { route: Some(odd.route.clone()), ..RequestFilter::default() };
        assert!(filter.selects(&odd) && json.contains(&filter.texts()[0]));
    }

    #[test]
    fn failed_requests_are_all_that_were_not_served() {
        let failed = RequestFilter { outcome: some("failed"), ..RequestFilter::default() };
        let ended = |outcome: &str| RequestSummary { outcome: outcome.to_owned(), ..request() };
        let selected = ["complete", "refused", "lost", "ended_by_admin"].map(|outcome| failed.selects(&ended(outcome)));
        assert_eq!(selected, [false, true, true, true]);
        let of_class = RequestFilter { class: some("failed"), ..RequestFilter::default() };
        assert!(!of_class.selects(&request()), "no other field has such a word");
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
