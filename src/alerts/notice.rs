//! A notice: what is reported of an alert, independent of where it is sent.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Millis;

/// The kinds of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A key has used a part of its budget.
    Budget,
    /// A target is down.
    Target,
    /// Many requests fail.
    ErrorRate,
    /// Much is spent in an hour.
    Spend,
    /// A model has no price.
    Price,
    /// A store is nearly full.
    Store,
    /// Notices were withheld because of the hourly cap.
    Cap,
    /// A test of the destinations.
    Test,
}

/// Whether an alert begins or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It begins.
    Raised,
    /// It is over.
    Recovered,
}

/// What is reported of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Identifies the event: two reports of the same event have the same id.
    pub id: String,
    /// The kind of the alert.
    pub kind: AlertKind,
    /// Whether it begins or is over.
    pub phase: Phase,
    /// When that was found, in milliseconds since 1970.
    pub at: Millis,
    /// What it is about: a key's id, a target, a model, a store. May be empty.
    pub subject: String,
    /// One sentence for people.
    pub title: String,
    /// Names and values, in the order in which they are shown.
    pub facts: Vec<(String, String)>,
}

/// What a kind of alert is called.
struct KindNames {
    kind: AlertKind,
    /// In names of states.
    name: &'static str,
    /// The type of the event that begins it, at receivers.
    raised: &'static str,
    /// The type of the event that ends it.
    recovered: &'static str,
}

const fn names(kind: AlertKind, name: &'static str, raised: &'static str, recovered: &'static str) -> KindNames {
    KindNames { kind, name, raised, recovered }
}

/// The names of all kinds.
const NAMES: &[KindNames] = &[
    names(AlertKind::Budget, "budget", "budget.threshold_reached", "budget.available"),
    names(AlertKind::Target, "target", "target.down", "target.back"),
    names(AlertKind::ErrorRate, "error_rate", "error_rate.high", "error_rate.normal"),
    names(AlertKind::Spend, "spend", "spend.high", "spend.normal"),
    names(AlertKind::Price, "price", "price.missing", "price.known"),
    names(AlertKind::Store, "store", "store.nearly_full", "store.has_room"),
    names(AlertKind::Cap, "cap", "alerts.withheld", "alerts.withheld"),
    names(AlertKind::Test, "test", "alerts.test", "alerts.test"),
];

impl AlertKind {
    fn names(self) -> Option<&'static KindNames> {
        NAMES.iter().find(|row| row.kind == self)
    }

    /// Its name, such as `error_rate`.
    pub fn name(self) -> &'static str {
        self.names().map_or("unknown", |row| row.name)
    }
}

/// The number of bytes of the hash in an id.
const ID_BYTES: usize = 12;

impl Notice {
    /// The name of the event, such as `target.down`.
    pub fn event_type(&self) -> &'static str {
        self.kind.names().map_or("alerts.unknown", |row| match self.phase {
            Phase::Raised => row.raised,
            Phase::Recovered => row.recovered,
        })
    }

    /// The id of an event: `alert_` and a hash of what makes it another event than others.
    pub fn make_id(parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        for part in parts {
            // The length keeps ("ab", "c") apart from ("a", "bc").
            hash.update(part.len().to_string().as_bytes());
            hash.update(b":");
            hash.update(part.as_bytes());
        }
        let mut id = "alert_".to_owned();
        for byte in hash.finalize().iter().take(ID_BYTES) {
            let _ = write!(id, "{byte:02x}");
        }
        id
    }

    /// The notice of a test call. `nonce` makes each call another event.
    pub fn test(now: Millis, nonce: &str) -> Self {
        Self {
            id: Self::make_id(&["test", nonce]),
            kind: AlertKind::Test,
            phase: Phase::Raised,
            at: now,
            subject: String::new(),
            title: "This is a test of the gateway's alerts. Nothing has happened.".to_owned(),
            facts: Vec::new(),
        }
    }

    /// The notice that some notices of an hour were not sent. `hour` is counted from 1970.
    pub fn withheld(now: Millis, hour: u64, count: u64) -> Self {
        Self {
            id: Self::make_id(&["withheld", &hour.to_string()]),
            kind: AlertKind::Cap,
            phase: Phase::Raised,
            at: now,
            subject: String::new(),
            title: format!("{count} alerts were not sent, because the limit of alerts per hour was reached."),
            facts: vec![("withheld".to_owned(), count.to_string())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_names() {
        for kind in ["budget", "target", "error_rate", "spend", "price", "store", "cap", "test"] {
            let kind: AlertKind = serde_json::from_str(&format!("\"{kind}\"")).unwrap();
            for phase in [Phase::Raised, Phase::Recovered] {
                let notice = Notice { kind, phase, ..Notice::test(0, "a") };
                assert_ne!(notice.event_type(), "alerts.unknown", "{kind:?}");
                assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
            }
        }
    }

    #[test]
    fn ids_tell_events_apart() {
        assert_eq!(Notice::make_id(&["a", "b"]), Notice::make_id(&["a", "b"]));
        assert_ne!(Notice::make_id(&["ab", "c"]), Notice::make_id(&["a", "bc"]));
        assert_ne!(Notice::make_id(&["a"]), Notice::make_id(&["a", ""]));
        let id = Notice::test(0, "a").id;
        assert_eq!(id.len(), 30);
        assert_ne!(id, Notice::test(0, "b").id);
    }
}
