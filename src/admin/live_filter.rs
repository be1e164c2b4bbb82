//! Which requests a watcher wants to see.

use serde::{Deserialize, Serialize};

use super::query::Query;
use super::report_query::read_key;
use crate::error::Result;
use crate::operations::{LiveNews, LiveRequest};

/// The parameters of the WebSocket.
pub const PARAMETERS: &[&str] = &["ticket", "key", "model", "outcome"];

/// Which requests a watcher wants to see: those with all of these values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Only ends are shown, and only those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
}

impl LiveFilter {
    /// The filter in the query of a URL.
    ///
    /// # Errors
    /// 400 with the name of the invalid parameter.
    pub fn read(query: &str) -> Result<Self> {
        Self::of(&Query::read(query, PARAMETERS)?)
    }

    /// The filter in the parameters.
    ///
    /// # Errors
    /// 400 with the name of the invalid one.
    pub fn of(query: &Query) -> Result<Self> {
        let text = |name| query.text(name).map(str::to_owned);
        Ok(Self { key_id: read_key(query)?, model: text("model"), outcome: text("outcome") })
    }

    /// Whether the watcher wants to see this.
    pub fn admits(&self, news: &LiveNews<'_>) -> bool {
        match news {
            LiveNews::Started(request) | LiveNews::FirstToken(_, request) => self.admits_request(request),
            LiveNews::Ended(summary) => {
                let models = [&summary.model, &summary.route];
                self.admits_names(&summary.key_id, models)
                    && self.outcome.as_ref().is_none_or(|outcome| *outcome == summary.outcome)
            }
        }
    }

    /// Whether the watcher wants to see this running request.
    pub fn admits_request(&self, request: &LiveRequest) -> bool {
        self.outcome.is_none() && self.admits_names(&request.key_id, [&request.model, &request.route])
    }

    /// `models`: the model as its provider and as the caller names it.
    fn admits_names(&self, key_id: &str, models: [&String; 2]) -> bool {
        self.key_id.as_ref().is_none_or(|wanted| wanted == key_id)
            && self.model.as_ref().is_none_or(|wanted| models.contains(&wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::RequestSummary;

    fn admits(query: &str) -> (bool, bool) {
        let filter = LiveFilter::read(query).unwrap();
        let request =
            LiveRequest { key_id: "vk_a".into(), model: "m".into(), route: "fast".into(), ..LiveRequest::default() };
        let (key_id, model, route, outcome) = ("vk_a".into(), "m".into(), "fast".into(), "complete".into());
        let ended = RequestSummary { key_id, model, route, outcome, ..RequestSummary::default() };
        (filter.admits(&LiveNews::Started(&request)), filter.admits(&LiveNews::Ended(&ended)))
    }

    #[test]
    fn a_request_is_shown_that_has_all_wanted_values() {
        for query in ["", "ticket=x", "key=a", "key=vk_a&model=m", "model=fast"] {
            assert_eq!(admits(query), (true, true), "{query}");
        }
        for query in ["key=b", "model=n", "key=a&model=n"] {
            assert_eq!(admits(query), (false, false), "{query}");
        }
        assert_eq!(admits("outcome=complete"), (false, true));
        assert_eq!(admits("outcome=refused"), (false, false));
        assert!(LiveFilter::read("models=m").is_err());
    }
}
