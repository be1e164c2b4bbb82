//! What must be true of admitted and of refused requests.

use llm_bridge::ledger::{
    AccountResponse, AccountWrite, AdmissionRefusal, AdmissionRequest, LEASE, LOST, Period, RateLimit, Receipt,
    Reservation, SPAN,
};

use super::{Grant, Under, World};
use crate::SLACK;

impl World {
    pub(super) fn admitted(
        &mut self,
        ask: &AdmissionRequest,
        reply: &AccountResponse,
        writes: &[AccountWrite],
        time: u64,
    ) {
        let promise = writes.iter().find_map(|write| match write {
            AccountWrite::Reservation(id, text) if *id == ask.id => {
                Some(serde_json::from_str::<Reservation>(text).unwrap())
            }
            _ => None,
        });
        let promise = promise.filter(|_| !self.open.contains_key(&ask.id));
        assert!(!writes.iter().any(|write| matches!(write, AccountWrite::Limits(_))));
        match reply {
            AccountResponse::Refused { refusal, .. } => {
                assert_eq!(promise, None);
                self.refused(ask, refusal, time);
            }
            AccountResponse::Granted { limits: terms, rate_limits: gauges, limit } => {
                assert_eq!(Some(terms), self.terms.as_ref());
                let known = self.open.contains_key(&ask.id) || self.settled.contains_key(&ask.id);
                assert_eq!(promise.is_some(), !known && terms.are_limited(), "{ask:?}");
                if let Some(promise) = promise {
                    let shorter = limit.map(|limit| self.shortened(ask, limit, time));
                    self.granted(shorter.as_ref().unwrap_or(ask), promise, time);
                }
                for (gauge, requests) in [(gauges.requests, true), (gauges.tokens, false)] {
                    self.gauge(gauge, requests, time);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn gauge(&self, gauge: Option<RateLimit>, requests: bool, time: u64) {
        let Some(gauge) = gauge else { return };
        let most = gauge.limit.saturating_sub(self.taken(requests, time, SPAN));
        let least = gauge.limit.saturating_sub(self.taken(requests, time, SPAN + SLACK));
        assert!((least..=most).contains(&gauge.left) && gauge.reset <= SPAN + SLACK, "{gauge:?}");
    }

    /// What was granted since a time. Tokens are the final ones where they are known.
    fn taken(&self, requests: bool, time: u64, span: u64) -> u64 {
        let recent = self.grants.iter().filter(|grant| grant.promise.at + span > time);
        recent.map(|grant| if requests { 1 } else { grant.truth.unwrap_or(grant.promise.tokens) }).sum()
    }

    fn spent(&self, per: Period, time: u64) -> u64 {
        let here = self.store.entries().filter(|(at, _)| self.is_same(per, *at, time));
        here.map(|(_, entry)| entry.cost.or(entry.reservation.map(|promise| promise.cost)).unwrap_or(0)).sum()
    }

    fn promised(&self) -> u64 {
        self.open.values().map(|under| under.held(self.time())).sum()
    }

    fn live(&self) -> u64 {
        self.open.values().filter(|under| under.live).count() as u64
    }

    fn granted(&mut self, ask: &AdmissionRequest, promise: Reservation, time: u64) {
        let terms = self.terms.clone().unwrap();
        assert!(terms.are_valid(time) && ask.body <= terms.max_body_bytes.unwrap_or(u64::MAX));
        assert_ne!(terms.tokens_per_minute, Some(0));
        assert!(promise.at == time && promise.until >= time + ask.lifetime);
        assert!(promise.tokens == ask.tokens || Some(promise.tokens) == terms.tokens_per_minute);
        assert_eq!(promise.cost, terms.budget.and(ask.cost).unwrap_or(0));
        self.latest = time;
        let promise_cost = promise.cost;
        let lease = promise.lease.clone().unwrap();
        let draft = match ask.draft.clone() {
            Some(draft) => Receipt { id: ask.id.clone(), ..*draft },
            None => {
                // As it was stored before leases existed.
                let old = Reservation { lease: None, ..promise.clone() };
                self.store.promises.insert(ask.id.clone(), serde_json::to_string(&old).unwrap());
                let unknown = || "(unknown)".to_owned();
                let (id, request_id, outcome) = (ask.id.clone(), ask.id.clone(), LOST.to_owned());
                let (provider, model, started) = (unknown(), unknown(), time);
                Receipt { id, request_id, provider, model, outcome, started, ..Receipt::default() }
            }
        };
        assert_eq!(lease.until, if ask.draft.is_some() { time + LEASE } else { promise.until });
        let under = Under {
            promise: promise.clone(),
            draft,
            most: ask.draft.as_ref().and(ask.cost),
            lease: lease.until,
            grace: 0,
            extended: ask.draft.is_none(),
            lost: None,
            found: 0,
            settled: None,
            live: true,
        };
        self.open.insert(ask.id.clone(), under);
        self.grants.push(Grant { id: ask.id.clone(), promise, truth: None });
        assert!(self.live() <= terms.concurrent.unwrap_or(u64::MAX));
        assert!(self.taken(true, time, SPAN) <= terms.requests_per_minute.unwrap_or(u64::MAX));
        assert!(self.taken(false, time, SPAN) <= terms.tokens_per_minute.unwrap_or(u64::MAX));
        // A request without cost is admitted even if the budget is exceeded.
        if let Some(budget) = terms.budget.filter(|_| promise_cost > 0) {
            assert!(self.spent(budget.per, time) + self.promised() <= budget.nanos);
        }
    }

    /// A request is shortened if it would not fit, and then reserves at most half of what is left.
    fn shortened(&self, ask: &AdmissionRequest, limit: u64, time: u64) -> AdmissionRequest {
        let (budget, answer) = (self.terms.as_ref().unwrap().budget.unwrap(), ask.output.clone().unwrap());
        let left = budget.nanos.saturating_sub(self.spent(budget.per, time)).saturating_sub(self.promised());
        assert!((budget.fit || ask.fit) && answer.settable && answer.minimum <= limit && ask.cost.unwrap() > left);
        let mut shorter = ask.clone();
        shorter.shorten(limit);
        assert!(shorter.cost.unwrap() <= left / 2 && answer.cost(limit + 1) > left / 2);
        shorter
    }

    /// No request is refused without a reason.
    fn refused(&self, ask: &AdmissionRequest, refusal: &AdmissionRefusal, time: u64) {
        let Some(terms) = &self.terms else { return assert_eq!(*refusal, AdmissionRefusal::Unknown) };
        let room = |requests, more| self.taken(requests, time, SPAN + SLACK) + more;
        match refusal {
            AdmissionRefusal::Counts { .. } => panic!("a request is no count: {refusal:?}"),
            AdmissionRefusal::Unknown => assert_eq!(ask.hash, Some("other".into())),
            AdmissionRefusal::Inactive => assert!(!terms.are_valid(time)),
            AdmissionRefusal::Model => assert!(!terms.models.is_empty()),
            AdmissionRefusal::Body { limit } => assert!(ask.body > *limit),
            AdmissionRefusal::Concurrent { limit } => assert!(self.live() >= *limit),
            AdmissionRefusal::Requests { wait } => {
                assert!((1..=SPAN + SLACK).contains(wait) && room(true, 1) > terms.requests_per_minute.unwrap());
            }
            AdmissionRefusal::Tokens { wait } => {
                let limit = terms.tokens_per_minute.unwrap();
                assert!((1..=SPAN + SLACK).contains(wait));
                assert!(limit == 0 || room(false, ask.tokens.min(limit)) > limit);
            }
            AdmissionRefusal::Budget { needed, left, promised, largest, .. } => {
                let budget = terms.budget.unwrap();
                assert_eq!(*needed, ask.cost.unwrap());
                assert_eq!(*promised, self.promised());
                let spent = self.spent(budget.per, time);
                assert_eq!(*left, budget.nanos.saturating_sub(spent).saturating_sub(*promised));
                assert!(needed > left);
                let fits = |limit: u64| ask.output.as_ref().is_some_and(|answer| answer.cost(limit) <= *left);
                assert!(largest.is_none_or(fits) && !fits(largest.unwrap_or(0) + 1), "{largest:?}");
            }
            AdmissionRefusal::StrayField { .. } => assert!(terms.are_bound() && ask.stray_field.is_some()),
            AdmissionRefusal::Price => assert!(terms.budget.is_some() && ask.cost.is_none()),
        }
    }
}
