//! Budgets and days in every time zone: they are those of the zone's calendar, and a change of the zone loses
//! no amount and counts none in two periods or days.

use std::collections::BTreeMap;

use llm_bridge::ledger::{
    AccountCommand, AccountLedger, AccountResponse, AdmissionRefusal, AdmissionRequest, Budget, KeyLimits, Period,
    Receipt,
};
use llm_bridge::wire::date::{date, read_time};
use llm_bridge::wire::zone::Zone;

use crate::every_zone::zones;
use crate::store::Store;

const MINUTE: u64 = 60_000;
/// Clocks change and days begin at multiples of it.
const QUARTER: u64 = 15 * MINUTE;
const DAY: u64 = 86_400_000;
const BUDGET: u64 = 1 << 60;
const PERIODS: [Period; 3] = [Period::Day, Period::Week, Period::Month];

/// The number of the period that the zone's calendar shows.
pub fn period(per: Period, zone: &Zone, at: u64) -> u64 {
    let local = i64::try_from(at).unwrap() + zone.offset_at(at) * 1_000;
    let day = u64::try_from(local.div_euclid(86_400_000)).unwrap();
    let date = date(day);
    match per {
        Period::Day => day,
        Period::Week => (day + 3) / 7,
        Period::Month => date.year * 12 + date.month,
        Period::Total => 0,
    }
}

/// Pseudorandom numbers: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// A later time: often the first or the last moment of a day or a change of clocks.
    fn after(&mut self, at: u64) -> u64 {
        let later = at + self.below(4 * DAY);
        let edge = (later / QUARTER + 1) * QUARTER;
        [later, edge, edge - 1].into_iter().nth(usize::try_from(self.below(3)).unwrap()).unwrap()
    }
}

/// An account with a budget that is never used up, and what it stored.
struct Account {
    ledger: AccountLedger,
    store: Store,
    next: u64,
}

impl Account {
    fn new(per: Period, zone: &Zone) -> Self {
        let mut account = Self { ledger: AccountLedger::default(), store: Store::default(), next: 0 };
        account.ledger.set_zone(zone.clone());
        let budget = Some(Budget { nanos: BUDGET, per, fit: false });
        let limits = KeyLimits { budget, ..KeyLimits::default() };
        account.handle(AccountCommand::SetLimits { hash: "hash".into(), limits, version: 1 }, 0);
        account
    }

    fn handle(&mut self, command: AccountCommand, now: u64) -> AccountResponse {
        let mut writes = Vec::new();
        let response = self.ledger.handle(command, now, &mut writes);
        self.store.write(&writes);
        response
    }

    fn spend(&mut self, cost: u64, now: u64) {
        self.next += 1;
        let id = format!("request-{}", self.next);
        let receipt = Receipt { id, outcome: "complete".into(), cost: Some(cost), ended: now, ..Receipt::default() };
        self.handle(AccountCommand::Settle(vec![receipt]), now);
    }

    /// What a refusal says is left of the budget, subtracted from it.
    fn spent(&mut self, now: u64) -> u64 {
        let request = AdmissionRequest { id: "asked".into(), cost: Some(BUDGET + 1), ..AdmissionRequest::default() };
        match self.handle(AccountCommand::Admit(request), now) {
            AccountResponse::Refused { refusal: AdmissionRefusal::Budget { left, .. }, .. } => BUDGET - left,
            other => panic!("{other:?}"),
        }
    }

    /// Admits a request whose receipt, if it is lost, costs nothing.
    fn admit(&mut self, id: &str, now: u64) {
        let draft = Receipt { outcome: "lost".into(), cost: Some(0), started: now, ..Receipt::default() };
        let request = AdmissionRequest {
            id: id.into(),
            cost: Some(1_000),
            lifetime: 3 * DAY,
            draft: Some(Box::new(draft)),
            ..AdmissionRequest::default()
        };
        let response = self.handle(AccountCommand::Admit(request), now);
        assert!(matches!(response, AccountResponse::Granted { .. }), "{response:?}");
    }

    fn settle(&mut self, id: &str, cost: u64, now: u64) {
        let outcome = "complete".into();
        let receipt = Receipt { id: id.into(), outcome, cost: Some(cost), ended: now, ..Receipt::default() };
        self.handle(AccountCommand::Settle(vec![receipt]), now);
    }

    /// The cost by day.
    fn days(&mut self, now: u64) -> BTreeMap<u64, u64> {
        let usage = self.store.usage(&mut self.ledger, now);
        let mut days = BTreeMap::new();
        for ((day, ..), totals) in usage {
            *days.entry(day).or_default() += totals.cost;
        }
        days
    }

    fn reopen(&mut self, zone: &Zone, now: u64) {
        self.ledger = self.store.open(now, zone);
    }
}

fn start() -> u64 {
    read_time("2026-01-01T00:00:00Z").unwrap()
}

#[test]
fn periods_of_budgets_are_those_of_the_calendar_of_every_zone() {
    for (name, zone) in zones() {
        for per in PERIODS {
            let (mut random, mut at) = (Random(0x9e37_79b9_7f4a_7c15), start());
            let mut account = Account::new(per, &zone);
            let mut amounts: Vec<(u64, u64)> = Vec::new();
            while at < start() + 500 * DAY {
                at = random.after(at);
                let here = |(then, _): &&(u64, u64)| period(per, &zone, *then) == period(per, &zone, at);
                let spent: u64 = amounts.iter().rev().take(2_000).filter(here).map(|(_, amount)| amount).sum();
                assert_eq!(account.spent(at), spent, "{name} {per:?} at {at}");
                let amount = random.below(1_000);
                account.spend(amount, at);
                amounts.push((at, amount));
                if random.below(8) == 0 {
                    account.reopen(&zone, at);
                }
            }
        }
    }
}

/// The spend of a period that ends as it began, added up naively.
struct Model {
    per: Period,
    end: u64,
    spent: u64,
}

impl Model {
    fn spent(&self, at: u64) -> u64 {
        if at < self.end { self.spent } else { 0 }
    }

    fn spend(&mut self, amount: u64, at: u64, zone: &Zone) {
        if at >= self.end {
            self.spent = 0;
            self.end = (at / QUARTER + 1) * QUARTER;
            while period(self.per, zone, self.end) <= period(self.per, zone, at) {
                self.end += QUARTER;
            }
        }
        self.spent += amount;
    }
}

#[test]
fn a_change_of_the_zone_takes_effect_with_the_next_period() {
    let zones = zones();
    for per in PERIODS {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let (mut at, mut zone) = (start(), Zone::utc());
        let mut account = Account::new(per, &zone);
        let mut model = Model { per, end: 0, spent: 0 };
        let mut changes = 0;
        while at < start() + 2_000 * DAY {
            at = random.after(at);
            if random.below(10) == 0 {
                let chosen = random.below(zones.len() as u64 + 20);
                zone = zones.get(usize::try_from(chosen).unwrap()).map_or(Zone::utc(), |(_, zone)| zone.clone());
                // While it is open, or while it is closed.
                match random.below(2) {
                    0 => account.ledger.set_zone(zone.clone()),
                    _ => account.reopen(&zone, at),
                }
                changes += 1;
            }
            assert_eq!(account.spent(at), model.spent(at), "{per:?} at {at}");
            let amount = random.below(1_000);
            account.spend(amount, at);
            model.spend(amount, at, &zone);
        }
        assert!(changes > 50);
    }
}

#[test]
fn days_of_usage_are_those_of_the_calendar_of_every_zone() {
    for (name, zone) in zones() {
        let (mut random, mut at) = (Random(0x9e37_79b9_7f4a_7c15), start());
        let mut account = Account::new(Period::Total, &zone);
        let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
        while at < start() + 400 * DAY {
            at = random.after(at);
            let amount = random.below(1_000);
            account.spend(amount, at);
            *expected.entry(period(Period::Day, &zone, at)).or_default() += amount;
            if random.below(8) == 0 {
                account.reopen(&zone, at);
            }
        }
        assert_eq!(account.days(at), expected, "{name}");
    }
}

#[test]
fn every_receipt_is_in_one_day_whatever_becomes_of_the_zone() {
    let zones = zones();
    let mut random = Random(0x6a09_e667_f3bc_c909);
    let (mut at, mut zone) = (start(), Zone::utc());
    let mut account = Account::new(Period::Total, &zone);
    let (mut spent, mut late, mut next) = (0, Vec::new(), 0);
    while at < start() + 1_000 * DAY {
        at = random.after(at);
        if random.below(6) == 0 {
            let chosen = random.below(zones.len() as u64 + 20);
            zone = zones.get(usize::try_from(chosen).unwrap()).map_or(Zone::utc(), |(_, zone)| zone.clone());
            match random.below(2) {
                0 => account.ledger.set_zone(zone.clone()),
                _ => account.reopen(&zone, at),
            }
        }
        let amount = random.below(1_000);
        match random.below(3) {
            // Many of them are lost before they are settled, and their zone and day are others by then.
            0 => {
                next += 1;
                late.push(format!("late-{next}"));
                account.admit(late.last().unwrap(), at);
            }
            1 if late.len() > 1 => {
                account.settle(&late.remove(0), amount, at);
                spent += amount;
            }
            _ => {
                account.spend(amount, at);
                spent += amount;
            }
        }
        // What is lost and forgotten stays lost.
        late.retain(|id| account.store.promises.contains_key(id));
        assert_eq!(account.days(at).values().sum::<u64>(), spent, "at {at}");
    }
    assert!(account.days(at).len() > 300);
}

#[test]
fn a_change_of_the_zone_ends_no_day_early() {
    let shanghai = Zone::new(28_800, Vec::new()).unwrap();
    let mut account = Account::new(Period::Total, &Zone::utc());
    let at = |hour: u64| start() + hour * 3_600_000;
    let first = start() / DAY;
    account.spend(1, at(10));
    account.ledger.set_zone(shanghai);
    account.spend(2, at(15));
    // Midnight in Shanghai.
    account.spend(4, at(16));
    account.reopen(&Zone::utc(), at(17));
    // It is the day before in UTC, but the next day has begun.
    account.spend(8, at(18));
    account.spend(16, at(47));
    account.spend(32, at(48));
    assert_eq!(account.days(at(48)), BTreeMap::from([(first, 3), (first + 1, 28), (first + 2, 32)]));
}

#[test]
fn an_account_of_utc_stores_no_time_zone() {
    let mut account = Account::new(Period::Day, &Zone::utc());
    account.spend(7, start());
    account.admit("lost", start());
    account.spend(1, start() + DAY);
    let lost = &account.store.promises["lost"];
    assert!(lost.contains("found") && !lost.contains("\"day\""), "{lost}");
    let sums = account.store.rows.first().unwrap().sums.clone().unwrap();
    assert!(sums.contains(r#""day":[20454,7]"#) && !sums.contains("spans"), "{sums}");
}
