//! What the gateway observes that alerts are about.

use serde::{Deserialize, Serialize};

use super::notice::AlertKind;
use super::window::Counts;
use crate::config::{Millis, Nanos};
use crate::ids::AccountId;

/// The milliseconds of an hour.
const HOUR: Millis = 3_600_000;

/// The characters of a subject that tell states apart. Names of models can come from clients.
const MAX_SUBJECT: usize = 256;

/// What was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Observation {
    /// What a key has spent of its budget.
    Budget {
        /// The key's account.
        key: AccountId,
        /// The period's name, such as `day`.
        per: String,
        /// The period's number; later periods have greater numbers.
        period: u64,
        /// The spend in this period, in nano-dollars.
        spent: Nanos,
        /// The budget, in nano-dollars.
        budget: Nanos,
        /// The key's own thresholds, in percent; `None` for those of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percents: Option<Vec<u32>>,
    },
    /// Whether a target serves.
    Target {
        /// The target: provider and model.
        name: String,
        /// Whether it is out.
        is_down: bool,
        /// The class of the failure, if it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// How many of the latest requests failed.
    ErrorRate {
        /// The counts of the window.
        counts: Counts,
    },
    /// What all keys have spent in the hour that contains `at`.
    Spend {
        /// A time in this hour, in milliseconds since 1970.
        at: Millis,
        /// The spend in this hour, in nano-dollars.
        spent: Nanos,
    },
    /// Whether a model that was used has a price.
    Price {
        /// The model: provider and the provider's name for it.
        model: String,
        /// Whether its price is known.
        is_known: bool,
    },
    /// How full a store is.
    Store {
        /// The store's name.
        name: String,
        /// The bytes that are used.
        used: u64,
        /// The bytes that it can hold.
        capacity: u64,
    },
}

impl Observation {
    /// The kind of the alert that it can raise.
    pub fn kind(&self) -> AlertKind {
        match self {
            Self::Budget { .. } => AlertKind::Budget,
            Self::Target { .. } => AlertKind::Target,
            Self::ErrorRate { .. } => AlertKind::ErrorRate,
            Self::Spend { .. } => AlertKind::Spend,
            Self::Price { .. } => AlertKind::Price,
            Self::Store { .. } => AlertKind::Store,
        }
    }

    /// What it is about. Empty for what is about the whole gateway.
    pub fn subject(&self) -> &str {
        match self {
            Self::Budget { key, .. } => key.as_str(),
            Self::Target { name, .. } | Self::Store { name, .. } => name,
            Self::Price { model, .. } => model,
            Self::ErrorRate { .. } | Self::Spend { .. } => "",
        }
    }

    /// The name of the state that it changes. A budget of another period is another alert.
    pub fn state_name(&self) -> String {
        let variant = match self {
            Self::Budget { per, .. } => per.as_str(),
            _ => "",
        };
        let subject: String = self.subject().chars().take(MAX_SUBJECT).collect();
        format!("{}/{variant}/{subject}", self.kind().name())
    }

    /// The number of the hour that contains a time.
    pub fn hour(at: Millis) -> u64 {
        at / HOUR
    }

    /// The time at which an hour begins.
    pub fn hour_start(hour: u64) -> Millis {
        hour.saturating_mul(HOUR)
    }
}
