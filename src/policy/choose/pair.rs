//! The places where an attempt could go, each with what the attempts so far say about it.

use super::plan::{CandidateOrder, CandidateView, KeyView, PlanView};
use super::tried::{Progress, Tried};
use crate::config::Millis;
use crate::policy::failure::{FailureClass, FailureScope};
use crate::policy::health::{Availability, jitter};
use crate::policy::rendezvous::{self, Node};

/// The most attempts with one key at one target.
const MAX_ATTEMPTS_OF_PAIR: usize = 2;
/// The most attempts at one target that fail for reasons other than the key.
const MAX_ATTEMPTS_OF_TARGET: usize = 2;
/// The wait before an overloaded or limited target is asked again, if the provider says nothing.
const BACKOFF: Millis = 1_000;

/// A target and a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// The index of the candidate.
    pub(super) candidate: usize,
    /// The index of the key.
    pub(super) key: usize,
    /// What the attempts of this request say about it.
    pub(super) standing: Standing,
    /// What the isolate knows about it.
    pub(super) availability: Availability,
}

/// What the attempts of a request say about a target and a key, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing.
    Fresh,
    /// Something that has failed is shared with it: the target, or the host.
    Doubtful,
    /// It may be tried once more at once: the connection broke before the head.
    Reconnect,
    /// It may be tried once more from this time on.
    Later(Millis),
    /// Another attempt cannot help.
    Excluded,
}

impl Pair {
    /// When an attempt may begin, as far as anything is known.
    pub(super) fn ready_at(&self) -> Option<Millis> {
        let own = if let Standing::Later(at) = self.standing { Some(at) } else { None };
        own.max(self.availability.until())
    }
}

/// All pairs of a plan that are not excluded, in the order in which the conversation prefers them.
pub(super) fn pairs(plan: &PlanView<'_>, tried: &[Tried]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for index in candidate_order(plan) {
        let Some(candidate) = plan.candidates.get(index) else { continue };
        if !candidate.is_admitted {
            continue;
        }
        for key in key_order(plan, candidate) {
            let Some(view) = candidate.keys.get(key) else { continue };
            let place = Position { candidate, key, view };
            let standing = standing(plan, place, tried);
            if standing != Standing::Excluded {
                pairs.push(Pair { candidate: index, key, standing, availability: view.availability });
            }
        }
    }
    pairs
}

fn candidate_order(plan: &PlanView<'_>) -> Vec<usize> {
    let node = |candidate: &CandidateView| Node { id: candidate.id, weight: candidate.weight };
    let mut order: Vec<usize> = match plan.order {
        CandidateOrder::Listed | CandidateOrder::Ranked => (0..plan.candidates.len()).collect(),
        CandidateOrder::Weighted => {
            rendezvous::order(plan.conversation, &plan.candidates.iter().map(node).collect::<Vec<_>>())
        }
    };
    order.sort_by_key(|index| {
        let candidate = plan.candidates.get(*index);
        let rank = candidate.and_then(|candidate| candidate.rank).filter(|_| plan.order == CandidateOrder::Ranked);
        (candidate.is_some_and(|candidate| candidate.is_late), rank.is_none(), rank)
    });
    order
}

/// The order of a candidate's keys. A conversation keeps to one key as long as it can, because providers
/// cache prompts for each organisation.
fn key_order(plan: &PlanView<'_>, candidate: &CandidateView) -> Vec<usize> {
    if candidate.keys.len() == 1 {
        return vec![0];
    }
    let node = |key: &KeyView| Node { id: key.id, weight: key.weight };
    rendezvous::order(plan.conversation, &candidate.keys.iter().map(node).collect::<Vec<_>>())
}

/// A target and a key, as the plan shows them.
#[derive(Clone, Copy)]
struct Position<'p> {
    candidate: &'p CandidateView,
    key: usize,
    view: &'p KeyView,
}

/// What a failed attempt and a pair have in common.
#[derive(Clone, Copy)]
struct Shared {
    host: bool,
    /// The host, called from the same place.
    here: bool,
    target: bool,
    key: bool,
    account: bool,
}

impl Shared {
    fn of(plan: &PlanView<'_>, place: Position<'_>, attempt: &Tried) -> Self {
        let Some(tried) = plan.candidates.get(attempt.candidate) else {
            return Self { host: false, here: false, target: false, key: false, account: false };
        };
        let host = tried.provider == place.candidate.provider;
        let account = tried.keys.get(attempt.key).is_some_and(|key| key.account == place.view.account);
        Self {
            host,
            here: host && tried.region == place.candidate.region,
            target: tried.id == place.candidate.id,
            key: host && attempt.key == place.key,
            account: host && account,
        }
    }

    fn pair(self) -> bool {
        self.target && self.key
    }

    /// Whether a failure of this scope is one of the pair as well.
    fn is_covered_by(self, scope: FailureScope) -> bool {
        match scope {
            FailureScope::Request | FailureScope::Model => self.pair(),
            FailureScope::Key => self.key,
            FailureScope::Account => self.account,
            FailureScope::Host => self.host,
            FailureScope::Here => self.here,
        }
    }
}

/// What all attempts so far say about a pair.
fn standing(plan: &PlanView<'_>, place: Position<'_>, tried: &[Tried]) -> Standing {
    let shared = |attempt: &Tried| Shared::of(plan, place, attempt);
    let of_pair = tried.iter().filter(|attempt| shared(attempt).pair()).count();
    let of_target = tried.iter().filter(|attempt| shared(attempt).target && is_of_target(attempt.class)).count();
    if of_pair >= MAX_ATTEMPTS_OF_PAIR || of_target >= MAX_ATTEMPTS_OF_TARGET {
        return Standing::Excluded;
    }
    let verdicts = tried.iter().map(|attempt| verdict(plan, place, shared(attempt), attempt));
    match verdicts.max().unwrap_or(Standing::Fresh) {
        // Once only.
        Standing::Reconnect if of_pair > 1 => Standing::Excluded,
        standing => standing,
    }
}

/// What one failed attempt says about a pair.
fn verdict(plan: &PlanView<'_>, place: Position<'_>, shared: Shared, attempt: &Tried) -> Standing {
    let exclude_if = |excluded: bool| if excluded { Standing::Excluded } else { Standing::Fresh };
    let doubt_if = |doubtful: bool| if doubtful { Standing::Doubtful } else { Standing::Fresh };
    let covered = shared.is_covered_by(attempt.scope) || shared.pair();
    match attempt.class {
        FailureClass::Rate | FailureClass::Capacity if covered => later(plan, attempt),
        FailureClass::Rate | FailureClass::Capacity => Standing::Fresh,
        FailureClass::Overload if shared.pair() => later(plan, attempt),
        FailureClass::Unreachable if shared.pair() && attempt.progress <= Progress::AwaitingHead => Standing::Reconnect,
        FailureClass::Timeout | FailureClass::Hollow | FailureClass::Truncated | FailureClass::Unreachable
            if shared.pair() =>
        {
            Standing::Excluded
        }
        FailureClass::Overload
        | FailureClass::Timeout
        | FailureClass::Hollow
        | FailureClass::Truncated
        | FailureClass::Unreachable => doubt_if(shared.target || covered),
        FailureClass::Quota | FailureClass::Credential => exclude_if(covered),
        FailureClass::Unsupported | FailureClass::TpmSize => exclude_if(covered || shared.target && shared.account),
        FailureClass::Region => exclude_if(shared.here),
        FailureClass::Policy => exclude_if(shared.target),
        FailureClass::Context => exclude_if(!is_larger(plan, place.candidate, attempt)),
        FailureClass::Caller => Standing::Excluded,
    }
}

/// Whether a failure is the target's, whatever key was used.
fn is_of_target(class: FailureClass) -> bool {
    match class {
        FailureClass::Overload
        | FailureClass::Timeout
        | FailureClass::Hollow
        | FailureClass::Truncated
        | FailureClass::Unreachable => true,
        FailureClass::Rate
        | FailureClass::Capacity
        | FailureClass::TpmSize
        | FailureClass::Quota
        | FailureClass::Credential
        | FailureClass::Unsupported
        | FailureClass::Region
        | FailureClass::Policy
        | FailureClass::Context
        | FailureClass::Caller => false,
    }
}

fn later(plan: &PlanView<'_>, attempt: &Tried) -> Standing {
    let wait = attempt.wait.unwrap_or(BACKOFF);
    Standing::Later(attempt.ended.saturating_add(wait).saturating_add(jitter(wait, plan.random)))
}

/// Whether a candidate takes a prompt that was too long for another: its window is known, and larger. If the
/// other's is not known, the prompt must fit for certain.
fn is_larger(plan: &PlanView<'_>, candidate: &CandidateView, attempt: &Tried) -> bool {
    let Some(window) = candidate.window else { return false };
    match plan.candidates.get(attempt.candidate).and_then(|tried| tried.window) {
        Some(tried) => window > tried,
        None => window >= plan.input_tokens,
    }
}
