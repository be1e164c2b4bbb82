//! What a request asks of the limits of a key, and the reasons why a key refuses it.

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use crate::config::{Millis, Nanos};
use crate::ids::KeyHash;

/// A request to be admitted, with the most that it may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionRequest {
    /// The gateway's id of the request.
    pub id: String,
    /// The fingerprint of the presented key; `None` in a request to the account of the key's parent, after
    /// the key's own account has admitted it.
    pub hash: Option<KeyHash>,
    /// The names of the model: as the caller wrote it, and with its provider.
    pub models: Vec<String>,
    /// The names of each further model that may be called for it: all of them have to be allowed.
    #[serde(rename = "others", default, skip_serializing_if = "Vec::is_empty")]
    pub other_models: Vec<Vec<String>>,
    /// The length of the body, in bytes.
    pub body: u64,
    /// The most tokens that it can use, prompt and output.
    pub tokens: u64,
    /// The most that it can cost, in nano-dollars; `None` if the price is unknown.
    pub cost: Option<Nanos>,
    /// How long its reservation lasts at most, but never shorter than the window of the rate limits.
    #[serde(rename = "life")]
    pub lifetime: Millis,
    /// How the cost depends on the output limit; `None` if the limit cannot be chosen.
    #[serde(rename = "answer", default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputCost>,
    /// A field that could make the provider use another model, or read the request differently from the
    /// gateway.
    #[serde(rename = "astray", default, skip_serializing_if = "Option::is_none")]
    pub stray_field: Option<String>,
    /// A budget that is too small may lower the output limit, since the key's own budget does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fit: bool,
    /// The receipt that applies if the request is lost. Without one its concurrency slot is
    /// held for its whole lifetime, and its receipt says little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Box<Receipt>>,
}

/// How the cost of a request depends on its output limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputCost {
    /// The most that it costs without any output, in nano-dollars.
    #[serde(rename = "besides")]
    pub fixed: Nanos,
    /// The most that one token of output costs, in pico-dollars.
    #[serde(rename = "each")]
    pub per_token: u64,
    /// How many choices are generated at most.
    #[serde(rename = "drawn")]
    pub choices: u64,
    /// The output limit that the cost is for, in tokens per choice.
    pub limit: u64,
    /// The lowest limit worth setting, in tokens.
    #[serde(rename = "least")]
    pub minimum: u64,
    /// Whether the provider honours a limit that the gateway sets.
    pub settable: bool,
}

/// Pico-dollars in a nano-dollar.
const PICO: u128 = 1000;

impl OutputCost {
    /// The cost of one token of the limit, in pico-dollars: each choice may use it.
    fn cost_per_token(&self) -> u128 {
        u128::from(self.per_token) * u128::from(self.choices)
    }

    /// The most that the request costs with this limit, in nano-dollars.
    pub fn cost(&self, limit: u64) -> Nanos {
        let output = self.cost_per_token().saturating_mul(u128::from(limit)).div_ceil(PICO);
        Nanos::try_from(output).unwrap_or(Nanos::MAX).saturating_add(self.fixed)
    }

    /// The largest limit with which it costs at most `nanos`, between 1 and the limit asked for.
    pub fn largest(&self, nanos: Nanos) -> Option<u64> {
        let left = u128::from(nanos.checked_sub(self.fixed)?) * PICO;
        let most = left
            .checked_div(self.cost_per_token())
            .and_then(|most| u64::try_from(most).ok())
            .unwrap_or(u64::MAX)
            .min(self.limit);
        (most > 0).then_some(most)
    }
}

impl AdmissionRequest {
    /// Refuses a request that costs more than `left` of a budget; `promised` is what is reserved for requests
    /// under way, `fit` whether the budget may lower the output limit.
    pub(super) fn check_cost(&self, left: Nanos, promised: Nanos, fit: bool) -> Result<(), AdmissionRefusal> {
        let needed = self.cost.ok_or(AdmissionRefusal::Price)?;
        let largest = self.output.as_ref().and_then(|output| output.largest(left));
        let unsettable = (fit || self.fit) && self.output.as_ref().is_some_and(|output| !output.settable);
        if needed > left {
            return Err(AdmissionRefusal::Budget { needed, left, promised, largest, unsettable });
        }
        Ok(())
    }

    /// The same request with an output limit that fits into half of what is left of a budget. `None` if it
    /// fits as it is, if neither `fit` nor the key's own budget allows it, or if the limit would be below the
    /// minimum.
    pub(super) fn shortened(&self, left: Nanos, fit: bool) -> Option<Self> {
        let is_too_expensive = self.cost.is_some_and(|cost| cost > left);
        if !is_too_expensive || !(fit || self.fit) {
            return None;
        }
        let output = self.output.as_ref().filter(|output| output.settable)?;
        let limit = output.largest(left / 2).filter(|limit| *limit >= output.minimum)?;
        let mut shorter = self.clone();
        shorter.shorten(limit);
        Some(shorter)
    }

    /// Lowers the output limit.
    pub fn shorten(&mut self, limit: u64) {
        let Some(output) = &mut self.output else { return };
        let less = output.limit.saturating_sub(limit).saturating_mul(output.choices);
        self.tokens = self.tokens.saturating_sub(less);
        self.cost = Some(output.cost(limit));
        output.limit = limit;
    }
}

/// A token count to be admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRequest {
    /// The gateway's id of the count.
    pub id: String,
    /// The fingerprint of the presented key; `None` in a request to the account of the key's parent, after
    /// the key's own account has admitted it.
    pub hash: Option<KeyHash>,
    /// The names of the model: as the caller wrote it, and with its provider.
    pub models: Vec<String>,
    /// The length of the body, in bytes.
    pub body: u64,
    /// After this time the count no longer uses a concurrency slot, in milliseconds.
    #[serde(rename = "life")]
    pub lifetime: Millis,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionRefusal {
    /// There is no such key.
    Unknown,
    /// The key is disabled or expired.
    #[serde(rename = "Ended")]
    Inactive,
    /// The key may not use this model.
    Model,
    /// The body is too long.
    Body {
        /// The longest body, in bytes.
        limit: u64,
    },
    /// Too many requests under way.
    Concurrent {
        /// The limit.
        limit: u64,
    },
    /// Too many requests in a minute.
    Requests {
        /// When to retry, in milliseconds.
        wait: Millis,
    },
    /// Too many token counts in a minute.
    Counts {
        /// When to retry, in milliseconds.
        wait: Millis,
    },
    /// Too many tokens in a minute.
    Tokens {
        /// When to retry, in milliseconds.
        wait: Millis,
    },
    /// The request could cost more than is left of the budget.
    Budget {
        /// The most that it could cost.
        needed: Nanos,
        /// What is neither spent nor reserved.
        left: Nanos,
        /// What is reserved for requests under way.
        promised: Nanos,
        /// The largest output limit that would fit, in tokens; `None` if none does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        largest: Option<u64>,
        /// The budget would lower the limit, but the provider has no field for it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unsettable: bool,
    },
    /// A field could make the provider exceed the limits of the key.
    #[serde(rename = "Astray")]
    StrayField {
        /// The field's name.
        name: String,
    },
    /// The price is unknown, so the budget cannot be enforced.
    Price,
}

impl AdmissionRefusal {
    /// The name of the limit that refuses the request; `None` if the key itself is invalid.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Unknown | Self::Inactive => None,
            Self::Model => Some("models"),
            Self::Body { .. } => Some("body"),
            Self::Concurrent { .. } => Some("concurrent"),
            Self::Requests { .. } => Some("requests"),
            Self::Counts { .. } => Some("counts"),
            Self::Tokens { .. } => Some("tokens"),
            Self::Budget { .. } => Some("budget"),
            Self::StrayField { .. } => Some("field"),
            Self::Price => Some("price"),
        }
    }
}

/// What is left of the rate limits of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitStatus {
    /// Requests per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RateLimit>,
    /// Tokens per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<RateLimit>,
}

/// One rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// What may be taken in a minute.
    pub limit: u64,
    /// What is left of it.
    pub left: u64,
    /// When all of it is available again, in milliseconds from now.
    pub reset: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_limit_costs_no_more_than_is_left() {
        let answer = OutputCost { fixed: 7, per_token: 1_500, choices: 3, limit: 1_000, minimum: 1, settable: true };
        for limit in [1, 2, 10, 999, 1_000] {
            let cost = answer.cost(limit);
            assert_eq!(answer.largest(cost), Some(limit));
            assert!(answer.largest(cost - 1) < Some(limit) && answer.largest(cost + 3) == Some(limit));
        }
        assert_eq!(answer.largest(6), None);
        assert_eq!(answer.largest(7), None);
        assert_eq!(answer.largest(u64::MAX), Some(1_000));
        let free = OutputCost { per_token: 0, ..answer.clone() };
        assert_eq!(free.largest(6), None);
        assert_eq!(free.largest(7), Some(1_000));
        let dear = OutputCost { per_token: u64::MAX, choices: u64::MAX, limit: u64::MAX, ..answer };
        assert_eq!(dear.cost(u64::MAX), u64::MAX);
        assert_eq!(dear.largest(u64::MAX), None);
    }

    #[test]
    fn a_lower_output_limit_needs_less_of_everything() {
        let answer =
            Some(OutputCost { fixed: 5, per_token: 1_000, choices: 2, limit: 100, minimum: 1, settable: true });
        let mut request =
            AdmissionRequest { tokens: 230, cost: Some(205), output: answer, ..AdmissionRequest::default() };
        request.shorten(40);
        assert_eq!(request.tokens, 110);
        assert_eq!(request.cost, Some(85));
        assert_eq!(request.output.map(|answer| answer.limit), Some(40));
    }

    #[test]
    fn commands_of_an_earlier_build_are_read() {
        let old = r#"{"id":"a","hash":null,"models":[],"body":1,"tokens":2,"cost":3,"life":4}"#;
        let request: AdmissionRequest = serde_json::from_str(old).unwrap();
        assert_eq!(request.output, None);
        assert_eq!(request.stray_field, None);
        assert_eq!(request.other_models, [] as [Vec<String>; 0]);
        assert!(!request.fit);
    }
}
