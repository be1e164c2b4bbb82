//! The limits of an API key: validity, models, rates, budget.

use serde::{Deserialize, Serialize};

use super::admission::AdmissionRefusal;
use crate::config::{Millis, Nanos, OnDisconnect};
use crate::ids::AccountId;

/// The limits of a key. A limit that is not set does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// Whether the key may be used.
    pub enabled: bool,
    /// When it expires, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// Patterns of model names, in which `*` matches any text; empty for every model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Requests per minute, in a sliding window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, prompt and output, in a sliding window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests under way at one time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
    /// Spend per period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The thresholds of the budget at which there is an alert, in percent, ascending; empty for none, `None`
    /// for those of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_alerts: Option<Vec<u32>>,
    /// The longest request body, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// What happens to a response whose client has disconnected; `None` for the setting of the parent, or of
    /// the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disconnect: Option<OnDisconnect>,
    /// Whether responses say which targets were tried.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub show_attempts: bool,
    /// Whether its responses are never kept for later requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_stores: bool,
    /// The account whose limits apply as well: a team's, for its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<AccountId>,
    /// The owner of the key, for reports. The registry keeps it in the key's record, and adds it for the
    /// account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The most that may be spent in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The amount in nano-dollars.
    pub nanos: Nanos,
    /// The period.
    pub per: Period,
    /// Lowers the output limit of a request that could cost more than is left, instead of refusing it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fit: bool,
}

/// A period by the clocks of `reporting.timezone`; a week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// All time.
    Total,
}

impl Period {
    /// Its name, as in limits.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

impl Default for KeyLimits {
    /// No limits.
    fn default() -> Self {
        Self {
            enabled: true,
            expires_at: None,
            models: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
            concurrent: None,
            budget: None,
            budget_alerts: None,
            max_body_bytes: None,
            on_disconnect: None,
            show_attempts: false,
            never_stores: false,
            parent: None,
            owner: None,
        }
    }
}

impl KeyLimits {
    /// Whether each request has to be admitted by the account.
    pub fn are_limited(&self) -> bool {
        self.requests_per_minute.is_some()
            || self.tokens_per_minute.is_some()
            || self.concurrent.is_some()
            || self.budget.is_some()
    }

    /// Whether it matters which model a request reaches, or what it costs.
    pub fn are_bound(&self) -> bool {
        !self.models.is_empty() || self.budget.is_some()
    }

    /// Whether the key is valid at this time.
    pub fn are_valid(&self, now: Millis) -> bool {
        self.enabled && self.expires_at.is_none_or(|end| now < end)
    }

    /// Checks the limits that need no state: validity, models, length of the body.
    ///
    /// # Errors
    /// [`AdmissionRefusal::Inactive`], [`AdmissionRefusal::Model`] or [`AdmissionRefusal::Body`].
    pub fn check(&self, models: &[String], body: u64, now: Millis) -> Result<(), AdmissionRefusal> {
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        if !self.are_valid(now) {
            return Err(AdmissionRefusal::Inactive);
        }
        if !self.allow_model(&models) {
            return Err(AdmissionRefusal::Model);
        }
        match self.max_body_bytes {
            Some(limit) if body > limit => Err(AdmissionRefusal::Body { limit }),
            _ => Ok(()),
        }
    }

    /// Checks that each of several models may be used, by any of its names.
    ///
    /// # Errors
    /// [`AdmissionRefusal::Model`].
    pub fn check_others(&self, models: &[Vec<String>]) -> Result<(), AdmissionRefusal> {
        let is_allowed = |names: &Vec<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.allow_model(&names)
        };
        if models.iter().all(is_allowed) { Ok(()) } else { Err(AdmissionRefusal::Model) }
    }

    /// Whether a model may be used, by any of its names.
    pub fn allow_model(&self, names: &[&str]) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| names.iter().any(|name| matches(pattern, name)))
    }
}

/// Whether a pattern, in which `*` matches any text, matches a name.
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
        // An empty part, between two adjacent `*`, is found at once: `rest` stays as it is.
        let Some((_, after)) = rest.split_once(part) else { return false };
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
    fn each_of_several_models_has_to_be_allowed() {
        let limits = KeyLimits { models: vec!["a/*".into(), "smart".into()], ..KeyLimits::default() };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(limits.check_others(&[]), Ok(()));
        assert_eq!(limits.check_others(&[names(&["a/m"]), names(&["smart", "b/m"])]), Ok(()));
        assert_eq!(limits.check_others(&[names(&["a/m"]), names(&["b/m"])]), Err(AdmissionRefusal::Model));
        assert_eq!(KeyLimits::default().check_others(&[names(&["b/m"])]), Ok(()));
    }

    #[test]
    fn a_key_is_valid_until_it_expires() {
        let limits = KeyLimits { expires_at: Some(10), ..KeyLimits::default() };
        assert!(limits.are_valid(9) && !limits.are_valid(10));
        assert!(!KeyLimits { enabled: false, ..limits }.are_valid(0));
    }

    #[test]
    fn unset_limits_are_not_stored() {
        assert_eq!(serde_json::to_string(&KeyLimits::default()).unwrap(), r#"{"enabled":true}"#);
    }
}
