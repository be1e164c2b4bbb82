//! The books of an account under everything that may befall them: any order of orders, a clock that stands still or falls back,
//! crashes at any point. Two books get the same orders: one lives on, the other is dropped and opened again from what was written.
//! A third bookkeeper, who is slow and simple, says what must be true.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

use std::collections::{BTreeMap, HashSet};

use llm_bridge::ledger::{
    Answer, Ask, Book, Budget, Entry, Gauge, Kept, LEASE, LOST, Order, Period, Promise, Refusal, Reply, Report, Row,
    SPAN, Terms, Tokens, Totals, Write, day_of,
};
use llm_bridge::wire::date;
use proptest::prelude::*;

/// What a window may count longer than [`SPAN`].
const SLACK: u64 = 250;
/// So long a book remembers what was settled.
const REMEMBERED: u64 = 300_000;
/// A Sunday, the last of a month, shortly before midnight.
const EVE: u64 = 1_780_271_990_000;

/// What was written, as tables hold it.
#[derive(Clone, Debug, Default)]
struct Store {
    terms: Option<String>,
    promises: BTreeMap<String, String>,
    counting: Option<String>,
    rows: Vec<Row>,
    days: BTreeMap<u64, String>,
}

impl Store {
    fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write.clone() {
                Write::Terms(terms) => self.terms = Some(terms),
                Write::Promise(id, promise) => drop(self.promises.insert(id, promise)),
                Write::Counting(counting) => self.counting = Some(counting),
                Write::Void(id) => assert!(self.promises.remove(&id).is_some(), "{id}"),
                Write::Entries(row) => {
                    let last = self.rows.last().cloned().unwrap_or_default();
                    let count = row.read().len() as u64;
                    assert!(count > 0 && row.number == last.number + count, "{row:?} after {last:?}");
                    assert!(row.at >= last.at, "{row:?} after {last:?}");
                    self.rows.push(row);
                }
                Write::Truth(number, at, truth) => {
                    let row = self.rows.iter_mut().find(|row| row.number == number).unwrap();
                    assert!(row.at == at && row.read().iter().any(|entry| entry.id == truth.id), "{row:?} {truth:?}");
                    row.entries = row.with(&truth);
                }
                Write::Sums(number, at, sums) => {
                    let last = self.rows.last_mut().unwrap();
                    assert_eq!((last.number, last.at), (number, at));
                    last.sums = Some(sums);
                }
                Write::Day(day, sums) => assert_eq!(self.days.insert(day, sums), None, "day {day}"),
                Write::Amend(day, was, is) => {
                    let sums = Book::amended(&self.days[&day], &was, &is).unwrap();
                    self.days.insert(day, sums);
                }
            }
        }
    }

    fn open(&self, now: u64) -> Book {
        let promises = self.promises.clone().into_iter().collect();
        let kept = Kept { terms: self.terms.clone(), promises, counting: self.counting.clone() };
        Book::open(kept, self.rows.iter().rev().cloned(), now)
    }

    fn entries(&self) -> impl Iterator<Item = (u64, Entry)> {
        self.rows.iter().flat_map(|row| row.read().into_iter().map(|entry| (row.at, entry)))
    }

    /// All sums, of days that are over and of the last, as the book says.
    fn usage(&mut self, book: &mut Book, now: u64) -> BTreeMap<(u64, String, String), Totals> {
        let mut writes = Vec::new();
        let reply = book.obey(USAGE, now, &mut writes);
        self.write(&writes);
        self.with_days(reply)
    }

    fn with_days(&self, today: Reply) -> BTreeMap<(u64, String, String), Totals> {
        let Reply::Usage(today) = today else { panic!("no usage") };
        let mut reports: Vec<Report> = self.days.values().flat_map(|sums| Book::reports(sums)).collect();
        reports.extend(today);
        let mut usage = BTreeMap::new();
        for report in reports {
            let old = usage.insert((report.day, report.provider, report.model), report.totals);
            assert_eq!(old, None, "reported twice");
        }
        usage
    }

    /// The same, from the entries.
    fn sums(&self) -> BTreeMap<(u64, String, String), Totals> {
        let mut sums: BTreeMap<_, Totals> = BTreeMap::new();
        for (at, entry) in self.entries().filter(|(_, entry)| !entry.member) {
            let totals = sums.entry((day_of(at), entry.provider, entry.model)).or_default();
            totals.requests += 1;
            if entry.outcome != "complete" {
                *totals.failures.entry(entry.outcome).or_default() += 1;
            }
            let tokens = entry.tokens.unwrap_or_default();
            totals.tokens.fresh += tokens.fresh;
            totals.tokens.output += tokens.output;
            totals.estimated += u64::from(entry.estimated);
            totals.cost += entry.cost.unwrap_or(0);
            totals.unpriced += u64::from(entry.cost.is_none());
        }
        sums
    }
}

const USAGE: Order = Order::Usage { from: 0, to: u64::MAX };

/// What becomes of an order.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Well,
    /// The book is opened again before it.
    Crash,
    /// What it gave was written, but nobody learns that; it is repeated.
    LostReply,
    /// What it gave was not written; it is repeated.
    LostWrites,
}

#[derive(Clone, Debug)]
enum Step {
    Order(Order, Fate),
    Pass(u64),
    Back(u64),
}

/// A request that was granted, as the third bookkeeper remembers it.
#[derive(Clone, Debug)]
struct Grant {
    id: String,
    promise: Promise,
    /// Its tokens, when they are known.
    truth: Option<u64>,
}

/// A request that was granted and is not settled, or was settled when it had been taken for lost.
#[derive(Clone, Debug)]
struct Under {
    promise: Promise,
    draft: Option<Entry>,
    /// The most that it can cost, whether or not a budget held that.
    most: Option<u64>,
    /// The end of its lease, as written, and what was added when the books were opened.
    lease: u64,
    grace: u64,
    extended: bool,
    /// Its receipt: when it was entered, and how it stands.
    lost: Option<(u64, Entry)>,
    settled: Option<u64>,
    live: bool,
}

impl Under {
    fn lapses(&self) -> u64 {
        if self.draft.is_none() { self.promise.until } else { self.promise.until.min(self.lease.max(self.grace)) }
    }

    fn held(&self, time: u64) -> u64 {
        match &self.lost {
            _ if self.settled.is_some() => 0,
            None => self.promise.cost,
            Some(_) if self.promise.until <= time => 0,
            Some((_, entry)) => self.promise.cost.saturating_sub(entry.cost.unwrap_or(self.promise.cost)),
        }
    }

    /// When nothing is left of it, once it is lost.
    fn forgotten(&self) -> u64 {
        let since = self.lost.as_ref().map_or(self.promise.until, |(at, _)| self.promise.until.max(*at));
        self.settled.unwrap_or(since) + REMEMBERED + 1
    }

    /// The receipt of it, if it is lost.
    fn receipt(&self, ended: u64) -> Option<Entry> {
        let draft = self.draft.clone()?;
        let cost = draft.cost.map(|cost| cost.min(self.most.unwrap_or(u64::MAX)));
        let promise = Some(Promise { lease: None, ..self.promise.clone() });
        Some(Entry { id: draft.id.clone(), ended, cost, promise, ..draft })
    }
}

/// The world in which the books are kept.
struct World {
    alive: Book,
    crashing: Book,
    store: Store,
    now: u64,
    /// The time of the last thing written.
    latest: u64,
    terms: Option<Terms>,
    grants: Vec<Grant>,
    open: BTreeMap<String, Under>,
    settled: BTreeMap<String, u64>,
    /// Lost, and forgotten without a truth.
    gone: HashSet<String>,
    /// When and how much, by request: of entries whose promise held this budget's money until the end.
    honest: BTreeMap<String, (u64, u64)>,
    /// Admitted when there was another budget.
    older: HashSet<String>,
}

fn period(per: Period, at: u64) -> u64 {
    let day = day_of(at);
    let date = date::date(day);
    match per {
        Period::Day => day,
        Period::Week => (day + 3) / 7,
        Period::Month => date.year * 12 + date.month,
        Period::Total => 0,
    }
}

impl World {
    fn new() -> Self {
        Self {
            alive: Book::default(),
            crashing: Book::default(),
            store: Store::default(),
            now: EVE,
            latest: 0,
            terms: None,
            grants: Vec::new(),
            open: BTreeMap::new(),
            settled: BTreeMap::new(),
            gone: HashSet::new(),
            honest: BTreeMap::new(),
            older: HashSet::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Pass(millis) => self.now += millis,
            Step::Back(millis) => self.now -= millis,
            Step::Order(order, fate) => {
                // Ids are the gateway's own: none comes again when the book has forgotten it.
                let ids: Vec<&str> = match order {
                    Order::Admit(ask) => vec![ask.id.as_str()],
                    Order::Settle(entries) => entries.iter().map(|entry| entry.id.as_str()).collect(),
                    _ => Vec::new(),
                };
                let forgotten = |id: &&str| {
                    let fades = |under: &Under| under.lost.is_some() && under.forgotten() <= self.time();
                    self.gone.contains(*id)
                        || self.open.get(*id).is_some_and(fades)
                        || self.settled.get(*id).is_some_and(|at| at + REMEMBERED < self.time())
                };
                if ids.iter().any(forgotten) {
                    return;
                }
                self.order(order, *fate);
                if matches!(fate, Fate::LostReply) {
                    self.reopen();
                    self.order(order, Fate::Well);
                }
                self.check();
            }
        }
    }

    /// One book is opened again; the other, which is not, grants its requests the same.
    fn reopen(&mut self) {
        self.crashing = self.store.open(self.now);
        self.alive.extend(self.now);
        let time = self.time();
        for under in self.open.values_mut().filter(|under| under.live && under.lost.is_none()) {
            under.grace = 0;
            if under.draft.is_none() || under.extended {
                continue;
            }
            if under.lease > time {
                under.grace = time + LEASE;
            } else {
                (under.lease, under.extended) = (time + LEASE, true);
            }
        }
    }

    /// The time of the books.
    fn time(&self) -> u64 {
        self.now.max(self.latest)
    }

    fn order(&mut self, order: &Order, fate: Fate) -> Reply {
        if matches!(fate, Fate::LostWrites) {
            self.crashing.obey(order.clone(), self.now, &mut Vec::new());
        }
        if matches!(fate, Fate::LostWrites | Fate::Crash) {
            self.reopen();
        }
        let (mut writes, mut others) = (Vec::new(), Vec::new());
        let reply = self.alive.obey(order.clone(), self.now, &mut writes);
        let other = self.crashing.obey(order.clone(), self.now, &mut others);
        assert_eq!(reply, other, "{order:?}");
        assert_eq!(writes, others, "{order:?}");
        let time = self.time();
        self.store.write(&writes);
        self.lose(order, &writes, time);
        match order {
            Order::Admit(ask) => self.admitted(ask, &reply, &writes, time),
            Order::Settle(entries) => self.settled(entries, &writes, time),
            Order::Renew { id, tokens, cost } => self.renewed(id, (*tokens, *cost), time),
            Order::Release(id) => self.released(id, time),
            Order::Post { terms, .. } => {
                // Where a budget shrinks or becomes another, the old one's money is nobody's promise.
                let kept = |old: &Terms| match (old.budget, terms.budget) {
                    (Some(old), Some(new)) => old.per == new.per && old.nanos <= new.nanos,
                    _ => false,
                };
                if !self.terms.as_ref().is_some_and(kept) {
                    self.honest.clear();
                    self.older = self.open.keys().cloned().collect();
                }
                self.terms = Some(terms.clone());
            }
            _ => {}
        }
        reply
    }

    /// Whatever is ordered, requests of which nothing is heard any more are lost, but not the one that the order is about.
    fn lose(&mut self, order: &Order, writes: &[Write], time: u64) {
        let about: Vec<&str> = match order {
            Order::Settle(entries) => entries.iter().map(|entry| entry.id.as_str()).collect(),
            Order::Renew { id, .. } | Order::Release(id) => vec![id],
            _ => Vec::new(),
        };
        let mut void = Vec::new();
        for (id, under) in self.open.iter_mut().filter(|(id, _)| !about.contains(&id.as_str())) {
            let ended = under.lapses();
            under.live &= ended > time;
            if under.settled.is_none() && !under.live && under.lost.is_none() && under.draft.is_some() {
                let receipt = under.receipt(ended).unwrap();
                let kept: Vec<Entry> = self.store.entries().map(|(_, entry)| entry).filter(|e| e.id == *id).collect();
                assert_eq!(kept, std::slice::from_ref(&receipt));
                self.latest = time;
                if !self.older.contains(id) {
                    let most = under.promise.cost;
                    self.honest.insert(id.clone(), (time, receipt.cost.unwrap_or(most).min(most)));
                }
                under.lost = Some((time, receipt));
            } else if (under.draft.is_none() && !under.live) || (under.lost.is_some() && under.forgotten() <= time) {
                void.push(id.clone());
            }
        }
        for id in void {
            assert!(writes.contains(&Write::Void(id.clone())), "{id} is void");
            let under = self.open.remove(&id).unwrap();
            if under.lost.is_some() && under.settled.is_none() {
                self.gone.insert(id);
            }
        }
    }

    fn renewed(&mut self, id: &str, (tokens, cost): (Tokens, Option<u64>), time: u64) {
        let older = self.older.contains(id);
        let Some(under) = self.open.get_mut(id).filter(|under| under.settled.is_none() && under.promise.until > time)
        else {
            return;
        };
        let Some(draft) = &mut under.draft else { return };
        let cost = match &under.lost {
            Some((_, was)) => was.cost.map(|was| was.max(cost.unwrap_or(0))),
            None => cost,
        };
        (draft.tokens, draft.cost) = (Some(tokens), cost);
        (under.lease, under.grace, under.extended, under.live) = (time + LEASE, 0, false, true);
        if let Some((at, _)) = under.lost {
            let receipt = under.receipt(time).unwrap();
            if !older {
                let most = under.promise.cost;
                self.honest.insert(id.to_owned(), (at, receipt.cost.unwrap_or(most).min(most)));
            }
            under.lost = Some((at, receipt));
        }
    }

    fn released(&mut self, id: &str, time: u64) {
        let Some(under) = self.open.get_mut(id).filter(|under| under.settled.is_none()) else { return };
        if let Some((at, _)) = under.lost {
            (under.settled, under.live) = (Some(time), false);
            self.settled.insert(id.to_owned(), time);
            self.honest.insert(id.to_owned(), (at, 0));
        } else {
            self.open.remove(id);
            self.grants.retain(|grant| grant.id != id);
            // Nothing was written at that time any more.
            let entries = self.store.entries().map(|(at, _)| at);
            self.latest = entries.chain(self.open.values().map(|under| under.promise.at)).max().unwrap_or(0);
        }
    }

    fn admitted(&mut self, ask: &Ask, reply: &Reply, writes: &[Write], time: u64) {
        let promise = writes.iter().find_map(|write| match write {
            Write::Promise(id, text) if *id == ask.id => Some(serde_json::from_str::<Promise>(text).unwrap()),
            _ => None,
        });
        let promise = promise.filter(|_| !self.open.contains_key(&ask.id));
        assert!(!writes.iter().any(|write| matches!(write, Write::Terms(_))));
        match reply {
            Reply::Refused { refusal, .. } => {
                assert_eq!(promise, None);
                self.refused(ask, refusal, time);
            }
            Reply::Granted { terms, gauges, limit } => {
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

    fn gauge(&self, gauge: Option<Gauge>, requests: bool, time: u64) {
        let Some(gauge) = gauge else { return };
        let most = gauge.limit.saturating_sub(self.taken(requests, time, SPAN));
        let least = gauge.limit.saturating_sub(self.taken(requests, time, SPAN + SLACK));
        assert!((least..=most).contains(&gauge.left) && gauge.reset <= SPAN + SLACK, "{gauge:?}");
    }

    /// What was granted since a time; tokens as far as their truth is known.
    fn taken(&self, requests: bool, time: u64, span: u64) -> u64 {
        let recent = self.grants.iter().filter(|grant| grant.promise.at + span > time);
        recent.map(|grant| if requests { 1 } else { grant.truth.unwrap_or(grant.promise.tokens) }).sum()
    }

    fn spent(&self, per: Period, time: u64) -> u64 {
        let here = self.store.entries().filter(|(at, _)| period(per, *at) == period(per, time));
        here.map(|(_, entry)| entry.cost.or(entry.promise.map(|promise| promise.cost)).unwrap_or(0)).sum()
    }

    fn promised(&self) -> u64 {
        self.open.values().map(|under| under.held(self.time())).sum()
    }

    fn live(&self) -> u64 {
        self.open.values().filter(|under| under.live).count() as u64
    }

    fn granted(&mut self, ask: &Ask, promise: Promise, time: u64) {
        let terms = self.terms.clone().unwrap();
        assert!(terms.are_valid(time) && ask.body <= terms.max_body_bytes.unwrap_or(u64::MAX));
        assert_ne!(terms.tokens_per_minute, Some(0));
        assert!(promise.at == time && promise.until >= time + ask.life);
        assert!(promise.tokens == ask.tokens || Some(promise.tokens) == terms.tokens_per_minute);
        assert_eq!(promise.cost, terms.budget.and(ask.cost).unwrap_or(0));
        self.latest = time;
        let promise_cost = promise.cost;
        let draft = ask.draft.clone().map(|draft| Entry { id: ask.id.clone(), ..*draft });
        assert_eq!(promise.lease.as_ref().map(|lease| lease.until), draft.as_ref().map(|_| time + LEASE));
        let under = Under {
            promise: promise.clone(),
            draft,
            most: ask.cost,
            lease: time + LEASE,
            grace: 0,
            extended: false,
            lost: None,
            settled: None,
            live: true,
        };
        self.open.insert(ask.id.clone(), under);
        self.grants.push(Grant { id: ask.id.clone(), promise, truth: None });
        assert!(self.live() <= terms.concurrent.unwrap_or(u64::MAX));
        assert!(self.taken(true, time, SPAN) <= terms.requests_per_minute.unwrap_or(u64::MAX));
        assert!(self.taken(false, time, SPAN) <= terms.tokens_per_minute.unwrap_or(u64::MAX));
        // What costs nothing may go on even where too much is spent.
        if let Some(budget) = terms.budget.filter(|_| promise_cost > 0) {
            assert!(self.spent(budget.per, time) + self.promised() <= budget.nanos);
        }
    }

    /// A request is shortened where it would not fit, and then takes no more than half of what is left.
    fn shortened(&self, ask: &Ask, limit: u64, time: u64) -> Ask {
        let (budget, answer) = (self.terms.as_ref().unwrap().budget.unwrap(), ask.answer.clone().unwrap());
        let left = budget.nanos.saturating_sub(self.spent(budget.per, time)).saturating_sub(self.promised());
        assert!((budget.fit || ask.fit) && answer.settable && answer.least <= limit && ask.cost.unwrap() > left);
        let mut shorter = ask.clone();
        shorter.shorten(limit);
        assert!(shorter.cost.unwrap() <= left / 2 && answer.cost(limit + 1) > left / 2);
        shorter
    }

    /// Nothing is refused without need.
    fn refused(&self, ask: &Ask, refusal: &Refusal, time: u64) {
        let Some(terms) = &self.terms else { return assert_eq!(*refusal, Refusal::Unknown) };
        let room = |requests, more| self.taken(requests, time, SPAN + SLACK) + more;
        match refusal {
            Refusal::Counts { .. } => panic!("a request is no count: {refusal:?}"),
            Refusal::Unknown => assert_eq!(ask.hash.as_deref(), Some("other")),
            Refusal::Ended => assert!(!terms.are_valid(time)),
            Refusal::Model => assert!(!terms.models.is_empty()),
            Refusal::Body { limit } => assert!(ask.body > *limit),
            Refusal::Concurrent { limit } => assert!(self.live() >= *limit),
            Refusal::Requests { wait } => {
                assert!((1..=SPAN + SLACK).contains(wait) && room(true, 1) > terms.requests_per_minute.unwrap());
            }
            Refusal::Tokens { wait } => {
                let limit = terms.tokens_per_minute.unwrap();
                assert!((1..=SPAN + SLACK).contains(wait));
                assert!(limit == 0 || room(false, ask.tokens.min(limit)) > limit);
            }
            Refusal::Budget { needed, left, promised, largest, .. } => {
                let budget = terms.budget.unwrap();
                assert_eq!((*needed, *promised), (ask.cost.unwrap(), self.promised()));
                let spent = self.spent(budget.per, time);
                assert_eq!(*left, budget.nanos.saturating_sub(spent).saturating_sub(*promised));
                assert!(needed > left);
                let fits = |limit: u64| ask.answer.as_ref().is_some_and(|answer| answer.cost(limit) <= *left);
                assert!(largest.is_none_or(fits) && !fits(largest.unwrap_or(0) + 1), "{largest:?}");
            }
            Refusal::Astray { .. } => assert!(terms.are_bound() && ask.astray.is_some()),
            Refusal::Price => assert!(terms.budget.is_some() && ask.cost.is_none()),
        }
    }

    fn settled(&mut self, entries: &[Entry], writes: &[Write], time: u64) {
        let entered =
            writes.iter().rev().find_map(|write| if let Write::Entries(row) = write { Some(row) } else { None });
        let mut fresh: Vec<&Entry> = Vec::new();
        for entry in entries {
            if self.settled.contains_key(&entry.id) || fresh.iter().any(|other| other.id == entry.id) {
                continue;
            }
            if self.open.get(&entry.id).is_some_and(|under| under.lost.is_some()) {
                self.corrected(entry, time);
            } else {
                fresh.push(entry);
            }
        }
        let kept =
            entered.map(Row::read).filter(|kept| kept.iter().all(|entry| entry.outcome != LOST)).unwrap_or_default();
        assert_eq!(kept.len(), fresh.len(), "{entries:?}");
        assert!(kept.is_empty() || entered.unwrap().at == time);
        for (kept, entry) in kept.iter().zip(fresh) {
            self.settled_one(kept, entry, time);
        }
    }

    /// A late truth stands where the receipt of the lost request stood, and nowhere else.
    fn corrected(&mut self, entry: &Entry, time: u64) {
        let under = self.open.get_mut(&entry.id).unwrap();
        let (at, was) = under.lost.clone().unwrap();
        let promise = Some(Promise { lease: None, ..under.promise.clone() });
        // The gateway knows whether a request is a member's when it is admitted, and that does not change; here anything is settled.
        let truth = Entry { promise, member: was.member, ..entry.clone() };
        let kept: Vec<(u64, Entry)> = self.store.entries().filter(|(_, kept)| kept.id == entry.id).collect();
        assert_eq!(kept, [(at, truth)]);
        (under.settled, under.live) = (Some(time), false);
        self.settled.insert(entry.id.clone(), time);
        if !self.older.contains(&entry.id) {
            let charged = was.cost.unwrap_or(under.promise.cost);
            // What was given back when its time was over is nobody's promise any more.
            let most = if under.promise.until > time { under.promise.cost } else { charged };
            self.honest.insert(entry.id.clone(), (at, entry.cost.unwrap_or(under.promise.cost).min(most)));
        }
    }

    fn settled_one(&mut self, kept: &Entry, entry: &Entry, time: u64) {
        let promise = self.open.remove(&entry.id).map(|under| Promise { lease: None, ..under.promise });
        assert_eq!(kept, &Entry { promise: promise.clone(), ..entry.clone() });
        self.settled.insert(entry.id.clone(), time);
        self.latest = time;
        let Some(promise) = promise else { return };
        let tokens = entry.tokens.map_or(0, |tokens| tokens.sum());
        self.grants.iter_mut().rfind(|grant| grant.id == entry.id).unwrap().truth = Some(tokens);
        // What cost more than it had asked for may break a budget, and nothing else.
        if !self.older.contains(&entry.id) {
            self.honest.insert(entry.id.clone(), (time, entry.cost.unwrap_or(promise.cost).min(promise.cost)));
        }
    }

    /// What is true at any time.
    fn check(&mut self) {
        let usage = self.order(&USAGE, Fate::Well);
        assert_eq!(self.store.with_days(usage), self.store.sums());
        let time = self.time();
        let ids: HashSet<_> = self.store.entries().map(|(_, entry)| entry.id).collect();
        let lost = self.open.values().filter(|under| under.lost.is_some() && under.settled.is_none()).count();
        assert!(ids.len() == self.store.entries().count(), "one entry for each id");
        assert_eq!(ids.len(), self.settled.len() + lost + self.gone.len(), "one entry for each request");
        assert!(self.store.promises.keys().eq(self.open.keys()));
        if let Some(budget) = self.terms.as_ref().and_then(|terms| terms.budget) {
            let here = self.honest.values().filter(|(at, _)| period(budget.per, *at) == period(budget.per, time));
            let open = self.open.iter().filter(|(id, _)| !self.older.contains(*id)).map(|(_, under)| under.held(time));
            assert!(here.map(|(_, cost)| cost).sum::<u64>() + open.sum::<u64>() <= budget.nanos);
        }
    }
}

fn id() -> impl Strategy<Value = String> {
    (0u8..40).prop_map(|number| format!("id-{number}"))
}

fn model() -> impl Strategy<Value = String> {
    prop_oneof![Just("a-1"), Just("a-2"), Just("b")].prop_map(str::to_owned)
}

/// Often no limit, now and then nothing, else a few.
fn some(most: u64) -> impl Strategy<Value = Option<u64>> {
    prop_oneof![8 => Just(None), 1 => Just(Some(0)), 11 => (0..=most).prop_map(Some)]
}

fn terms() -> impl Strategy<Value = Terms> {
    let per = prop_oneof![Just(Period::Day), Just(Period::Week), Just(Period::Month), Just(Period::Total)];
    let budget = prop_oneof![1 => Just(None), 3 => (0u64..200, per, any::<bool>()).prop_map(|(nanos, per, fit)| Some(Budget { nanos, per, fit }))];
    let models = prop_oneof![3 => Just(Vec::new()), 1 => Just(vec!["a-*".to_owned()])];
    let end = prop_oneof![5 => Just(None), 1 => (0u64..600_000).prop_map(|more| Some(EVE + more))];
    ((some(5), some(100), some(5), some(100)), budget, models, end, prop::bool::weighted(0.95)).prop_map(
        |(
            (requests_per_minute, tokens_per_minute, concurrent, max_body_bytes),
            budget,
            models,
            expires_at,
            enabled,
        )| Terms {
            enabled,
            expires_at,
            models,
            requests_per_minute,
            tokens_per_minute,
            concurrent,
            budget,
            max_body_bytes,
            parent: None,
        },
    )
}

fn admit() -> impl Strategy<Value = Order> {
    let life = prop_oneof![Just(0u64), Just(1_000), Just(60_000), Just(60_300), Just(600_000)];
    let hash = prop_oneof![8 => Just(Some("hash")), 8 => Just(None), 1 => Just(Some("other"))];
    let draft =
        prop::option::weighted(0.9, entry().prop_map(|entry| Box::new(Entry { outcome: LOST.into(), ..entry })));
    let astray = prop::option::weighted(0.05, Just("models".to_owned()));
    let rest = (prop::option::weighted(0.3, answer()), astray, any::<bool>(), draft);
    (id(), hash, model(), 0u64..110, 0u64..60, prop::option::weighted(0.9, 0u64..60), life, rest).prop_map(
        |(id, hash, model, body, tokens, cost, life, (answer, astray, fit, draft))| {
            let tokens = tokens + answer.as_ref().map_or(0, |answer| answer.limit * answer.drawn);
            let cost = answer.as_ref().map(|answer| answer.cost(answer.limit)).or(cost);
            let (hash, models) = (hash.map(str::to_owned), vec![model]);
            Order::Admit(Ask { id, hash, models, body, tokens, cost, life, answer, astray, fit, draft })
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    (0u64..30, 0u64..3_000, 1u64..3, 1u64..90, 1u64..20, any::<bool>()).prop_map(
        |(besides, each, drawn, limit, least, settable)| Answer { besides, each, drawn, limit, least, settable },
    )
}

fn renew() -> impl Strategy<Value = Order> {
    (id(), 0u64..40, prop::option::weighted(0.9, 0u64..60)).prop_map(|(id, output, cost)| {
        let tokens = Tokens { fresh: 3, output, ..Tokens::default() };
        Order::Renew { id, tokens, cost }
    })
}

fn settle() -> impl Strategy<Value = Order> {
    prop::collection::vec(entry(), 1..4).prop_map(Order::Settle)
}

fn entry() -> impl Strategy<Value = Entry> {
    let tokens = prop::option::weighted(0.9, (0u64..40, 0u64..40));
    let outcome = prop_oneof![Just("complete"), Just("cut")];
    (id(), model(), tokens, prop::option::weighted(0.8, 0u64..60), outcome, any::<(bool, bool)>(), 0u64..90_000)
        .prop_map(|(id, model, tokens, cost, outcome, (member, estimated), ago)| {
            Entry {
                id,
                provider: "p".to_owned(),
                model,
                // By another clock.
                started: EVE - ago,
                outcome: outcome.to_owned(),
                tokens: tokens.map(|(fresh, output)| Tokens { fresh, output, ..Tokens::default() }),
                estimated,
                member,
                cost,
                ..Entry::default()
            }
        })
}

fn post() -> impl Strategy<Value = Order> {
    terms().prop_map(|terms| Order::Post { hash: "hash".to_owned(), terms, version: 1 })
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![6 => Just(Fate::Well), 2 => Just(Fate::Crash), 1 => Just(Fate::LostReply), 1 => Just(Fate::LostWrites)];
    let (admit, settle, renew) = (admit().boxed(), settle().boxed(), renew().boxed());
    let release = id().prop_map(Order::Release).boxed();
    let order = prop_oneof![12 => admit, 6 => settle, 4 => renew, 2 => release, 1 => post().boxed()].boxed();
    let pass = prop_oneof![
        4 => Just(0u64),
        4 => 1u64..300,
        4 => 300u64..20_000,
        2 => 59_000u64..76_000,
        1 => 74_999u64..75_002,
        1 => 299_000u64..301_000,
        1 => 600_000u64..10_000_000,
        1 => (1u64..9).prop_map(|days| days * date::DAY),
    ];
    prop_oneof![
        6 => (order, fate).prop_map(|(order, fate)| Step::Order(order, fate)),
        3 => pass.prop_map(Step::Pass),
        1 => (1u64..6).prop_map(Step::Back),
    ]
}

/// The first asks for as much as there is; then anything.
fn history() -> impl Strategy<Value = Vec<Step>> {
    (post(), prop::collection::vec(step(), 1..150)).prop_map(|(post, mut steps)| {
        steps.insert(0, Step::Order(post, Fate::Well));
        steps
    })
}

/// Amounts and times at the edges of what can be counted.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(EVE), Just(u64::MAX / 2), Just(u64::MAX - 1), Just(u64::MAX)]
}

/// Any text, and texts that mean something to JSON, SQL and patterns.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("\"}],\"cost\":0,\"id\":\"\\".to_owned()),
        Just("'); DROP TABLE promises; --\0".to_owned()),
        Just("\u{2028}\u{feff}\u{1F600}*".to_owned()),
        Just("(other)".to_owned()),
    ]
}

fn extreme() -> impl Strategy<Value = Order> {
    let maybe = || prop::option::of(edge());
    let terms =
        (maybe(), maybe(), maybe(), maybe(), maybe(), hostile()).prop_map(|(end, rpm, tpm, body, nanos, text)| Terms {
            expires_at: end,
            models: vec![text.clone(), "*".to_owned()],
            requests_per_minute: rpm,
            tokens_per_minute: tpm,
            max_body_bytes: body,
            budget: nanos.map(|nanos| Budget { nanos, per: Period::Month, fit: true }),
            parent: Some(text),
            ..Terms::default()
        });
    let ask = (hostile(), edge(), edge(), maybe(), edge()).prop_map(|(id, body, tokens, cost, life)| {
        let answer = Answer { besides: body, each: tokens, drawn: life, limit: body, least: tokens, settable: true };
        let (astray, answer) = (Some(id.clone()).filter(|id| id.len() > 3), Some(answer));
        let tally = Some(Tokens { fresh: tokens, ..Tokens::default() });
        let draft = Entry { model: id.clone(), outcome: LOST.into(), tokens: tally, cost, ..Entry::default() };
        let draft = Some(Box::new(draft));
        let models = vec![id.clone()];
        Order::Admit(Ask { models, id, body, tokens, cost, life, answer, astray, draft, ..Ask::default() })
    });
    let renew = (hostile(), edge(), maybe()).prop_map(|(id, output, cost)| Order::Renew {
        id,
        tokens: Tokens { output, ..Tokens::default() },
        cost,
    });
    let tokens = || (edge(), edge(), edge(), edge());
    let entry = (hostile(), hostile(), hostile(), tokens(), edge(), maybe()).prop_map(
        |(id, model, outcome, (fresh, cache_read, cache_write, output), started, cost)| {
            let (cache_write_1h, reasoning) = (cache_write, output);
            let tokens = Some(Tokens { fresh, cache_read, cache_write, cache_write_1h, output, reasoning });
            let provider = model.clone();
            let served = Some(outcome.clone());
            Order::Settle(vec![Entry {
                id,
                provider,
                model,
                served,
                outcome,
                tokens,
                started,
                cost,
                ..Entry::default()
            }])
        },
    );
    let usage = (edge(), edge()).prop_map(|(from, to)| Order::Usage { from, to });
    let post = (hostile(), terms).prop_map(|(hash, terms)| Order::Post { hash, terms, version: 1 });
    // Boxed: a stack holds no five such orders at once.
    prop_oneof![2 => post.boxed(), 6 => ask.boxed(), 6 => entry.boxed(), 2 => renew.boxed(), 1 => usage.boxed()].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_are_right(steps in history()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
    }

    /// What overflows counts as much as can be counted, and no text becomes another on its way through the store.
    #[test]
    fn no_amount_and_no_text_breaks_the_books(steps in prop::collection::vec((extreme(), edge(), any::<bool>()), 1..40)) {
        let (mut book, mut store) = (Book::default(), Store::default());
        for (order, now, crash) in steps {
            let order: Order = serde_json::from_str(&serde_json::to_string(&order).unwrap()).unwrap();
            let mut writes = Vec::new();
            let reply = book.obey(order.clone(), now, &mut writes);
            prop_assert_eq!(&serde_json::from_str::<Reply>(&serde_json::to_string(&reply).unwrap()).unwrap(), &reply);
            store.write(&writes);
            match order {
                Order::Settle(entries) => {
                    let told = |entry: &Entry| entry.outcome == LOST || entries.contains(&Entry { promise: None, ..entry.clone() });
                    for write in &writes {
                        match write {
                            Write::Entries(row) => prop_assert!(row.read().iter().all(told)),
                            Write::Truth(_, _, truth) => prop_assert!(told(truth)),
                            _ => {}
                        }
                    }
                }
                Order::Admit(ask) if writes.iter().any(|write| matches!(write, Write::Promise(id, _) if *id == ask.id)) => {
                    let void = writes.contains(&Write::Void(ask.id.clone()));
                    prop_assert!(void || store.promises.contains_key(&ask.id));
                }
                _ => {}
            }
            let usage = store.usage(&mut book, now);
            if crash {
                book = store.open(now);
            }
            prop_assert_eq!(store.usage(&mut book, now), usage);
        }
    }
}
