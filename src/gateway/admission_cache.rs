//! What accounts have said of keys, for a few seconds: requests of a key without limits need not ask again,
//! and neither do those of a key that is not valid.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::config::Millis;
use crate::error::Result;
use crate::ids::KeyHash;
use crate::ledger::{AdmissionRefusal, KeyLimits};

/// A key's limits are used for so long without asking, in milliseconds: a change has effect everywhere after
/// this time.
const LIFETIME: Millis = 4_000;
/// The most keys that are cached; when there are more, all are forgotten.
const MAX_KEYS: usize = 10_000;

/// What accounts have said of keys, by the keys' hashes.
#[derive(Default)]
pub(super) struct AdmissionCache(RefCell<HashMap<KeyHash, (Millis, Verdict)>>);

/// A key's limits, or why it is not valid.
pub(super) type Verdict = Result<KeyLimits, AdmissionRefusal>;

impl AdmissionCache {
    /// What the key's account said, if it did so in the last 4 s.
    pub(super) fn verdict(&self, hash: &KeyHash, now: Millis) -> Option<Verdict> {
        let keys = self.0.borrow();
        keys.get(hash).filter(|(until, _)| now < *until).map(|(_, verdict)| verdict.clone())
    }

    /// The key's limits, if its account returned them in the last 4 s.
    pub(super) fn limits(&self, hash: &KeyHash, now: Millis) -> Option<KeyLimits> {
        self.verdict(hash, now).and_then(Result::ok)
    }

    /// Keeps what an account said.
    pub(super) fn learn(&self, hash: &KeyHash, verdict: Verdict, now: Millis) {
        let mut keys = self.0.borrow_mut();
        if keys.len() >= MAX_KEYS {
            keys.clear();
        }
        keys.insert(hash.clone(), (now.saturating_add(LIFETIME), verdict));
    }

    /// Forgets a key that has changed.
    pub(super) fn forget(&self, hash: &KeyHash) {
        self.0.borrow_mut().remove(hash);
    }
}
