//! What a key may do: for how long, with which models, how often, for how much.

use serde::{Deserialize, Serialize};

use super::admission::AdmissionRefusal;
use crate::config::{Millis, Nanos, OnDisconnect};

/// The terms of a key. A limit that is not set does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// Whether the key may be used at all.
    pub enabled: bool,
    /// When it ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// Patterns of models' names, in which `*` stands for anything; none: every model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Requests in any minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens in any minute, prompt and answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests under way at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The longest request body, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// What becomes of an answer whose client has left; none: what the key above says, or the provider's row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disconnect: Option<OnDisconnect>,
    /// The key whose limits hold for this one as well: a team's, for its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// So much money for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The amount in nano-dollars.
    pub nanos: Nanos,
    /// For how long.
    pub per: Period,
    /// A request that could cost more than is left gets a shorter answer, rather than a refusal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fit: bool,
}

/// A stretch of time in UTC; a week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// For ever.
    Total,
}

impl Default for KeyLimits {
    /// Anything goes.
    fn default() -> Self {
        Self {
            enabled: true,
            expires_at: None,
            models: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
            concurrent: None,
            budget: None,
            max_body_bytes: None,
            on_disconnect: None,
            parent: None,
        }
    }
}

impl KeyLimits {
    /// Whether each request has to be asked for at the account.
    pub fn are_limited(&self) -> bool {
        self.requests_per_minute.is_some()
            || self.tokens_per_minute.is_some()
            || self.concurrent.is_some()
            || self.budget.is_some()
    }

    /// Whether it matters which model a request reaches, and what it costs.
    pub fn are_bound(&self) -> bool {
        !self.models.is_empty() || self.budget.is_some()
    }

    /// Whether the key is good at this time.
    pub fn are_valid(&self, now: Millis) -> bool {
        self.enabled && self.expires_at.is_none_or(|end| now < end)
    }

    /// Refuses what these terms refuse without counting anything: a key past its end, a model by its names, a body by its bytes.
    ///
    /// # Errors
    /// [`AdmissionRefusal::Ended`], [`AdmissionRefusal::Model`] or [`AdmissionRefusal::Body`].
    pub fn refuse(&self, models: &[String], body: u64, now: Millis) -> Result<(), AdmissionRefusal> {
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        if !self.are_valid(now) {
            return Err(AdmissionRefusal::Ended);
        }
        if !self.allow_model(&models) {
            return Err(AdmissionRefusal::Model);
        }
        self.max_body_bytes.filter(|limit| body > *limit).map_or(Ok(()), |limit| Err(AdmissionRefusal::Body { limit }))
    }

    /// Whether a model may be called, by any of its names.
    pub fn allow_model(&self, names: &[&str]) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| names.iter().any(|name| matches(pattern, name)))
    }
}

/// Whether a pattern, in which `*` stands for any text, covers a name.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) =
            rest.split_once(part).filter(|_| !part.is_empty()).or(part.is_empty().then_some(("", rest)))
        else {
            return false;
        };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_names() {
        for (pattern, name) in [
            ("a", "a"),
            ("a*", "abc"),
            ("*", ""),
            ("*c", "abc"),
            ("a*c", "abbc"),
            ("a*b*c", "aXbYc"),
            ("**a", "xa"),
            ("a*a", "aa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "ab"), ("a*", "ba"), ("*c", "cb"), ("a*c", "acb"), ("a*b*c", "acb"), ("", "a"), ("a*a", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_key_is_good_until_its_end() {
        let terms = KeyLimits { expires_at: Some(10), ..KeyLimits::default() };
        assert!(terms.are_valid(9) && !terms.are_valid(10));
        assert!(!KeyLimits { enabled: false, ..terms }.are_valid(0));
    }

    #[test]
    fn the_plainest_terms_are_short() {
        assert_eq!(serde_json::to_string(&KeyLimits::default()).unwrap(), r#"{"enabled":true}"#);
    }
}
