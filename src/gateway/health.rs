//! The health of targets and keys in one isolate, and its exchange with the object that all isolates share.

use std::cell::{Cell, RefCell};

use super::platform::Platform;
use crate::config::Millis;
use crate::policy::choose::{CandidateView, KeyView};
use crate::policy::health::{AttemptFailure, Health, Place, RunningAttempt};
use crate::policy::rendezvous::NodeId;
use crate::policy::routing::Target;

/// An isolate asks for what others know at most this often.
pub const POLL_INTERVAL: Millis = 30_000;

/// The keys of one provider, as health sees them.
#[derive(Clone, Debug, Default)]
pub struct KeyPool {
    /// The provider's name.
    pub provider: String,
    /// Its keys; none if it needs none.
    pub keys: Vec<PoolKey>,
}

/// One key of a provider, without its text.
#[derive(Clone, Debug)]
pub struct PoolKey {
    /// A fingerprint of its text, by which isolates mean the same key even if the list changes.
    pub tag: String,
    /// The index of the account that it belongs to.
    pub account: usize,
    /// Its share of conversations, in relation to the others.
    pub weight: u32,
}

/// The health that one isolate knows.
#[derive(Debug)]
pub struct HealthStore {
    health: RefCell<Health>,
    /// One for each provider of the configuration, in the same order.
    pools: Vec<KeyPool>,
    /// When the shared health was last asked for.
    polled: Cell<Option<Millis>>,
}

/// What a route says of a target, besides its name.
#[derive(Clone, Copy, Debug)]
pub struct CandidateRules {
    /// Its share of conversations, in relation to the others.
    pub weight: u32,
    /// Whether its conditions admit the request.
    pub is_admitted: bool,
    /// The context window in tokens, if it is known.
    pub window: Option<u64>,
}

impl HealthStore {
    /// Everything is healthy. `pools`: one for each provider, in the order of the configuration.
    pub fn new(pools: Vec<KeyPool>) -> Self {
        Self { health: RefCell::default(), pools, polled: Cell::new(None) }
    }

    /// What is known of a target at the moment, for the choice of an attempt.
    pub fn view(&self, target: &Target<'_>, rules: CandidateRules, now: Millis) -> CandidateView {
        let CandidateRules { weight, is_admitted, window } = rules;
        let id = NodeId::of(&[target.provider.name.as_bytes(), target.upstream.as_bytes()]);
        let health = self.health.borrow();
        let key = |(index, key): (usize, &PoolKey)| {
            let place = Place { provider: target.index, model: &target.upstream, key: index, account: key.account };
            KeyView {
                id: NodeId::of(&[key.tag.as_bytes()]),
                account: key.account,
                weight: key.weight,
                availability: health.availability(place, now),
            }
        };
        let keys = self.pools.get(target.index).map(|pool| pool.keys.iter().enumerate().map(key).collect());
        CandidateView { id, provider: target.index, weight, is_admitted, window, keys: keys.unwrap_or_default() }
    }

    /// Notes that an attempt begins, before it is sent. If a probe is due, this is the probe: others keep
    /// away until its outcome is reported, for 30 s at most.
    pub fn begin<'t>(&self, target: &'t Target<'_>, key: usize, now: Millis) -> RunningAttempt<'t> {
        let account = self.pools.get(target.index).and_then(|pool| pool.keys.get(key)).map_or(0, |key| key.account);
        let place = Place { provider: target.index, model: &target.upstream, key, account };
        self.health.borrow_mut().begin(place, now)
    }

    /// Notes that an attempt brought content, or a whole response.
    pub fn succeeded<P: Platform>(&self, platform: &P, attempt: RunningAttempt<'_>) {
        let changes = self.health.borrow_mut().succeed(attempt, platform.now());
        let _ = changes;
    }

    /// Notes that an attempt failed. Failures that are the caller's change nothing.
    pub fn failed<P: Platform>(&self, platform: &P, attempt: RunningAttempt<'_>, failure: AttemptFailure) {
        let changes = self.health.borrow_mut().fail(attempt, failure, platform.now(), random(platform));
        let _ = changes;
    }

    /// Notes that an attempt ended without telling anything about its target: the client has left.
    pub fn abandoned(&self, attempt: RunningAttempt<'_>) {
        self.health.borrow_mut().abandon(attempt);
    }

    /// Asks in the background what other isolates know, at most once in 30 s. To be called for requests whose
    /// plan has a choice.
    pub fn refresh<P: Platform>(&self, platform: &P) {
        let now = platform.now();
        if self.polled.get().is_none_or(|polled| polled.saturating_add(POLL_INTERVAL) <= now) {
            self.polled.set(Some(now));
        }
    }
}

/// Random bits of the platform.
fn random<P: Platform>(platform: &P) -> u64 {
    u64::try_from(platform.random_u128() >> 64).unwrap_or_default()
}
