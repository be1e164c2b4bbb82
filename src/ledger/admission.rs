//! What a request asks of the limits of a key, and the reasons why a key refuses it.

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use crate::config::{Millis, Nanos};

/// A request that wants to be admitted: the most that it may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionRequest {
    /// The gateway's own id of the request.
    pub id: String,
    /// The fingerprint of the key presented; none where a member's account has been asked already.
    pub hash: Option<String>,
    /// The names of the model called: as the caller wrote it, and in full.
    pub models: Vec<String>,
    /// The length of its body in bytes.
    pub body: u64,
    /// The most tokens that it can take, prompt and answer.
    pub tokens: u64,
    /// The most that it can cost; none if the model's price is not known.
    pub cost: Option<Nanos>,
    /// After so long its promise is void; but not within the minute that its limits count.
    pub life: Millis,
    /// How the cost depends on the length of its answers; none if that cannot be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<OutputCost>,
    /// A field of it that could lead the provider to another model or another reading than the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub astray: Option<String>,
    /// A budget that it does not fit into may grant a shorter answer, since the key's own does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fit: bool,
    /// The receipt that stands if nothing more is heard of it. Without one it holds its place for its whole life, and leaves a receipt that
    /// says little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Box<Receipt>>,
}

/// How the cost of a request depends on the length of its answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputCost {
    /// What it costs at most without an answer, in nano-dollars.
    pub besides: Nanos,
    /// What a token of an answer costs at most, in pico-dollars.
    pub each: u64,
    /// How many answers may be drawn.
    pub drawn: u64,
    /// The longest answer, in tokens, that the cost is for.
    pub limit: u64,
    /// A shorter limit than this is not worth setting.
    pub least: u64,
    /// Whether the provider would heed a limit that is set.
    pub settable: bool,
}

/// Pico-dollars in a nano-dollar.
const PICO: u128 = 1000;

impl OutputCost {
    /// A token of the limit, in pico-dollars: each answer may have it.
    fn rate(&self) -> u128 {
        u128::from(self.each) * u128::from(self.drawn)
    }

    /// What the request costs at most with this limit, in nano-dollars.
    pub fn cost(&self, limit: u64) -> Nanos {
        let answers = self.rate().saturating_mul(u128::from(limit)).div_ceil(PICO);
        Nanos::try_from(answers).unwrap_or(Nanos::MAX).saturating_add(self.besides)
    }

    /// The largest limit, of at least 1, with which it costs no more than so much; no larger than the limit asked for.
    pub fn largest(&self, nanos: Nanos) -> Option<u64> {
        let left = u128::from(nanos.checked_sub(self.besides)?) * PICO;
        let most = left.checked_div(self.rate()).and_then(|most| u64::try_from(most).ok()).unwrap_or(u64::MAX);
        Some(most.min(self.limit)).filter(|limit| *limit > 0)
    }
}

impl AdmissionRequest {
    /// Whether it costs no more than is left of a budget, of which so much is `promised` to others; `fit`: the budget is to be fitted into.
    pub(super) fn refuse_cost(&self, left: Nanos, promised: Nanos, fit: bool) -> Result<(), AdmissionRefusal> {
        let needed = self.cost.ok_or(AdmissionRefusal::Price)?;
        let largest = self.answer.as_ref().and_then(|answer| answer.largest(left));
        let unsettable = (fit || self.fit) && self.answer.as_ref().is_some_and(|answer| !answer.settable);
        if needed > left {
            Err(AdmissionRefusal::Budget { needed, left, promised, largest, unsettable })
        } else {
            Ok(())
        }
    }

    /// The same with the longest answer that fits into half of what is left of a budget: where it does not fit as it is, `fit` or the key's
    /// own budget allows it, and the answer would be worth it.
    pub(super) fn shortened(&self, left: Nanos, fit: bool) -> Option<Self> {
        self.cost.filter(|cost| (fit || self.fit) && *cost > left)?;
        let answer = self.answer.as_ref().filter(|answer| answer.settable)?;
        let limit = answer.largest(left / 2).filter(|limit| *limit >= answer.least)?;
        let mut shorter = self.clone();
        shorter.shorten(limit);
        Some(shorter)
    }

    /// Asks for answers of no more than so many tokens.
    pub fn shorten(&mut self, limit: u64) {
        let Some(answer) = &mut self.answer else { return };
        let less = answer.limit.saturating_sub(limit).saturating_mul(answer.drawn);
        self.tokens = self.tokens.saturating_sub(less);
        (self.cost, answer.limit) = (Some(answer.cost(limit)), limit);
    }
}

/// A question that wants to be admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountRequest {
    /// The gateway's own id of it.
    pub id: String,
    /// The fingerprint of the key presented; none where a member's account has been asked already.
    pub hash: Option<String>,
    /// The names of the model: as the caller wrote it, and in full.
    pub models: Vec<String>,
    /// The length of its body in bytes.
    pub body: u64,
    /// After so many milliseconds it is taken for lost.
    pub life: Millis,
}

/// Why a request may not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmissionRefusal {
    /// There is no such key.
    Unknown,
    /// It was switched off, or is past its end.
    Ended,
    /// It may not call this model.
    Model,
    /// Its bodies may not be so long.
    Body {
        /// The longest, in bytes.
        limit: u64,
    },
    /// Too many at one time.
    Concurrent {
        /// How many may be.
        limit: u64,
    },
    /// Too many requests in a minute.
    Requests {
        /// When to come again, in milliseconds.
        wait: Millis,
    },
    /// Too many questions for counts in a minute.
    Counts {
        /// When to come again, in milliseconds.
        wait: Millis,
    },
    /// Too many tokens in a minute.
    Tokens {
        /// When to come again, in milliseconds.
        wait: Millis,
    },
    /// The request could cost more than is left.
    Budget {
        /// The most that it could cost.
        needed: Nanos,
        /// What is neither spent nor promised.
        left: Nanos,
        /// What is promised to requests under way.
        promised: Nanos,
        /// The largest limit, in tokens, with which it would fit; none if no limit makes it fit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        largest: Option<u64>,
        /// It was to fit, but no name of the limit is known that the provider honours.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unsettable: bool,
    },
    /// It has a field that could lead the provider past the key's terms.
    Astray {
        /// The field's name.
        name: String,
    },
    /// Whether it keeps within the budget cannot be said.
    Price,
}

/// What is left of the limits that a key has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitStatus {
    /// Requests in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RateLimit>,
    /// Tokens in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<RateLimit>,
}

/// One limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// What may be taken in a minute.
    pub limit: u64,
    /// What is left of it.
    pub left: u64,
    /// When all of it is there again, in milliseconds.
    pub reset: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_limit_costs_no_more_than_is_left() {
        let answer = OutputCost { besides: 7, each: 1_500, drawn: 3, limit: 1_000, least: 1, settable: true };
        for limit in [1, 2, 10, 999, 1_000] {
            let cost = answer.cost(limit);
            assert_eq!(answer.largest(cost), Some(limit));
            assert!(answer.largest(cost - 1) < Some(limit) && answer.largest(cost + 3) == Some(limit));
        }
        assert_eq!((answer.largest(6), answer.largest(7), answer.largest(u64::MAX)), (None, None, Some(1_000)));
        let free = OutputCost { each: 0, ..answer.clone() };
        assert_eq!((free.largest(6), free.largest(7)), (None, Some(1_000)));
        let dear = OutputCost { each: u64::MAX, drawn: u64::MAX, limit: u64::MAX, ..answer };
        assert_eq!((dear.cost(u64::MAX), dear.largest(u64::MAX)), (u64::MAX, None));
    }

    #[test]
    fn a_shorter_answer_takes_less_of_everything() {
        let answer = Some(OutputCost { besides: 5, each: 1_000, drawn: 2, limit: 100, least: 1, settable: true });
        let mut ask = AdmissionRequest { tokens: 230, cost: Some(205), answer, ..AdmissionRequest::default() };
        ask.shorten(40);
        assert_eq!((ask.tokens, ask.cost, ask.answer.map(|answer| answer.limit)), (110, Some(85), Some(40)));
    }

    #[test]
    fn orders_of_an_older_gateway_are_read() {
        let old = r#"{"id":"a","hash":null,"models":[],"body":1,"tokens":2,"cost":3,"life":4}"#;
        let ask: AdmissionRequest = serde_json::from_str(old).unwrap();
        assert_eq!((ask.answer, ask.astray, ask.fit), (None, None, false));
    }
}
