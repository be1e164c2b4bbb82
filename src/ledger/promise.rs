//! What is promised to requests under way. It knows no terms and no limits.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::{Millis, Nanos};

/// What is promised to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// When it was admitted.
    pub at: Millis,
    /// When it is taken for lost.
    pub until: Millis,
    /// The most tokens that it can take, as far as a minute has so many.
    pub tokens: u64,
    /// The most that it can cost; nothing where no budget asks.
    pub cost: Nanos,
    /// The longest answer that was granted, in tokens, if that was less than was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// The promises of one account.
#[derive(Debug, Default)]
pub struct Promises {
    /// By the id of the request.
    open: BTreeMap<String, Promise>,
    /// The same by their end, so that no order has to look at them all.
    ends: BTreeSet<(Millis, String)>,
    cost: Nanos,
}

impl Promises {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.open.len() as u64
    }

    /// The money that they hold.
    pub fn cost(&self) -> Nanos {
        self.cost
    }

    /// Whether there is one to this request.
    pub fn contain(&self, id: &str) -> bool {
        self.open.contains_key(id)
    }

    /// The one to this request.
    pub fn find(&self, id: &str) -> Option<&Promise> {
        self.open.get(id)
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &Promise> {
        self.open.values()
    }

    /// Makes one.
    pub fn make(&mut self, id: &str, promise: Promise) {
        self.take(id);
        self.cost = self.cost.saturating_add(promise.cost);
        self.ends.insert((promise.until, id.to_owned()));
        self.open.insert(id.to_owned(), promise);
    }

    /// Takes one back.
    pub fn take(&mut self, id: &str) -> Option<Promise> {
        let (id, promise) = self.open.remove_entry(id)?;
        self.cost = self.cost.saturating_sub(promise.cost);
        self.ends.remove(&(promise.until, id));
        Some(promise)
    }

    /// Takes back one that is past its end, and says whose it was.
    pub fn take_lost(&mut self, now: Millis) -> Option<String> {
        let (_, id) = self.ends.first().filter(|(until, _)| *until <= now)?.clone();
        self.take(&id);
        Some(id)
    }
}
