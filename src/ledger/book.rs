//! The book of one account. Everything in it can be made anew from what it told to write down.

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Totals};
use super::order::{Ask, Gauge, Gauges, Order, Refusal, Reply, Report};
use super::spent::{Spent, day_of};
use super::terms::Terms;
use super::window::{SPAN, Window};
use crate::config::{Millis, Nanos};

/// The sums stand beside every so many entries, so that no more have to be read to have them again.
const CHECKPOINT: u64 = 50;
/// Names of models that a day's sums tell apart, for each provider: callers may invent names.
const MOST_MODELS: usize = 200;
/// All others.
const OTHER_MODELS: &str = "(other)";
/// So long after it was settled, a request may be settled again without effect. The gateway gives up repeating an order far earlier.
const REMEMBERED: Millis = 300_000;

/// The book of one account.
#[derive(Debug, Default)]
pub struct Book {
    /// The SHA-256 of the key, in hex; none for a key that stands in the gateway's own variables.
    hash: Option<String>,
    terms: Terms,
    /// By the id of the request.
    open: BTreeMap<String, Promise>,
    /// The sum of the promises.
    promised: Nanos,
    requests: Window,
    tokens: Window,
    sums: Sums,
    /// The number of the last entry.
    last: u64,
    settled: HashSet<String>,
    settled_at: VecDeque<(Millis, String)>,
}

/// What is promised to a request under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    at: Millis,
    until: Millis,
    tokens: u64,
    cost: Nanos,
}

/// Sums that entries add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    spent: Spent,
    day: u64,
    /// Of that day, by provider and model.
    models: BTreeMap<String, BTreeMap<String, Totals>>,
}

/// Something to be written down. All that one order gives is written together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The key and its terms, in the place of others.
    Terms(String),
    /// A promise to a request.
    Promise(String, String),
    /// It is void.
    Void(String),
    /// Entries.
    Entries(Row),
    /// The sums of a day that is over.
    Day(u64, String),
}

/// Entries as they are kept: those that came in one order, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The number of its last entry; numbers have no gaps.
    pub number: u64,
    /// When it was written.
    pub at: Millis,
    /// The entries.
    pub entries: String,
    /// The sums with it, now and then.
    pub sums: Option<String>,
}

/// What was written down before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// As [`Write::Terms`].
    pub terms: Option<String>,
    /// As [`Write::Promise`].
    pub promises: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct Posted {
    hash: String,
    terms: Terms,
}

impl Row {
    /// The entries, in the order of their numbers.
    pub fn read(&self) -> Vec<Entry> {
        serde_json::from_str(&self.entries).unwrap_or_default()
    }
}

impl Book {
    /// Opens the book again. `rows` gives entries, the newest first, and is asked for no more than are needed.
    pub fn open(kept: Kept, rows: impl Iterator<Item = Row>, now: Millis) -> Self {
        let mut book = Self::default();
        if let Some(posted) = kept.terms.and_then(|text| serde_json::from_str::<Posted>(&text).ok()) {
            (book.hash, book.terms) = (Some(posted.hash), posted.terms);
        }
        for (id, text) in kept.promises {
            let Ok(promise) = serde_json::from_str::<Promise>(&text) else { continue };
            book.promised = book.promised.saturating_add(promise.cost);
            book.open.insert(id, promise);
        }
        let mut taken: Vec<_> = book.open.values().map(|promise| (promise.at, promise.tokens)).collect();
        let (mut uncounted, mut counted, mut remembered) = (Vec::new(), false, Vec::new());
        for row in rows {
            if counted && row.at.saturating_add(REMEMBERED) < now {
                break;
            }
            book.last = book.last.max(row.number);
            let entries = row.read();
            for entry in &entries {
                taken.push((entry.started, entry.tokens.unwrap_or_default().sum()));
                remembered.push((row.at, entry.id.clone()));
            }
            match row.sums.and_then(|text| serde_json::from_str(&text).ok()) {
                Some(sums) if !counted => {
                    counted = true;
                    book.sums = sums;
                }
                _ if !counted => uncounted.push((row.at, entries)),
                _ => {}
            }
        }
        for (at, id) in remembered.into_iter().rev() {
            book.remember(at, id);
        }
        for (at, entries) in uncounted.into_iter().rev() {
            book.sums.roll(at);
            entries.iter().for_each(|entry| book.sums.count(at, entry, entry.cost.unwrap_or(0)));
        }
        taken.sort_unstable();
        for (at, tokens) in taken.into_iter().filter(|(at, _)| at + SPAN > now) {
            book.requests.take(at, 1);
            book.tokens.take(at, tokens);
        }
        book
    }

    /// Carries out an order. What is to be written goes to `writes`; an answer counts only when it has been written.
    pub fn obey(&mut self, order: Order, now: Millis, writes: &mut Vec<Write>) -> Reply {
        match order {
            Order::Admit(ask) => self.admit(&ask, now, writes),
            Order::Look(hash) => self.look(&hash, now),
            Order::Settle(entries) => self.settle_all(&entries, now, writes),
            Order::Release(id) => self.release(&id, writes),
            Order::Post { hash, terms } => self.post(hash, terms, writes),
            Order::Usage { from, to } => Reply::Usage(self.usage(from, to)),
            Order::Entries { .. } => Reply::Confused,
        }
    }

    fn post(&mut self, hash: String, terms: Terms, writes: &mut Vec<Write>) -> Reply {
        let posted = Posted { hash, terms };
        writes.push(Write::Terms(serde_json::to_string(&posted).unwrap_or_default()));
        (self.hash, self.terms) = (Some(posted.hash), posted.terms);
        Reply::Done
    }

    fn admit(&mut self, ask: &Ask, now: Millis, writes: &mut Vec<Write>) -> Reply {
        self.forget(now, writes);
        // An order that is repeated, because its answer was lost, is answered as it was.
        if self.open.contains_key(&ask.id) {
            return Reply::Granted { terms: self.terms.clone(), gauges: self.gauges(now) };
        }
        match self.refusal(ask, now) {
            Err(refusal) => Reply::Refused { refusal, gauges: self.gauges(now) },
            Ok(tokens) => {
                self.promise(ask, tokens, now, writes);
                Reply::Granted { terms: self.terms.clone(), gauges: self.gauges(now) }
            }
        }
    }

    /// The tokens to be promised, if nothing speaks against it.
    fn refusal(&mut self, ask: &Ask, now: Millis) -> Result<u64, Refusal> {
        let known = self.hash.is_some() && ask.hash.as_ref().is_none_or(|hash| Some(hash) == self.hash.as_ref());
        if !known {
            return Err(Refusal::Unknown);
        }
        if !self.terms.are_valid(now) {
            return Err(Refusal::Ended);
        }
        let models: Vec<&str> = ask.models.iter().map(String::as_str).collect();
        if !self.terms.allow_model(&models) {
            return Err(Refusal::Model);
        }
        if let Some(limit) = self.terms.max_body_bytes.filter(|limit| ask.body > *limit) {
            return Err(Refusal::Body { limit });
        }
        if let Some(limit) = self.terms.concurrent.filter(|limit| self.open.len() as u64 >= *limit) {
            return Err(Refusal::Concurrent { limit });
        }
        if let Some(limit) = self.terms.requests_per_minute {
            match self.requests.wait(now, 1, limit) {
                Some(0) => {}
                wait => return Err(Refusal::Requests { wait: wait.unwrap_or(SPAN) }),
            }
        }
        self.refuse_cost(ask, now)?;
        // A request that could take more than a whole minute's tokens may run when it has the minute to itself.
        let tokens = self.terms.tokens_per_minute.map_or(ask.tokens, |limit| ask.tokens.min(limit));
        if let Some(limit) = self.terms.tokens_per_minute {
            match self.tokens.wait(now, tokens, limit) {
                Some(0) => {}
                wait => return Err(Refusal::Tokens { wait: wait.unwrap_or(SPAN) }),
            }
        }
        Ok(tokens)
    }

    fn refuse_cost(&self, ask: &Ask, now: Millis) -> Result<(), Refusal> {
        let Some(budget) = self.terms.budget else { return Ok(()) };
        let needed = ask.cost.ok_or(Refusal::Price)?;
        let spent = self.sums.spent.of(budget.per, now);
        let left = budget.nanos.saturating_sub(spent).saturating_sub(self.promised);
        if needed > left { Err(Refusal::Budget { needed, left, promised: self.promised }) } else { Ok(()) }
    }

    fn promise(&mut self, ask: &Ask, tokens: u64, now: Millis, writes: &mut Vec<Write>) {
        if !self.terms.are_limited() {
            return;
        }
        self.requests.take(now, 1);
        self.tokens.take(now, tokens);
        // What a key without a budget costs needs no promise.
        let cost = self.terms.budget.and(ask.cost).unwrap_or(0);
        let promise = Promise { at: now, until: now.saturating_add(ask.life), tokens, cost };
        self.promised = self.promised.saturating_add(cost);
        writes.push(Write::Promise(ask.id.clone(), serde_json::to_string(&promise).unwrap_or_default()));
        self.open.insert(ask.id.clone(), promise);
    }

    fn look(&mut self, hash: &str, now: Millis) -> Reply {
        let gauges = self.gauges(now);
        match (self.hash.as_deref() == Some(hash), self.terms.are_valid(now)) {
            (true, true) => Reply::Granted { terms: self.terms.clone(), gauges },
            (true, false) => Reply::Refused { refusal: Refusal::Ended, gauges: Gauges::default() },
            (false, _) => Reply::Refused { refusal: Refusal::Unknown, gauges: Gauges::default() },
        }
    }

    /// All entries of an order stand in one row.
    fn settle_all(&mut self, entries: &[Entry], now: Millis, writes: &mut Vec<Write>) -> Reply {
        self.forget(now, writes);
        if let Some((day, sums)) = self.sums.roll(now) {
            writes.push(Write::Day(day, sums));
        }
        let (mut fresh, mut void, mut told) = (Vec::new(), Vec::new(), true);
        for entry in entries {
            if self.settled.contains(&entry.id) {
                continue;
            }
            let cost = self.keep_promise(entry, &mut void);
            told &= cost == entry.cost.unwrap_or(0);
            self.sums.count(now, entry, cost);
            self.last += 1;
            self.remember(now, entry.id.clone());
            fresh.push(entry);
        }
        if !fresh.is_empty() {
            let due = self.last / CHECKPOINT > (self.last - fresh.len() as u64) / CHECKPOINT;
            let sums = (due || !told).then(|| serde_json::to_string(&self.sums).unwrap_or_default());
            let entries = serde_json::to_string(&fresh).unwrap_or_default();
            writes.push(Write::Entries(Row { number: self.last, at: now, entries, sums }));
        }
        writes.append(&mut void);
        Reply::Done
    }

    /// Replaces what was promised to a request by the truth; gives what it is charged.
    fn keep_promise(&mut self, entry: &Entry, void: &mut Vec<Write>) -> Nanos {
        let Some(promise) = self.open.remove(&entry.id) else { return entry.cost.unwrap_or(0) };
        void.push(Write::Void(entry.id.clone()));
        self.promised = self.promised.saturating_sub(promise.cost);
        let truth = entry.tokens.unwrap_or_default().sum();
        self.tokens.correct(promise.at, promise.tokens, truth);
        // A budget is charged with what was promised where the truth is not known.
        entry.cost.unwrap_or(promise.cost)
    }

    fn release(&mut self, id: &str, writes: &mut Vec<Write>) -> Reply {
        if let Some(promise) = self.open.remove(id) {
            writes.push(Write::Void(id.to_owned()));
            self.promised = self.promised.saturating_sub(promise.cost);
            self.tokens.correct(promise.at, promise.tokens, 0);
            self.requests.correct(promise.at, 1, 0);
        }
        Reply::Done
    }

    /// The sums of the current day; those before it are kept as they were written.
    fn usage(&self, from: u64, to: u64) -> Vec<Report> {
        if (from..=to).contains(&self.sums.day) { self.sums.reports() } else { Vec::new() }
    }

    /// The sums of a day as they were written.
    pub fn reports(day: &str) -> Vec<Report> {
        serde_json::from_str::<Sums>(day).map(|sums| sums.reports()).unwrap_or_default()
    }

    /// Lets go of promises to requests that were lost, and of ids that nobody settles again.
    fn forget(&mut self, now: Millis, writes: &mut Vec<Write>) {
        let void: Vec<String> =
            self.open.iter().filter(|(_, promise)| promise.until <= now).map(|(id, _)| id.clone()).collect();
        for id in void {
            if let Some(promise) = self.open.remove(&id) {
                self.promised = self.promised.saturating_sub(promise.cost);
                writes.push(Write::Void(id));
            }
        }
        while self.settled_at.front().is_some_and(|(at, _)| at.saturating_add(REMEMBERED) < now) {
            if let Some((_, id)) = self.settled_at.pop_front() {
                self.settled.remove(&id);
            }
        }
    }

    fn remember(&mut self, at: Millis, id: String) {
        self.settled.insert(id.clone());
        self.settled_at.push_back((at, id));
    }

    fn gauges(&mut self, now: Millis) -> Gauges {
        let gauge = |window: &mut Window, limit: Option<u64>| {
            let limit = limit?;
            Some(Gauge { limit, left: limit.saturating_sub(window.taken(now)), reset: window.reset(now) })
        };
        Gauges {
            requests: gauge(&mut self.requests, self.terms.requests_per_minute),
            tokens: gauge(&mut self.tokens, self.terms.tokens_per_minute),
        }
    }
}

impl Sums {
    /// Begins a new day, if there is one; gives the sums of the day that is over.
    fn roll(&mut self, now: Millis) -> Option<(u64, String)> {
        let day = day_of(now);
        if day <= self.day {
            return None;
        }
        let over = (!self.models.is_empty()).then(|| (self.day, serde_json::to_string(self).unwrap_or_default()));
        self.day = day;
        self.models.clear();
        over
    }

    fn count(&mut self, now: Millis, entry: &Entry, cost: Nanos) {
        self.spent.add(now, cost);
        if entry.member {
            return;
        }
        let models = self.models.entry(entry.provider.clone()).or_default();
        let known = models.len() < MOST_MODELS || models.contains_key(&entry.model);
        let model = if known { &entry.model } else { OTHER_MODELS };
        models.entry(model.to_owned()).or_default().count(entry);
    }

    fn reports(&self) -> Vec<Report> {
        let each = |provider: &String, (model, totals): (&String, &Totals)| Report {
            day: self.day,
            provider: provider.clone(),
            model: model.clone(),
            totals: totals.clone(),
        };
        self.models.iter().flat_map(|(provider, models)| models.iter().map(move |row| each(provider, row))).collect()
    }
}
