//! The attempt under way of a request that has a choice.

use std::borrow::Cow;

use super::dropped_fields::{fits_header, listed};
use super::ended_attempt::AttemptTarget;
use super::writer::RECOVERED;
use crate::config::Millis;
use crate::formats::Framing;

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
    /// Where it goes.
    pub(super) target: AttemptTarget,
}

/// What may follow an attempt that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Another attempt: until content comes, nothing of a response is sent but signs of life.
    pub(super) may_go_on: bool,
    /// The longest that a stream is held after its content has begun, because another attempt may begin anew.
    pub(super) hold: Option<Millis>,
    /// The sent content after which another attempt may go on with the stream; `None`: after none.
    pub(super) resumes: Option<Resumes>,
    /// Another attempt also follows a refusal by a content policy.
    pub(super) continues_after_policy: bool,
}

/// The content of a stream that may have been sent to the client when another attempt goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumes {
    /// Thoughts in plain text.
    Thoughts,
    /// Thoughts in plain text, and text.
    Text,
}

/// The response header with the model that served a request which had a choice.
const MODEL: &str = "x-llm-bridge-model";

/// The response header with the targets that were tried, for keys that may see them.
pub(super) const ATTEMPTS: &str = "x-llm-bridge-attempts";

/// Lists attempts for a response header: `openai/gpt-4.1 rate, anthropic/claude-sonnet-4-5`.
pub(super) fn listed_attempts<'t>(attempts: impl Iterator<Item = (&'t AttemptTarget, &'static str)>) -> String {
    let attempts: Vec<Cow<'_, str>> = attempts.map(|(target, class)| written(target, class).into()).collect();
    listed(&attempts)
}

/// One attempt: the target, the number of its key if that is not the first, and the class of its failure.
fn written(target: &AttemptTarget, class: &str) -> String {
    let key = if target.key > 0 { format!(" key={}", target.key) } else { String::new() };
    let class = if class.is_empty() { String::new() } else { format!(" {class}") };
    format!("{}/{}{key}{class}", target.provider, target.model)
}

impl PlannedAttempt {
    /// The response header that names the target.
    pub(super) fn header(&self) -> (&'static str, String) {
        (MODEL, self.name())
    }

    /// The same between two events of a stream whose head has left before its target was known, and how the
    /// response went on, if it did; empty in a format without a place for it.
    pub(super) fn comment(&self, framing: &Framing, recovered: Option<&str>) -> Vec<u8> {
        let Some(write) = framing.comment else { return Vec::new() };
        let recovered = recovered.map(|how| write(&format!("{RECOVERED}: {how}")));
        let model = write(&format!("{MODEL}: {}", self.name()));
        [model, recovered.unwrap_or_default()].concat().into_bytes()
    }

    /// The target, in printable ASCII: a caller may have chosen the model's name.
    fn name(&self) -> String {
        let name = format!("{}/{}", self.target.provider, self.target.model);
        if fits_header(&name) { name } else { listed(&[name.into()]) }
    }
}
