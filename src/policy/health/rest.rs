//! The rest of a key or an account: a limit is reached, money is used up, or a credential is refused.

use super::availability::Availability;
use super::breaker::{Failed, PROBE_LEASE};
use super::jitter::jitter;
use crate::config::Millis;
use crate::policy::failure::FailureClass;

/// The rest after a rate limit without a hint. Each further one doubles it.
const FIRST_RATE_REST: Millis = 2_000;
/// The longest rest after a rate limit without a hint: limits are per minute.
const MAX_RATE_REST: Millis = 60_000;
/// The rest of an account without money, if the provider does not say when it has some again.
const QUOTA_REST: Millis = 3_600_000;
/// The rest of a key that the provider refuses.
const CREDENTIAL_REST: Millis = 3_600_000;
/// How long a provider that refuses the region is not asked from here.
const REGION_REST: Millis = 600_000;
/// The longest rest: then one request asks again.
const MAX_REST: Millis = 86_400_000;

/// A key or an account that is not used for a time.
///
/// | reason | how long |
/// |---|---|
/// | a rate limit, the capacity of a tier | as the provider says; else 2 s, doubled each time up to 60 s |
/// | money, or a limit of a longer period | as the provider says, else an hour |
/// | the credential | an hour |
/// | the region | ten minutes |
///
/// No rest is longer than a day, and to each some jitter is added. After a rest because of money or a
/// credential, one request is the probe. Others simply end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    reason: FailureClass,
    since: Millis,
    until: Millis,
    /// The rests before this one without a success in between.
    strikes: u32,
    /// Until when a probe keeps others away.
    lease: Option<Millis>,
}

impl Rest {
    /// The rest after a failure.
    pub(super) fn begin(failed: Failed, now: Millis) -> Self {
        Self { reason: failed.class, since: now, until: end(failed, 0, now), strikes: 0, lease: None }
    }

    /// A rest that another isolate began.
    pub(super) fn begun_elsewhere(reason: FailureClass, since: Millis, until: Millis) -> Self {
        Self { reason, since, until: until.min(since.saturating_add(MAX_REST + MAX_REST / 5)), strikes: 0, lease: None }
    }

    /// What failed.
    pub fn reason(&self) -> FailureClass {
        self.reason
    }

    /// When it began, in milliseconds since 1970.
    pub fn since(&self) -> Millis {
        self.since
    }

    /// When it ends, in milliseconds since 1970.
    pub fn until(&self) -> Millis {
        self.until
    }

    /// Whether one request has to succeed before the others follow.
    fn needs_probe(&self) -> bool {
        matches!(self.reason, FailureClass::Quota | FailureClass::Credential)
    }

    /// Whether an attempt may begin.
    pub fn availability(&self, now: Millis) -> Availability {
        let (reason, until) = (self.reason, self.until);
        match self.lease.filter(|lease| now < *lease) {
            _ if now < until => Availability::Resting { reason, until },
            Some(lease) => Availability::Resting { reason, until: lease },
            None if self.needs_probe() => Availability::ProbeDue,
            None => Availability::Ready,
        }
    }

    /// Makes an attempt the probe, if one is due. Returns whether it is.
    pub(super) fn lease(&mut self, now: Millis) -> bool {
        let is_due = self.availability(now) == Availability::ProbeDue;
        if is_due {
            self.lease = Some(now.saturating_add(PROBE_LEASE));
        }
        is_due
    }

    /// Ends the lease of a probe without an outcome.
    pub(super) fn release(&mut self) {
        self.lease = None;
    }

    /// Whether a success of an attempt that began then ends it.
    pub(super) fn ends_by_success(&self, began: Millis) -> bool {
        self.since <= began
    }

    /// Counts a failure. Returns whether the rest changes.
    pub(super) fn fail(&mut self, failed: Failed, now: Millis) -> bool {
        // Attempts that ran at the same time report the same thing. The longest hint counts, and the graver
        // reason.
        if failed.began < self.since || now < self.until {
            let until = end(failed, self.strikes, now);
            let is_graver = failed.class != self.reason && !self.needs_probe();
            let is_longer = until > self.until.saturating_add(jitter(until.saturating_sub(now), u64::MAX));
            if is_graver || is_longer {
                (self.reason, self.until) = (failed.class, until.max(self.until));
            }
            return is_graver || is_longer;
        }
        let strikes = self.strikes.saturating_add(1).min(8);
        *self = Self { reason: failed.class, since: now, until: end(failed, strikes, now), strikes, lease: None };
        true
    }
}

/// When the rest after a failure ends.
fn end(failed: Failed, strikes: u32, now: Millis) -> Millis {
    let own = match failed.class {
        FailureClass::Quota => QUOTA_REST,
        FailureClass::Credential => CREDENTIAL_REST,
        FailureClass::Region => REGION_REST,
        _ => FIRST_RATE_REST.checked_shl(strikes).map_or(MAX_RATE_REST, |time| time.min(MAX_RATE_REST)),
    };
    // A provider's hint says when a limit is over, not when a key is good again.
    let hint = failed.wait.filter(|_| !matches!(failed.class, FailureClass::Credential | FailureClass::Region));
    let time = hint.unwrap_or(own).min(MAX_REST);
    now.saturating_add(time).saturating_add(jitter(time, failed.random))
}
