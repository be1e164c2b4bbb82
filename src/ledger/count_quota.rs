//! Limits of token counts. They have a rate limit of their own, and share the concurrency limit of the key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::admission::{AdmissionRefusal, CountRequest, RateLimit, RateLimitStatus};
use super::command::AccountResponse;
use super::limits::KeyLimits;
use super::sliding_window::{SPAN, SlidingWindow};
use super::write::AccountWrite;
use crate::config::Millis;

/// Token counts per request of the key's rate limit.
const COUNTS_PER_REQUEST: u64 = 10;

/// The token counts of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountQuota {
    window: SlidingWindow,
    /// The counts under way, and when each frees its concurrency slot. Only recorded for a key with that
    /// limit.
    open: BTreeMap<String, Millis>,
}

/// What an account has under way when a count is asked for.
#[derive(Clone, Copy)]
pub struct AccountLoad {
    /// The time.
    pub now: Millis,
    /// The requests under way, without counts.
    pub requests: u64,
}

impl CountQuota {
    /// The number of counts under way.
    pub fn under_way(&self, now: Millis) -> u64 {
        self.open.values().filter(|until| now < **until).count() as u64
    }

    /// Admits a count. The caller has checked the key.
    pub fn admit(
        &mut self,
        request: &CountRequest,
        limits: &KeyLimits,
        load: AccountLoad,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let now = load.now;
        if let Err(refusal) = self.check(request, limits, load.requests, now) {
            return AccountResponse::Refused { refusal, rate_limits: self.rate_limits(limits, now) };
        }
        self.record(request, limits, now);
        if limits.requests_per_minute.is_some() || limits.concurrent.is_some() {
            writes.push(self.write());
        }
        AccountResponse::Granted { limits: limits.clone(), rate_limits: self.rate_limits(limits, now), limit: None }
    }

    /// Ends a count.
    pub fn end(&mut self, id: &str, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if self.open.remove(id).is_some() {
            writes.push(self.write());
        }
        AccountResponse::Done
    }

    fn check(
        &self,
        request: &CountRequest,
        limits: &KeyLimits,
        others: u64,
        now: Millis,
    ) -> Result<(), AdmissionRefusal> {
        limits.check(&request.models, request.body, now)?;
        let under_way = others.saturating_add(self.under_way(now));
        if let Some(limit) = limits.concurrent.filter(|limit| under_way >= *limit) {
            return Err(AdmissionRefusal::Concurrent { limit });
        }
        match limits.requests_per_minute.map(|limit| self.window.wait(now, 1, limit.saturating_mul(COUNTS_PER_REQUEST)))
        {
            None | Some(Some(0)) => Ok(()),
            Some(wait) => Err(AdmissionRefusal::Counts { wait: wait.unwrap_or(SPAN) }),
        }
    }

    fn record(&mut self, request: &CountRequest, limits: &KeyLimits, now: Millis) {
        self.open.retain(|_, until| now < *until);
        if limits.requests_per_minute.is_some() {
            self.window.take(now, 1);
        }
        if limits.concurrent.is_some() {
            self.open.insert(request.id.clone(), now.saturating_add(request.lifetime));
        }
    }

    fn write(&self) -> AccountWrite {
        AccountWrite::CountQuota(serde_json::to_string(self).unwrap_or_default())
    }

    fn rate_limits(&self, limits: &KeyLimits, now: Millis) -> RateLimitStatus {
        let rate_limit = |limit: u64| {
            let limit = limit.saturating_mul(COUNTS_PER_REQUEST);
            RateLimit { limit, left: limit.saturating_sub(self.window.taken(now)), reset: self.window.reset(now) }
        };
        RateLimitStatus { requests: limits.requests_per_minute.map(rate_limit), tokens: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::AccountLedger;
    use super::super::admission::AdmissionRequest;
    use super::super::command::AccountCommand;
    use super::super::snapshot::AccountSnapshot;
    use super::*;
    use crate::wire::zone::Zone;

    fn question(id: &str) -> CountRequest {
        CountRequest { id: id.to_owned(), lifetime: 1_000, ..CountRequest::default() }
    }

    #[test]
    fn a_reopened_ledger_knows_the_counts_of_the_last_minute_and_those_under_way() {
        let (mut ledger, mut kept) = (AccountLedger::default(), AccountSnapshot::default());
        let mut handle = |command: AccountCommand, again: bool| {
            let mut writes = Vec::new();
            let reply = ledger.handle(command, 1_000, &mut writes);
            for write in writes {
                match write {
                    AccountWrite::Limits(limits) => kept.limits = Some(limits),
                    AccountWrite::CountQuota(quota) => kept.count_quota = Some(quota),
                    other => panic!("{other:?}"),
                }
            }
            if again {
                ledger = AccountLedger::open(kept.clone(), std::iter::empty(), 1_000, Zone::utc()).unwrap();
            }
            match reply {
                AccountResponse::Refused { refusal, .. } => Err(refusal),
                _ => Ok(()),
            }
        };
        let limits = KeyLimits { requests_per_minute: Some(1), concurrent: Some(1), ..KeyLimits::default() };
        let count = |id: &str| AccountCommand::Count(CountRequest { hash: Some("hash".into()), ..question(id) });
        handle(AccountCommand::SetLimits { hash: "hash".into(), limits, version: 1 }, true).unwrap();
        assert_eq!(
            handle(AccountCommand::Count(CountRequest { hash: Some("x".into()), ..question("x") }), true),
            Err(AdmissionRefusal::Unknown)
        );
        for number in 0..10 {
            assert_eq!(handle(count(&number.to_string()), true), Ok(()));
            assert_eq!(handle(count("x"), true), Err(AdmissionRefusal::Concurrent { limit: 1 }));
            // A chat has no room either, and a count takes nothing of its window.
            let request =
                AdmissionRequest { id: "chat".to_owned(), hash: Some("hash".into()), ..AdmissionRequest::default() };
            assert_eq!(handle(AccountCommand::Admit(request), true), Err(AdmissionRefusal::Concurrent { limit: 1 }));
            assert_eq!(handle(AccountCommand::EndCount(number.to_string()), true), Ok(()));
        }
        assert_eq!(handle(count("x"), true), Err(AdmissionRefusal::Counts { wait: 60_250 }));
        assert_eq!(handle(AccountCommand::CheckParent, true), Ok(()));
        let limits = KeyLimits { enabled: false, ..KeyLimits::default() };
        handle(AccountCommand::SetLimits { hash: "hash".into(), limits, version: 2 }, true).unwrap();
        assert_eq!(handle(AccountCommand::CheckParent, true), Err(AdmissionRefusal::Inactive));
        assert_eq!(handle(count("x"), true), Err(AdmissionRefusal::Inactive));
    }

    #[test]
    fn a_parent_that_does_not_exist_is_unknown() {
        let reply = AccountLedger::default().handle(AccountCommand::CheckParent, 0, &mut Vec::new());
        assert_eq!(
            reply,
            AccountResponse::Refused { refusal: AdmissionRefusal::Unknown, rate_limits: RateLimitStatus::default() }
        );
    }

    #[test]
    fn ten_counts_are_admitted_for_each_request_per_minute() {
        let limits = KeyLimits { requests_per_minute: Some(2), ..KeyLimits::default() };
        let mut quota = CountQuota::default();
        for number in 0..20 {
            let question = question(&number.to_string());
            assert_eq!(quota.check(&question, &limits, 0, 1_000), Ok(()));
            quota.record(&question, &limits, 1_000);
        }
        assert_eq!(quota.check(&question("x"), &limits, 0, 31_000), Err(AdmissionRefusal::Counts { wait: 30_250 }));
        assert_eq!(
            quota.rate_limits(&limits, 1_000).requests.map(|rate_limit| (rate_limit.limit, rate_limit.left)),
            Some((20, 0))
        );
        assert_eq!(quota.check(&question("x"), &limits, 0, 61_250), Ok(()));
        let mut writes = Vec::new();
        assert_eq!(quota.end("1", &mut writes), AccountResponse::Done, "no place was held");
        assert_eq!(writes, Vec::new(), "no place was held");
    }

    #[test]
    fn counts_use_concurrency_slots_and_free_them() {
        let limits = KeyLimits { concurrent: Some(2), ..KeyLimits::default() };
        let mut quota = CountQuota::default();
        quota.record(&question("a"), &limits, 0);
        assert_eq!(quota.check(&question("b"), &limits, 0, 0), Ok(()));
        assert_eq!(quota.check(&question("b"), &limits, 1, 0), Err(AdmissionRefusal::Concurrent { limit: 2 }));
        // A count that never ends uses its slot for its lifetime only.
        assert_eq!(quota.under_way(999), 1);
        assert_eq!(quota.under_way(1_000), 0);
        let mut writes = Vec::new();
        quota.end("a", &mut writes);
        quota.end("a", &mut writes);
        assert_eq!(writes.len(), 1);
        assert_eq!(quota.check(&question("b"), &limits, 1, 0), Ok(()));
    }

    #[test]
    fn a_key_without_limits_stores_nothing() {
        let mut quota = CountQuota::default();
        let mut writes = Vec::new();
        assert!(matches!(
            quota.admit(&question("a"), &KeyLimits::default(), AccountLoad { now: 0, requests: 9 }, &mut writes),
            AccountResponse::Granted { .. }
        ));
        assert_eq!(quota, CountQuota::default());
        assert_eq!(writes, Vec::new());
    }

    #[test]
    fn counts_obey_the_limits_of_models_and_bodies() {
        let limits = KeyLimits { models: vec!["a/*".to_owned()], max_body_bytes: Some(10), ..KeyLimits::default() };
        let asked = |model: &str, body| CountRequest { models: vec![model.to_owned()], body, ..question("a") };
        let quota = CountQuota::default();
        assert_eq!(quota.check(&asked("a/b", 10), &limits, 0, 0), Ok(()));
        assert_eq!(quota.check(&asked("b/b", 10), &limits, 0, 0), Err(AdmissionRefusal::Model));
        assert_eq!(quota.check(&asked("a/b", 11), &limits, 0, 0), Err(AdmissionRefusal::Body { limit: 10 }));
    }
}
