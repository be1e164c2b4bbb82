//! A key and its parent: each request is admitted by both accounts, one after the other, while others begin,
//! end and are cancelled, and days and weeks pass. In any order, neither budget is reserved twice, and both
//! accounts have the same receipts.

use std::collections::BTreeMap;

use llm_bridge::ledger::{
    AccountCommand, AccountLedger, AccountResponse, AdmissionRefusal, AdmissionRequest, Budget, KeyLimits, LOST,
    OutputCost, Period, Receipt, SPAN, TokenCounts,
};
use llm_bridge::wire::zone::Zone;
use proptest::prelude::*;

use crate::EVE;
use crate::store::Store;
use crate::zones::period;

/// The longest time a request may take, and a minute more. Until then it is settled, or never.
const LIFE: u64 = 400_000;
const MEMBER: usize = 0;
const TEAM: usize = 1;

/// The stage of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    /// The member's account has admitted it.
    Half,
    /// Both have.
    Whole,
    /// The parent's account has refused it. The reservation of the member's is not released yet.
    Refused,
    /// It has ended for the gateway: settled, released, or refused at once.
    Over,
}

#[derive(Clone, Debug)]
enum Step {
    /// The request is sent to the next account.
    Advance(usize),
    /// Its isolate dies.
    Die(usize),
    /// It ends, and has cost this percentage of what was granted. The accounts are settled in this order, the
    /// second after this time.
    End(usize, u64, bool, u64),
    /// It renews its leases, and has cost this percentage so far.
    Renew(usize, u64),
    Pass(u64),
    Reopen(usize),
}

struct Account {
    book: AccountLedger,
    store: Store,
    terms: KeyLimits,
    /// What was granted to each request: when, and the maximum cost.
    granted: BTreeMap<String, (u64, u64)>,
}

impl Account {
    fn new(terms: KeyLimits) -> Self {
        let mut account = Self {
            book: AccountLedger::default(),
            store: Store::default(),
            terms: terms.clone(),
            granted: BTreeMap::new(),
        };
        account.obey(AccountCommand::SetLimits { hash: "hash".into(), limits: terms, version: 1 }, EVE);
        account
    }

    fn obey(&mut self, order: AccountCommand, now: u64) -> AccountResponse {
        let mut writes = Vec::new();
        let reply = self.book.handle(order, now, &mut writes);
        self.store.write(&writes);
        reply
    }

    /// Admits a request, which may get a lower output limit.
    fn admit(&mut self, ask: &mut AdmissionRequest, now: u64) -> Result<(), AdmissionRefusal> {
        match self.obey(AccountCommand::Admit(ask.clone()), now) {
            AccountResponse::Granted { limit, .. } => {
                limit.into_iter().for_each(|limit| ask.shorten(limit));
                self.granted.insert(ask.id.clone(), (now, ask.cost.unwrap()));
                Ok(())
            }
            AccountResponse::Refused { refusal, .. } => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn release(&mut self, id: &str, now: u64) {
        self.obey(AccountCommand::Release(id.to_owned()), now);
        self.granted.remove(id);
    }

    /// The receipts, by request.
    fn entries(&self) -> BTreeMap<String, (u64, Receipt)> {
        let all: Vec<_> = self.store.entries().map(|(at, entry)| (entry.id.clone(), (at, entry))).collect();
        let by_id: BTreeMap<_, _> = all.iter().cloned().collect();
        assert_eq!(by_id.len(), all.len(), "one entry for each request");
        by_id
    }

    /// The spend of this period and the reserved cost do not exceed the budget, and no minute has more
    /// requests than the limit.
    fn check(&self, now: u64) {
        let (entries, budget) = (self.entries(), self.terms.budget.unwrap());
        let here = entries
            .values()
            .filter(|(at, _)| period(budget.per, &Zone::utc(), *at) == period(budget.per, &Zone::utc(), now));
        let spent: u64 = here.map(|(_, entry)| entry.charge()).sum();
        let held = |(id, (at, most)): (&String, &(u64, u64))| match entries.get(id) {
            _ if at + LIFE <= now => 0,
            None => *most,
            Some((_, entry)) if entry.outcome == LOST => most - entry.charge(),
            Some(_) => 0,
        };
        let held: u64 = self.granted.iter().map(held).sum();
        assert!(spent + held <= budget.nanos, "{spent} spent and {held} held of {budget:?}");
        let minute = self.granted.values().filter(|(at, _)| at + SPAN > now).count() as u64;
        assert!(minute <= self.terms.requests_per_minute.unwrap());
    }
}

struct Family {
    accounts: [Account; 2],
    requests: Vec<(Stage, AdmissionRequest)>,
    /// Commands that will arrive: when, at which account, and the command.
    post: Vec<(u64, usize, Receipt)>,
    now: u64,
}

impl Family {
    fn new(terms: [KeyLimits; 2], asks: Vec<AdmissionRequest>) -> Self {
        let requests = asks.into_iter().map(|ask| (Stage::New, ask)).collect();
        Self { accounts: terms.map(Account::new), requests, post: Vec::new(), now: EVE }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass(millis) => self.pass(millis),
            Step::Reopen(which) => {
                let account = &mut self.accounts[which];
                account.book = account.store.open(self.now, &Zone::utc());
            }
            Step::Advance(number) => self.advance(number),
            Step::Die(number) => self.requests[number].0 = Stage::Over,
            Step::End(number, parts, team_first, later) => self.end(number, parts, team_first, later),
            Step::Renew(number, parts) => self.renew(number, parts),
        }
        self.accounts.iter().for_each(|account| account.check(self.now));
    }

    fn pass(&mut self, millis: u64) {
        let until = self.now + millis;
        self.post.sort_unstable_by_key(|(at, ..)| *at);
        while self.post.first().is_some_and(|(at, ..)| *at <= until) {
            let (at, which, entry) = self.post.remove(0);
            self.now = at;
            self.accounts[which].obey(AccountCommand::Settle(vec![entry]), at);
        }
        self.now = until;
    }

    fn advance(&mut self, number: usize) {
        let (stage, ask) = &mut self.requests[number];
        let [member, team] = &mut self.accounts;
        *stage = match stage {
            Stage::New if member.admit(ask, self.now).is_ok() => Stage::Half,
            Stage::Half => {
                (ask.hash, ask.fit) = (None, member.terms.budget.unwrap().fit);
                ask.draft.iter_mut().for_each(|draft| draft.member = true);
                if team.admit(ask, self.now).is_ok() { Stage::Whole } else { Stage::Refused }
            }
            Stage::Refused => {
                member.release(&ask.id, self.now);
                Stage::Over
            }
            Stage::Whole => Stage::Whole,
            Stage::New | Stage::Over => Stage::Over,
        };
    }

    /// The cost of a request, as this percentage of what was granted last.
    fn cost(&self, number: usize, parts: u64) -> u64 {
        self.requests[number].1.cost.unwrap() * parts / 100
    }

    fn is_in_time(&self, number: usize) -> bool {
        let (stage, ask) = &self.requests[number];
        let begun = self.accounts[MEMBER].granted.get(&ask.id).map_or(0, |(at, _)| *at);
        *stage == Stage::Whole && self.now + 10_000 < begun + LIFE
    }

    fn end(&mut self, number: usize, parts: u64, team_first: bool, later: u64) {
        if !self.is_in_time(number) {
            return;
        }
        let cost = Some(self.cost(number, parts));
        let (stage, ask) = &mut self.requests[number];
        let draft = ask.draft.as_deref().unwrap().clone();
        let truth = Receipt { id: ask.id.clone(), outcome: "complete".into(), cost, ended: self.now, ..draft };
        *stage = Stage::Over;
        for (at, which) in [(self.now, usize::from(team_first)), (self.now + later, usize::from(!team_first))] {
            self.post.push((at, which, Receipt { member: which == TEAM, ..truth.clone() }));
        }
        self.pass(0);
    }

    fn renew(&mut self, number: usize, parts: u64) {
        if !self.is_in_time(number) {
            return;
        }
        let (cost, id) = (Some(self.cost(number, parts)), self.requests[number].1.id.clone());
        for account in &mut self.accounts {
            account.obey(AccountCommand::Renew { id: id.clone(), tokens: TokenCounts::default(), cost }, self.now);
        }
    }

    /// Long afterwards, when every period is over, both accounts agree and nothing is reserved.
    fn finish(mut self) {
        for number in 0..self.requests.len() {
            if self.requests[number].0 == Stage::Refused {
                self.advance(number);
            }
        }
        self.pass(LIFE + 1);
        // The month after next.
        self.now += 40 * 86_400_000;
        for account in &mut self.accounts {
            account.obey(AccountCommand::Usage { from: 0, to: 0 }, self.now);
        }
        let [member, team] = self.accounts.each_ref().map(Account::entries);
        for (_, ask) in &self.requests {
            let [in_member, in_team] = self.accounts.each_ref().map(|account| account.granted.contains_key(&ask.id));
            assert!(member.contains_key(&ask.id) || !in_member);
            assert_eq!(team.contains_key(&ask.id), in_team, "one receipt for each request that was admitted");
            if let (Some((_, one)), Some((_, other))) = (member.get(&ask.id), team.get(&ask.id)) {
                // The estimate of a lost request was sent to the two accounts at different times.
                let plain = |entry: &Receipt| (entry.outcome.clone(), entry.cost.filter(|_| entry.outcome != LOST));
                assert!(plain(one) == plain(other) && !one.member && other.member, "{one:?} {other:?}");
            }
        }
        for account in &mut self.accounts {
            let cost = account.terms.budget.map(|budget| budget.nanos);
            let mut last =
                AdmissionRequest { id: "last".into(), models: vec!["m".into()], cost, ..AdmissionRequest::default() };
            assert_eq!(account.admit(&mut last, self.now), Ok(()), "nothing is held, and each place is free");
        }
    }
}

fn terms() -> impl Strategy<Value = KeyLimits> {
    let per = prop_oneof![Just(Period::Day), Just(Period::Week), Just(Period::Month)];
    (100u64..1_500, per, any::<bool>(), 1u64..8, 1u64..6).prop_map(|(nanos, per, fit, requests, concurrent)| {
        KeyLimits {
            budget: Some(Budget { nanos, per, fit }),
            requests_per_minute: Some(requests),
            concurrent: Some(concurrent),
            ..KeyLimits::default()
        }
    })
}

fn asks() -> impl Strategy<Value = Vec<AdmissionRequest>> {
    let ask = (0u64..100, 1u64..3_000, 1u64..3, 1u64..400, 1u64..20, any::<bool>());
    let ask = ask.prop_map(|(besides, each, drawn, limit, least, settable)| {
        let answer = OutputCost { fixed: besides, per_token: each, choices: drawn, limit, minimum: least, settable };
        let draft = Receipt { outcome: LOST.into(), cost: Some(besides), estimated: true, ..Receipt::default() };
        let (cost, draft, life) = (Some(answer.cost(limit)), Some(Box::new(draft)), LIFE);
        AdmissionRequest {
            hash: Some("hash".into()),
            models: vec!["m".into()],
            cost,
            output: Some(answer),
            lifetime: life,
            draft,
            ..AdmissionRequest::default()
        }
    });
    prop::collection::vec(ask, 14).prop_map(|mut asks| {
        for (number, ask) in asks.iter_mut().enumerate() {
            ask.id = format!("{number:032x}");
        }
        asks
    })
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0usize..14;
    let pass = prop_oneof![
        4 => 0u64..2_000,
        3 => 2_000u64..30_000,
        2 => 59_000u64..76_000,
        1 => 100_000u64..500_000,
        1 => Just(86_400_000),
    ];
    prop_oneof![
        9 => number().prop_map(Step::Advance),
        1 => number().prop_map(Step::Die),
        4 => (number(), 0u64..=100, any::<bool>(), 0u64..6_000).prop_map(|(a, b, c, d)| Step::End(a, b, c, d)),
        2 => (number(), 0u64..=100).prop_map(|(a, b)| Step::Renew(a, b)),
        4 => pass.prop_map(Step::Pass),
        1 => (0usize..2).prop_map(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_budget_is_reserved_twice_and_both_ledgers_agree(
        terms in (terms(), terms()), asks in asks(), steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut family = Family::new([terms.0, terms.1], asks);
        for step in &steps {
            family.step(step);
        }
        family.finish();
    }

    /// Concurrent requests reserve no more than the budget in total, and a granted limit never costs more
    /// than what is left.
    #[test]
    fn concurrent_requests_do_not_exceed_a_fitting_budget(
        nanos in 0u64..5_000, asks in asks(), ends in prop::collection::vec((0usize..14, 0u64..=100), 0..14),
    ) {
        let terms = KeyLimits { budget: Some(Budget { nanos, per: Period::Total, fit: true }), ..KeyLimits::default() };
        let mut account = Account::new(KeyLimits { requests_per_minute: Some(100), ..terms });
        for mut ask in asks.clone() {
            let _ = account.admit(&mut ask, EVE);
            let given: u64 = account.granted.values().map(|(_, most)| most).sum();
            prop_assert!(given <= nanos, "{given} of {nanos}");
        }
        // Requests that end free what they did not use, and others get it once.
        for (round, (number, parts)) in ends.into_iter().enumerate() {
            let mut ask = asks[number].clone();
            if let Some((_, most)) = account.granted.get(&ask.id).copied() {
                let truth = Receipt { id: ask.id.clone(), cost: Some(most * parts / 100), ..Receipt::default() };
                account.obey(AccountCommand::Settle(vec![truth]), EVE + 1);
            }
            ask.id = format!("again-{round}");
            let _ = account.admit(&mut ask, EVE + 2);
            account.check(EVE + 2);
        }
    }
}
