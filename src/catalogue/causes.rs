//! The rows of `configs/causes.yaml`, as static data that `build.rs` writes: which words and statuses of
//! providers mean what, and where they say how long to wait.

use super::cause::{FailureClass, FailureScope};
use super::pattern::matches;
use super::rows::{Evidence, Source};

/// What an error of a provider means.
#[derive(Debug, PartialEq, Eq)]
pub struct CauseRow {
    /// The hosts that it holds for; empty for any provider.
    pub hosts: &'static [&'static str],
    /// Ranges of statuses, both ends included; empty for any status.
    pub statuses: &'static [(u16, u16)],
    /// Patterns of types and codes. The row requires a match of one of them; if empty, it requires none.
    pub words: &'static [&'static str],
    /// Patterns of messages. The row requires a match of one of them; if empty, it requires none.
    pub texts: &'static [&'static str],
    /// What has gone wrong.
    pub class: FailureClass,
    /// What fails with it.
    pub scope: FailureScope,
    /// How long to wait if the provider does not say, in milliseconds.
    pub wait: Option<u64>,
    /// How long to wait at least, whatever the provider says, in milliseconds.
    pub at_least: Option<u64>,
    /// Where this was read.
    pub source: &'static Source,
}

/// An error, as far as the rows look at it.
#[derive(Clone, Copy, Debug)]
pub struct StatedError<'s> {
    /// The provider's host in the catalogue.
    pub host: Option<&'s str>,
    /// The HTTP status.
    pub status: u16,
    /// Types and codes.
    pub words: &'s [String],
    /// Messages.
    pub texts: &'s [String],
}

impl CauseRow {
    /// Whether it looks at more than host and status.
    pub fn has_words(&self) -> bool {
        !(self.words.is_empty() && self.texts.is_empty())
    }

    /// Whether it holds for an error.
    pub fn holds(&self, error: StatedError<'_>) -> bool {
        let fits = |patterns: &[&str], texts: &[String]| {
            patterns.is_empty() || texts.iter().any(|text| patterns.iter().any(|pattern| matches(pattern, text)))
        };
        let at_host = || error.host.is_some_and(|host| self.hosts.contains(&host));
        let has_status = || self.statuses.iter().any(|(first, last)| (*first..=*last).contains(&error.status));
        (self.statuses.is_empty() || has_status())
            && (self.hosts.is_empty() || at_host())
            && fits(self.words, error.words)
            && fits(self.texts, error.texts)
    }
}

/// How a waiting time is written, if it is a mere number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitUnit {
    /// Milliseconds.
    Millis,
    /// Seconds; a number that is too large for that is a time since 1970 in seconds or milliseconds.
    Seconds,
}

/// A header or field that says how long to wait.
#[derive(Debug)]
pub struct WaitName {
    /// Its name; that of a header is in lower case.
    pub name: &'static str,
    /// What a mere number means.
    pub unit: WaitUnit,
}

/// Words that stand before a waiting time in a message.
#[derive(Debug)]
pub struct WaitCue {
    /// The words, in lower case.
    pub words: &'static str,
    /// By how many hours the clock of a date without a zone is ahead of UTC.
    pub hours_ahead: u64,
}

/// Headers that describe one limit.
#[derive(Debug)]
pub struct LimitHeaders {
    /// The header that says how much is left, or whether the limit refuses.
    pub state: &'static str,
    /// Its value if nothing is left, in lower case. A number that is not above 0 says the same.
    pub exhausted: &'static str,
    /// The header that says when the limit is reset; empty if there is none.
    pub reset: &'static str,
    /// The longest time until it is reset, in milliseconds, where no header says so.
    pub window: Option<u64>,
}

include!(concat!(env!("OUT_DIR"), "/causes.rs"));

/// All rows. Of several that hold for an error, the first counts.
pub fn causes() -> &'static [CauseRow] {
    CAUSES
}

/// The fields that hold types and codes.
pub fn word_fields() -> &'static [&'static str] {
    WORD_FIELDS
}

/// The fields that hold messages.
pub fn text_fields() -> &'static [&'static str] {
    TEXT_FIELDS
}

/// The fields that hold objects with such fields. Others may quote what the caller sent.
pub fn container_fields() -> &'static [&'static str] {
    CONTAINER_FIELDS
}

/// The headers that hold a type, before a colon.
pub fn word_headers() -> &'static [&'static str] {
    WORD_HEADERS
}

/// The headers of refusals that are passed on to clients, besides how long to wait.
pub fn hint_headers() -> &'static [&'static str] {
    HINT_HEADERS
}

/// The headers that state the limits of the operator's account.
pub fn limit_headers() -> &'static [&'static str] {
    LIMIT_HEADERS
}

/// The headers that say how long to wait, in the order in which they count.
pub fn wait_headers() -> &'static [WaitName] {
    WAIT_HEADERS
}

/// The fields that say how long to wait, in the order in which they count.
pub fn wait_fields() -> &'static [WaitName] {
    WAIT_FIELDS
}

/// The words before a waiting time in a message.
pub fn wait_cues() -> &'static [WaitCue] {
    WAIT_CUES
}

/// The headers of limits.
pub fn limits() -> &'static [LimitHeaders] {
    LIMITS
}
