//! The book of one account. Everything in it can be made anew from what it told to write down.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Totals};
use super::order::{Ask, Gauge, Gauges, Order, Refusal, Reply, Report};
use super::promise::{Promise, Promises};
use super::spent::{Spent, day_of};
use super::terms::Terms;
use super::window::{MEMORY, SPAN, Window};
use crate::config::Millis;

/// The sums stand in every so many entries, so that no more have to be read to have them again.
const CHECKPOINT: u64 = 50;
/// Names of models that a day's sums tell apart, for each provider: callers may invent names.
const MOST_MODELS: usize = 200;
/// All others.
const OTHER_MODELS: &str = "(other)";
/// So long after it was settled, a request may be settled again without effect. The gateway gives up repeating an order far earlier.
const REMEMBERED: Millis = 300_000;
/// Entries that are read again whatever the sums say: all that are remembered, and a minute more, as the clock may fall back.
const REREAD: Millis = REMEMBERED + SPAN;

/// The book of one account.
#[derive(Debug, Default)]
pub struct Book {
    /// The SHA-256 of the key, in hex; none for a key that stands in the gateway's own variables.
    hash: Option<String>,
    terms: Terms,
    /// The time of the last promise or entry: for what is written down, time never runs backwards.
    latest: Millis,
    open: Promises,
    requests: Window,
    tokens: Window,
    sums: Sums,
    /// The number of the last entry.
    last: u64,
    settled: HashMap<String, Millis>,
    settled_at: VecDeque<(Millis, String)>,
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
    /// An entry.
    Entry(Row),
    /// The sums of a day that is over.
    Day(u64, String),
}

/// An entry as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its number: one more than the last.
    pub number: u64,
    /// When it was written.
    pub at: Millis,
    /// The entry.
    pub entry: String,
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

impl Book {
    /// Opens the book again. `rows` gives entries, the newest first, and is asked for no more than are needed.
    pub fn open(kept: Kept, rows: impl Iterator<Item = Row>, now: Millis) -> Self {
        let mut book = Self::default();
        if let Some(posted) = kept.terms.and_then(|text| serde_json::from_str::<Posted>(&text).ok()) {
            (book.hash, book.terms) = (Some(posted.hash), posted.terms);
        }
        for (id, text) in kept.promises {
            if let Ok(promise) = serde_json::from_str(&text) {
                book.open.make(&id, promise);
            }
        }
        let mut promises: Vec<Promise> = book.open.iter().cloned().collect();
        let (mut uncounted, mut counted, mut remembered) = (Vec::new(), false, Vec::new());
        for row in rows {
            if counted && row.at.saturating_add(REREAD) < now {
                break;
            }
            (book.last, book.latest) = (book.last.max(row.number), book.latest.max(row.at));
            let Ok(entry) = serde_json::from_str::<Entry>(&row.entry) else { continue };
            if let Some(promise) = &entry.promise {
                promises.push(Promise { tokens: entry.tokens.unwrap_or_default().sum(), ..promise.clone() });
            }
            remembered.push((row.at, entry.id.clone()));
            match row.sums.and_then(|text| serde_json::from_str(&text).ok()) {
                Some(sums) if !counted => {
                    counted = true;
                    book.sums = sums;
                }
                _ if !counted => uncounted.push((row.at, entry)),
                _ => {}
            }
        }
        for (at, id) in remembered.into_iter().rev() {
            book.remember(at, id);
        }
        for (at, entry) in uncounted.into_iter().rev() {
            book.sums.roll(at);
            book.sums.count(at, &entry);
        }
        promises.sort_unstable_by_key(|promise| promise.at);
        for promise in promises {
            book.take(promise.at, promise.tokens);
        }
        book
    }

    /// Carries out an order. What is to be written goes to `writes`; an answer counts only when it has been written.
    pub fn obey(&mut self, order: Order, now: Millis, writes: &mut Vec<Write>) -> Reply {
        let now = now.max(self.latest);
        match order {
            Order::Admit(ask) => self.admit(&ask, now, writes),
            Order::Settle(entry) => self.settle(*entry, now, writes),
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
        self.void(now, writes);
        // An order that is repeated, because its answer was lost, is answered as it was; even if it comes when all is over.
        if self.open.contain(&ask.id) || self.is_settled(&ask.id, now) {
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
    fn refusal(&self, ask: &Ask, now: Millis) -> Result<u64, Refusal> {
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
        if let Some(limit) = self.terms.concurrent.filter(|limit| self.open.count() >= *limit) {
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
                // Not even such a minute has room for one where no token is allowed.
                Some(0) if limit > 0 => {}
                wait => return Err(Refusal::Tokens { wait: wait.filter(|wait| *wait > 0).unwrap_or(SPAN) }),
            }
        }
        Ok(tokens)
    }

    fn refuse_cost(&self, ask: &Ask, now: Millis) -> Result<(), Refusal> {
        let Some(budget) = self.terms.budget else { return Ok(()) };
        let needed = ask.cost.ok_or(Refusal::Price)?;
        let spent = self.sums.spent.of(budget.per, now);
        let left = budget.nanos.saturating_sub(spent).saturating_sub(self.open.cost());
        if needed > left { Err(Refusal::Budget { needed, left, promised: self.open.cost() }) } else { Ok(()) }
    }

    fn promise(&mut self, ask: &Ask, tokens: u64, now: Millis, writes: &mut Vec<Write>) {
        if !self.terms.are_limited() {
            return;
        }
        // What a key without a budget costs needs no promise.
        let cost = self.terms.budget.and(ask.cost).unwrap_or(0);
        // None ends while the windows count it: without it, a book that is opened again would know less.
        let until = now.saturating_add(ask.life.max(MEMORY));
        let promise = Promise { at: now, until, tokens, cost };
        self.take(now, tokens);
        writes.push(Write::Promise(ask.id.clone(), serde_json::to_string(&promise).unwrap_or_default()));
        self.open.make(&ask.id, promise);
    }

    fn take(&mut self, at: Millis, tokens: u64) {
        self.latest = self.latest.max(at);
        self.requests.take(at, 1);
        self.tokens.take(at, tokens);
    }

    fn settle(&mut self, mut entry: Entry, now: Millis, writes: &mut Vec<Write>) -> Reply {
        self.void(now, writes);
        if self.is_settled(&entry.id, now) {
            return Reply::Done;
        }
        entry.promise = self.open.take(&entry.id);
        if let Some(promise) = &entry.promise {
            writes.push(Write::Void(entry.id.clone()));
            self.tokens.correct(promise.at, promise.tokens, entry.tokens.unwrap_or_default().sum());
        }
        // With the first entry of a day stand the sums of all before it, too: older entries may go.
        let first = day_of(now) > self.sums.day;
        if let Some((day, sums)) = self.sums.roll(now) {
            writes.push(Write::Day(day, sums));
        }
        self.sums.count(now, &entry);
        self.last = self.last.saturating_add(1);
        let sums = first || self.last.is_multiple_of(CHECKPOINT);
        let sums = sums.then(|| serde_json::to_string(&self.sums).unwrap_or_default());
        let text = serde_json::to_string(&entry).unwrap_or_default();
        writes.push(Write::Entry(Row { number: self.last, at: now, entry: text, sums }));
        self.latest = self.latest.max(now);
        self.remember(now, entry.id);
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

    /// Lets go of promises to requests that were lost.
    fn void(&mut self, now: Millis, writes: &mut Vec<Write>) {
        writes.extend(std::iter::from_fn(|| self.open.take_lost(now)).map(Write::Void));
    }

    fn is_settled(&self, id: &str, now: Millis) -> bool {
        self.settled.get(id).is_some_and(|at| at.saturating_add(REMEMBERED) >= now)
    }

    /// Remembers an id that was settled, and lets go of those that nobody settles again.
    fn remember(&mut self, at: Millis, id: String) {
        while self.settled_at.front().is_some_and(|(then, _)| then.saturating_add(REMEMBERED) < at) {
            if let Some((_, id)) = self.settled_at.pop_front() {
                self.settled.remove(&id);
            }
        }
        self.settled.insert(id.clone(), at);
        self.settled_at.push_back((at, id));
    }

    fn gauges(&self, now: Millis) -> Gauges {
        let gauge = |window: &Window, limit: Option<u64>| {
            let limit = limit?;
            Some(Gauge { limit, left: limit.saturating_sub(window.taken(now)), reset: window.reset(now) })
        };
        Gauges {
            requests: gauge(&self.requests, self.terms.requests_per_minute),
            tokens: gauge(&self.tokens, self.terms.tokens_per_minute),
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

    fn count(&mut self, now: Millis, entry: &Entry) {
        self.spent.add(now, entry.charge());
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
