//! The health that one isolate knows: what the choice of an attempt asks, and what its outcome teaches.

use std::rc::Rc;

use super::exchange;
use super::known::Known;
use super::list::StateRow;
use super::pool::{KeyPool, PoolKey};
use crate::config::Millis;
use crate::gateway::Platform;
use crate::ledger::health::{HealthSubject, HealthView};
use crate::policy::choose::{CandidateView, KeyView};
use crate::policy::failure::{FailureClass, FailureScope};
use crate::policy::health::{AttemptFailure, Place, RunningAttempt};
use crate::policy::rendezvous::NodeId;
use crate::policy::routing::Target;

/// The health that one isolate knows. Clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub struct HealthStore(Rc<Known>);

/// What a route says of a target, besides its name.
#[derive(Clone, Copy, Debug)]
pub struct CandidateRules {
    /// Its share of conversations, in relation to the others.
    pub weight: u32,
    /// Its rank in the order of the plan, if it has one.
    pub rank: Option<u64>,
    /// Whether it comes after all others.
    pub is_late: bool,
    /// Whether its conditions admit the request.
    pub is_admitted: bool,
    /// The context window in tokens, if it is known.
    pub window: Option<u64>,
}

impl HealthStore {
    /// Everything is healthy. `pools`: one for each provider, in the order of the configuration.
    pub fn new(pools: Vec<KeyPool>) -> Self {
        Self(Rc::new(Known::new(pools)))
    }

    /// What is known of a target at the moment, for the choice of an attempt.
    pub fn view(&self, target: &Target<'_>, rules: CandidateRules, now: Millis) -> CandidateView {
        let CandidateRules { weight, rank, is_late, is_admitted, window } = rules;
        let id = target.node();
        let health = self.0.health.borrow();
        let key = |(index, key): (usize, &PoolKey)| {
            let (model, account, region) = (&target.upstream, key.account, target.region());
            let place = Place { provider: target.index, model, key: index, account, region };
            KeyView {
                id: NodeId::of(&[key.tag.as_bytes()]),
                account: key.account,
                weight: key.weight,
                availability: health.availability(place, now),
            }
        };
        let keys = self.0.pools.get(target.index).map(|pool| pool.keys.iter().enumerate().map(key).collect());
        let (region, keys) = (target.region(), keys.unwrap_or_default());
        CandidateView { id, provider: target.index, region, weight, rank, is_late, is_admitted, window, keys }
    }

    /// Notes that an attempt begins, before it is sent. If a probe is due, this is the probe: others keep
    /// away until its outcome is reported, for 30 s at most.
    pub fn begin<'t>(&self, target: &'t Target<'_>, key: usize, now: Millis) -> RunningAttempt<'t> {
        let account = self.0.pools.get(target.index).and_then(|pool| pool.keys.get(key)).map_or(0, |key| key.account);
        let region = target.region();
        let place = Place { provider: target.index, model: &target.upstream, key, account, region };
        self.0.health.borrow_mut().begin(place, now)
    }

    /// Notes that an attempt brought content, or a whole response.
    pub fn succeeded<P: Platform>(&self, platform: &P, attempt: RunningAttempt<'_>) {
        let changes = self.0.health.borrow_mut().succeed(attempt, platform.now());
        exchange::tell(&self.0, platform, &changes);
    }

    /// Notes that an attempt failed. Failures that are the caller's change nothing.
    pub fn failed<P: Platform>(&self, platform: &P, attempt: RunningAttempt<'_>, failure: AttemptFailure) {
        let changes = self.0.health.borrow_mut().fail(attempt, failure, platform.now(), random(platform));
        exchange::tell(&self.0, platform, &changes);
    }

    /// Notes that an attempt ended without telling anything about its target: the client has left.
    pub fn abandoned(&self, attempt: RunningAttempt<'_>) {
        self.0.health.borrow_mut().abandon(attempt);
    }

    /// Whether a provider refuses calls that leave directly from where this isolate runs.
    pub(in crate::gateway) fn is_refused_here(&self, provider: usize, now: Millis) -> bool {
        self.0.health.borrow().is_refused_here(provider, now)
    }

    /// Notes that a provider has refused the place of a direct call, which began then.
    pub(in crate::gateway) fn refused_here<P: Platform>(&self, platform: &P, provider: usize, began: Millis) {
        let place = Place { provider, model: "", key: 0, account: 0, region: None };
        let failure = AttemptFailure { class: FailureClass::Region, scope: FailureScope::Here, wait: None };
        self.failed(platform, RunningAttempt { place, began, is_probe: false }, failure);
    }

    /// Notes that a provider has served a direct call, which began then.
    pub(in crate::gateway) fn served_here<P: Platform>(&self, platform: &P, provider: usize, began: Millis) {
        let change = self.0.health.borrow_mut().serve_here(provider, began);
        exchange::tell(&self.0, platform, change.as_slice());
    }

    /// When all that is out was last forgotten, in milliseconds since 1970; 0 for never.
    pub(in crate::gateway) fn all_reset(&self) -> Millis {
        self.0.all_reset.get()
    }

    /// Asks in the background what other isolates know, at most once in 30 s. To be called for requests whose
    /// plan has a choice.
    pub fn refresh<P: Platform>(&self, platform: &P) {
        exchange::poll(&self.0, platform);
    }

    /// What is out, after all isolates together were asked: `view` is what they know.
    pub fn list(&self, view: &HealthView, now: Millis) -> Vec<StateRow> {
        self.0.take_view(view, now);
        self.0.list(view, now)
    }

    /// What is out as far as this isolate knows.
    pub(in crate::gateway) fn list_here(&self, now: Millis) -> Vec<StateRow> {
        self.0.list(&HealthView::default(), now)
    }

    /// Takes over what all isolates together know, such as a reset.
    pub fn learn(&self, view: &HealthView, now: Millis) {
        self.0.take_view(view, now);
    }

    /// Forgets what only this isolate knows: of the row with this id, or of all.
    pub fn reset_here(&self, id: Option<&str>, now: Millis) {
        self.0.reset(id, now);
    }

    /// The name that all isolates use for the row with this id; `None` if there is no such row.
    pub fn name_of_row(&self, id: &str, view: &HealthView) -> Option<HealthSubject> {
        self.0.name_of_row(id, view)
    }
}

/// Random bits of the platform.
fn random<P: Platform>(platform: &P) -> u64 {
    u64::try_from(platform.random_u128() >> 64).unwrap_or_default()
}
