//! Questions for counts of tokens: they have a window of their own, and share a key's room for requests under way. It knows no money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::admission::{AdmissionRefusal, CountRequest, RateLimit, RateLimitStatus};
use super::command::AccountResponse;
use super::limits::KeyLimits;
use super::sliding_window::{SPAN, SlidingWindow};
use super::write::AccountWrite;
use crate::config::Millis;

/// Questions for each request that a key may make in a minute.
const EACH: u64 = 10;

/// The questions of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountQuota {
    window: SlidingWindow,
    /// Those under way, and when each is taken for lost. Only kept for a key that has a limit of them.
    open: BTreeMap<String, Millis>,
}

impl CountQuota {
    /// How many are under way.
    pub fn under_way(&self, now: Millis) -> u64 {
        self.open.values().filter(|until| now < **until).count() as u64
    }

    /// Admits a question, if it may go on beside `others` requests under way. That the key is good has been found out.
    pub fn admit(
        &mut self,
        question: &CountRequest,
        limits: &KeyLimits,
        others: u64,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        if let Err(refusal) = self.refuse(question, limits, others, now) {
            return AccountResponse::Refused { refusal, rate_limits: self.rate_limits(limits, now) };
        }
        self.take(question, limits, now);
        if limits.requests_per_minute.is_some() || limits.concurrent.is_some() {
            writes.push(self.write());
        }
        AccountResponse::Granted { limits: limits.clone(), rate_limits: self.rate_limits(limits, now), limit: None }
    }

    /// A question has been answered.
    pub fn end(&mut self, id: &str, writes: &mut Vec<AccountWrite>) -> AccountResponse {
        if self.open.remove(id).is_some() {
            writes.push(self.write());
        }
        AccountResponse::Done
    }

    fn refuse(
        &self,
        question: &CountRequest,
        limits: &KeyLimits,
        others: u64,
        now: Millis,
    ) -> Result<(), AdmissionRefusal> {
        limits.refuse(&question.models, question.body, now)?;
        let under_way = others.saturating_add(self.under_way(now));
        if let Some(limit) = limits.concurrent.filter(|limit| under_way >= *limit) {
            return Err(AdmissionRefusal::Concurrent { limit });
        }
        match limits.requests_per_minute.map(|limit| self.window.wait(now, 1, limit.saturating_mul(EACH))) {
            None | Some(Some(0)) => Ok(()),
            Some(wait) => Err(AdmissionRefusal::Counts { wait: wait.unwrap_or(SPAN) }),
        }
    }

    fn take(&mut self, question: &CountRequest, limits: &KeyLimits, now: Millis) {
        self.open.retain(|_, until| now < *until);
        if limits.requests_per_minute.is_some() {
            self.window.take(now, 1);
        }
        if limits.concurrent.is_some() {
            self.open.insert(question.id.clone(), now.saturating_add(question.lifetime));
        }
    }

    fn write(&self) -> AccountWrite {
        AccountWrite::CountQuota(serde_json::to_string(self).unwrap_or_default())
    }

    fn rate_limits(&self, limits: &KeyLimits, now: Millis) -> RateLimitStatus {
        let rate_limit = |limit: u64| {
            let limit = limit.saturating_mul(EACH);
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

    fn question(id: &str) -> CountRequest {
        CountRequest { id: id.to_owned(), lifetime: 1_000, ..CountRequest::default() }
    }

    #[test]
    fn a_book_that_is_opened_again_knows_what_was_counted_and_what_is_under_way() {
        let (mut ledger, mut kept) = (AccountLedger::default(), AccountSnapshot::default());
        let mut handle = |command: AccountCommand, again: bool| {
            let mut writes = Vec::new();
            let reply = ledger.handle(command, 1_000, &mut writes);
            for write in writes {
                match write {
                    AccountWrite::Limits(limits) => kept.limits = Some(limits),
                    AccountWrite::CountQuota(counting) => kept.count_quota = Some(counting),
                    other => panic!("{other:?}"),
                }
            }
            if again {
                ledger = AccountLedger::open(kept.clone(), std::iter::empty(), 1_000).unwrap();
            }
            match reply {
                AccountResponse::Refused { refusal, .. } => Err(refusal),
                _ => Ok(()),
            }
        };
        let limits = KeyLimits { requests_per_minute: Some(1), concurrent: Some(1), ..KeyLimits::default() };
        let count = |id: &str| AccountCommand::Count(CountRequest { hash: Some("hash".to_owned()), ..question(id) });
        handle(AccountCommand::SetLimits { hash: "hash".to_owned(), limits, version: 1 }, true).unwrap();
        assert_eq!(
            handle(AccountCommand::Count(CountRequest { hash: Some("x".to_owned()), ..question("x") }), true),
            Err(AdmissionRefusal::Unknown)
        );
        for number in 0..10 {
            assert_eq!(handle(count(&number.to_string()), true), Ok(()));
            assert_eq!(handle(count("x"), true), Err(AdmissionRefusal::Concurrent { limit: 1 }));
            // A chat has no room either, and a count takes nothing of its window.
            let request = AdmissionRequest {
                id: "chat".to_owned(),
                hash: Some("hash".to_owned()),
                ..AdmissionRequest::default()
            };
            assert_eq!(handle(AccountCommand::Admit(request), true), Err(AdmissionRefusal::Concurrent { limit: 1 }));
            assert_eq!(handle(AccountCommand::EndCount(number.to_string()), true), Ok(()));
        }
        assert_eq!(handle(count("x"), true), Err(AdmissionRefusal::Counts { wait: 60_250 }));
        assert_eq!(handle(AccountCommand::CheckParent, true), Ok(()));
        let limits = KeyLimits { enabled: false, ..KeyLimits::default() };
        handle(AccountCommand::SetLimits { hash: "hash".to_owned(), limits, version: 2 }, true).unwrap();
        assert_eq!(
            (handle(AccountCommand::CheckParent, true), handle(count("x"), true)),
            (Err(AdmissionRefusal::Inactive), Err(AdmissionRefusal::Inactive))
        );
    }

    #[test]
    fn nobody_is_the_parent_that_was_never_made() {
        let reply = AccountLedger::default().handle(AccountCommand::CheckParent, 0, &mut Vec::new());
        assert_eq!(
            reply,
            AccountResponse::Refused { refusal: AdmissionRefusal::Unknown, rate_limits: RateLimitStatus::default() }
        );
    }

    #[test]
    fn there_are_ten_for_each_request_in_any_minute() {
        let limits = KeyLimits { requests_per_minute: Some(2), ..KeyLimits::default() };
        let mut counting = CountQuota::default();
        for number in 0..20 {
            let question = question(&number.to_string());
            assert_eq!(counting.refuse(&question, &limits, 0, 1_000), Ok(()));
            counting.take(&question, &limits, 1_000);
        }
        assert_eq!(counting.refuse(&question("x"), &limits, 0, 31_000), Err(AdmissionRefusal::Counts { wait: 30_250 }));
        assert_eq!(
            counting.rate_limits(&limits, 1_000).requests.map(|rate_limit| (rate_limit.limit, rate_limit.left)),
            Some((20, 0))
        );
        assert_eq!(counting.refuse(&question("x"), &limits, 0, 61_250), Ok(()));
        let mut writes = Vec::new();
        assert_eq!((counting.end("1", &mut writes), writes), (AccountResponse::Done, Vec::new()), "no place was held");
    }

    #[test]
    fn they_share_the_room_for_requests_under_way_and_give_it_back() {
        let limits = KeyLimits { concurrent: Some(2), ..KeyLimits::default() };
        let mut counting = CountQuota::default();
        counting.take(&question("a"), &limits, 0);
        assert_eq!(counting.refuse(&question("b"), &limits, 0, 0), Ok(()));
        assert_eq!(counting.refuse(&question("b"), &limits, 1, 0), Err(AdmissionRefusal::Concurrent { limit: 2 }));
        // Whoever never comes back holds it for its time, and no longer.
        assert_eq!((counting.under_way(999), counting.under_way(1_000)), (1, 0));
        let mut writes = Vec::new();
        counting.end("a", &mut writes);
        counting.end("a", &mut writes);
        assert_eq!(writes.len(), 1);
        assert_eq!(counting.refuse(&question("b"), &limits, 1, 0), Ok(()));
    }

    #[test]
    fn a_key_without_limits_has_nothing_written() {
        let mut counting = CountQuota::default();
        let mut writes = Vec::new();
        assert!(matches!(
            counting.admit(&question("a"), &KeyLimits::default(), 9, 0, &mut writes),
            AccountResponse::Granted { .. }
        ));
        assert_eq!((counting, writes), (CountQuota::default(), Vec::new()));
    }

    #[test]
    fn models_and_bodies_are_the_keys() {
        let limits = KeyLimits { models: vec!["a/*".to_owned()], max_body_bytes: Some(10), ..KeyLimits::default() };
        let asked = |model: &str, body| CountRequest { models: vec![model.to_owned()], body, ..question("a") };
        let counting = CountQuota::default();
        assert_eq!(counting.refuse(&asked("a/b", 10), &limits, 0, 0), Ok(()));
        assert_eq!(counting.refuse(&asked("b/b", 10), &limits, 0, 0), Err(AdmissionRefusal::Model));
        assert_eq!(counting.refuse(&asked("a/b", 11), &limits, 0, 0), Err(AdmissionRefusal::Body { limit: 10 }));
    }
}
