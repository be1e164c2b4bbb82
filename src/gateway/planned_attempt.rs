//! The attempt under way of a request that has a choice.

use crate::config::Millis;

/// An attempt under way, of a request that has a choice.
pub(super) struct PlannedAttempt {
    /// When it began.
    pub(super) began: Millis,
    /// What may follow.
    pub(super) outlook: Outlook,
    /// Whether others wait for its outcome; `None` once that has been reported.
    pub(super) is_probe: Option<bool>,
    /// The index of the account of its key.
    pub(super) account: usize,
    /// The target, as the client is told of it.
    pub(super) name: String,
}

/// What may follow an attempt that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Another attempt: until content comes, nothing of a response is sent but signs of life.
    pub(super) may_go_on: bool,
    /// Another attempt also follows a refusal by a content policy.
    pub(super) continues_after_policy: bool,
}

/// The response header with the model that served a request which had a choice.
const MODEL: &str = "x-llm-bridge-model";

impl PlannedAttempt {
    /// The response header that names the target.
    pub(super) fn header(&self) -> (&'static str, String) {
        (MODEL, self.name.clone())
    }
}
