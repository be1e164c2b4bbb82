//! Commands to the shared health, and its responses.

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// What a state is about. Providers and keys are named, because isolates of different builds may count them
/// differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSubject {
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model, where one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The fingerprint of the key, where one is meant. Of an account, that of its first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The data center of the platform from which calls leave, where one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_center: Option<String>,
}

/// The kinds of things that have a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A provider, with all its models and keys.
    Host,
    /// A model at a provider, with all keys.
    Target,
    /// A key, for one model.
    KeyModel,
    /// A key, for all models.
    Key,
    /// An account, with all its keys.
    Account,
    /// A provider, called from a data center: it refuses that place.
    Place,
}

/// That something is out: its breaker is open, or it rests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthEntry {
    /// What.
    pub subject: HealthSubject,
    /// The class of the failure.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since: Millis,
    /// Until when. Then the next request is a probe.
    pub until: Millis,
}

/// That something serves again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReturn {
    /// What.
    pub subject: HealthSubject,
    /// When that was found, in milliseconds since 1970.
    pub at: Millis,
}

/// That an operator had something forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReset {
    /// What; `None` for everything.
    pub subject: Option<HealthSubject>,
    /// When, in milliseconds since 1970. Later findings count again.
    pub at: Millis,
}

/// A command to the shared health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthCommand {
    /// Tells what has changed in an isolate.
    Report {
        /// What is out.
        out: Vec<HealthEntry>,
        /// What serves again.
        back: Vec<HealthReturn>,
    },
    /// Asks for all that is known, if it is not of this version.
    Read {
        /// The version that the isolate knows; 0 for none.
        version: u64,
    },
    /// Forgets what is known of a subject, or of all.
    Reset(Option<HealthSubject>),
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// Grows with each change.
    pub version: u64,
    /// What is out.
    pub entries: Vec<HealthEntry>,
    /// The latest resets, oldest first.
    pub resets: Vec<HealthReset>,
}

/// The response of the shared health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthResponse {
    /// All that is known, after the command.
    Known(HealthView),
    /// The version that was asked about is the latest.
    Unchanged,
    /// The command could not be parsed.
    Malformed,
}
