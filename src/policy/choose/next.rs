//! The rules of the choice.

use super::decision::{Choice, ChoiceReason, Next, StopReason};
use super::pair::{Pair, Standing, pairs};
use super::plan::PlanView;
use super::tried::{Progress, Tried};
use crate::config::Millis;
use crate::policy::failure::FailureClass;
use crate::policy::health::{Availability, jitter};

/// The least time that an attempt must have before the request's deadline: none begins that cannot end.
pub const MIN_ATTEMPT: Millis = 1_000;
/// The calls of other services that one request may make on the platform's free plan.
/// <https://developers.cloudflare.com/workers/platform/limits/#subrequests>
pub const MAX_SUBREQUESTS: u32 = 50;
/// How many of them are kept for what comes after the attempts: receipts and their repetitions, the renewal
/// of leases, token counts, the reasoning store, the shared health.
pub const RESERVED_SUBREQUESTS: u32 = 12;
/// A target that rests for no longer than this is waited for before one is tried whose breaker is open.
const PATIENCE: Millis = 5_000;

/// Chooses what comes next. `tried`: the attempts of this request so far, in their order, each of which has
/// been reported to the health; `deadline`: when the request's time is over.
///
/// 1. Another target or key that is healthy, in the order of the plan. One that shares something with what
///    has failed comes after those that do not; keys of one target leave an attempt for another target.
/// 2. The same target once more, after a connection that broke before the head.
/// 3. If nothing is healthy: a wait for the first rest that ends, if an attempt still fits behind it, or a
///    target whose breaker is open. A wait of some seconds comes before an open breaker, a longer one after.
/// 4. A request that has tried nothing yet always tries something.
pub fn next(plan: &PlanView<'_>, tried: &[Tried], now: Millis, deadline: Millis) -> Next {
    if let Some(choice) = only_choice(plan, tried) {
        return Next::Try(choice);
    }
    if let Some(reason) = stop_reason(plan, tried, now, deadline) {
        return Next::Stop(reason);
    }
    let pairs = pairs(plan, tried);
    if let Some(pair) = usable(plan, &pairs, tried, now) {
        return try_pair(&pairs, pair, tried);
    }
    let wait = shortest_wait(plan, &pairs, tried, now);
    let is_in_time = |wait: &Millis| now.saturating_add(*wait).saturating_add(MIN_ATTEMPT) <= deadline;
    let fitting = wait.filter(is_in_time);
    let open = least_bad(&pairs, now, |pair| matches!(pair.availability, Availability::Open { .. }));
    let any = || if tried.is_empty() { least_bad(&pairs, now, |_| true) } else { None };
    match (fitting, open) {
        (Some(wait), None) => Next::Wait(wait),
        (Some(wait), Some(_)) if wait <= PATIENCE => Next::Wait(wait),
        (_, Some(pair)) => Next::Try(choice(pair, ChoiceReason::LeastBad)),
        (None, None) => match any() {
            Some(pair) => Next::Try(choice(pair, ChoiceReason::LeastBad)),
            None if wait.is_some() => Next::Stop(StopReason::NoTime),
            None if tried.is_empty() => Next::Stop(StopReason::NoCandidate),
            None => Next::Stop(StopReason::Exhausted),
        },
    }
}

/// The first attempt of a plan without a choice.
fn only_choice(plan: &PlanView<'_>, tried: &[Tried]) -> Option<Choice> {
    let [candidate] = plan.candidates else { return None };
    let has_choice = candidate.keys.len() > 1 || !candidate.is_admitted || !tried.is_empty();
    if has_choice { None } else { Some(Choice { candidate: 0, key: 0, reason: ChoiceReason::First }) }
}

/// Why there can be no further attempt, whatever the targets are.
fn stop_reason(plan: &PlanView<'_>, tried: &[Tried], now: Millis, deadline: Millis) -> Option<StopReason> {
    let last = tried.last()?;
    let has_begun = |attempt: &Tried| attempt.progress >= Progress::AwaitingHead;
    let used = u32::try_from(tried.len()).unwrap_or(u32::MAX);
    if last.progress == Progress::AfterContent {
        Some(StopReason::ContentLeft)
    } else if last.class == FailureClass::Caller || last.class == FailureClass::Policy && !plan.continues_after_policy {
        Some(StopReason::Final)
    } else if !plan.is_repeatable && tried.iter().any(has_begun) {
        Some(StopReason::NotRepeatable)
    } else if used >= plan.attempts {
        Some(StopReason::AttemptsUsedUp)
    } else if plan.subrequests.saturating_add(RESERVED_SUBREQUESTS) >= MAX_SUBREQUESTS {
        Some(StopReason::SubrequestsUsedUp)
    } else if now.saturating_add(MIN_ATTEMPT) > deadline {
        Some(StopReason::NoTime)
    } else {
        None
    }
}

/// The best pair that can be used at once. Of equally good ones it is the first of the plan's order; but the
/// last attempt goes to a target that has not been tried, so that many keys of one target do not use up all.
fn usable<'p>(plan: &PlanView<'_>, pairs: &'p [Pair], tried: &[Tried], now: Millis) -> Option<&'p Pair> {
    let is_last = tried.len().saturating_add(1) >= usize::try_from(plan.attempts).unwrap_or(usize::MAX);
    let is_tried = |pair: &Pair| tried.iter().any(|attempt| attempt.candidate == pair.candidate);
    let is_back = |pair: &Pair| pair.availability.until().is_none_or(|until| until <= now);
    let is_due = |pair: &&Pair| match pair.standing {
        Standing::Fresh | Standing::Doubtful => is_back(pair),
        // The breaker may have opened because of this very attempt.
        Standing::Reconnect => is_back(pair) || matches!(pair.availability, Availability::Open { .. }),
        Standing::Later(at) => at <= now && is_back(pair),
        Standing::Excluded => false,
    };
    let rank = |pair: &&Pair| match pair.standing {
        Standing::Fresh if is_last && is_tried(pair) => 1,
        Standing::Fresh => 0,
        Standing::Doubtful => 1,
        Standing::Reconnect => 2,
        Standing::Later(_) | Standing::Excluded => 3,
    };
    pairs.iter().filter(is_due).min_by_key(rank)
}

/// The wait for the first pair that rests or may be tried again. A plan with a single attempt does not wait
/// for it.
fn shortest_wait(plan: &PlanView<'_>, pairs: &[Pair], tried: &[Tried], now: Millis) -> Option<Millis> {
    if tried.is_empty() && plan.attempts <= 1 {
        return None;
    }
    let is_waited_for = |pair: &&Pair| {
        matches!(pair.availability, Availability::Resting { .. }) || matches!(pair.standing, Standing::Later(_))
    };
    let ready = pairs.iter().filter(is_waited_for).filter_map(Pair::ready_at).min()?;
    // Requests of one isolate do not come back in the same moment.
    Some(ready.saturating_sub(now).saturating_add(jitter(0, plan.random)))
}

/// The least bad of the pairs that cannot be used: an open breaker before a rest, a limit before money and
/// credentials, and the one that comes back first.
fn least_bad(pairs: &[Pair], now: Millis, fits: impl Fn(&Pair) -> bool) -> Option<&Pair> {
    let is_due = |pair: &&Pair| !matches!(pair.standing, Standing::Later(at) if at > now);
    let rank = |pair: &&Pair| match pair.availability {
        Availability::Ready | Availability::ProbeDue => (0, 0),
        Availability::Open { until, .. } => (1, until),
        Availability::Resting { reason, until } => match reason {
            FailureClass::Quota => (3, until),
            FailureClass::Credential | FailureClass::Region => (4, until),
            _ => (2, until),
        },
    };
    pairs.iter().filter(is_due).filter(|pair| fits(pair)).min_by_key(rank)
}

fn try_pair(pairs: &[Pair], pair: &Pair, tried: &[Tried]) -> Next {
    let is_same = |attempt: &Tried| attempt.candidate == pair.candidate && attempt.key == pair.key;
    let is_first = pairs.first().is_some_and(|first| (first.candidate, first.key) == (pair.candidate, pair.key));
    let reason = match (tried.last(), pair.standing) {
        (None, _) if is_first => ChoiceReason::First,
        (None, _) => ChoiceReason::Skipped,
        (Some(_), Standing::Reconnect) => ChoiceReason::Reconnect,
        (Some(_), _) if tried.iter().any(is_same) => ChoiceReason::Rested,
        (Some(last), _) if last.candidate == pair.candidate => ChoiceReason::OtherKey,
        (Some(_), _) => ChoiceReason::OtherTarget,
    };
    Next::Try(choice(pair, reason))
}

fn choice(pair: &Pair, reason: ChoiceReason) -> Choice {
    Choice { candidate: pair.candidate, key: pair.key, reason }
}
