//! The book of one account. Everything in it can be made anew from what it told to write down.

mod settle;

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::counting::Counting;
use super::entry::Entry;
use super::kept::{Kept, Row};
use super::order::{Ask, Gauge, Gauges, Order, Refusal, Reply, Report};
use super::promise::{LEASE, Lease, Promise, Promises, REMEMBERED};
use super::spent::day_of;
use super::sums::Sums;
use super::terms::Terms;
use super::window::{MEMORY, SPAN, Window};
use super::write::{Write, written};
use crate::config::{Millis, Nanos};

/// The sums stand in every so many entries, so that no more have to be read to have them again.
const CHECKPOINT: u64 = 50;
/// Entries that are read again whatever the sums say: all that are remembered, and a minute more, as the clock may fall back.
const REREAD: Millis = REMEMBERED + SPAN;

/// The book of one account.
#[derive(Debug, Default)]
pub struct Book {
    /// The SHA-256 of the key, in hex; none for a key that stands in the gateway's own variables.
    hash: Option<String>,
    terms: Terms,
    version: u64,
    /// The time of the last promise or entry: for what is written down, time never runs backwards.
    latest: Millis,
    open: Promises,
    requests: Window,
    tokens: Window,
    counting: Counting,
    sums: Sums,
    /// The number of the last entry, and when that was written.
    last: u64,
    last_at: Millis,
    /// Requests whose lease was granted anew when the book was opened, which is not written yet.
    extended: Vec<String>,
    settled: HashMap<String, Millis>,
    settled_at: VecDeque<(Millis, String)>,
}

#[derive(Serialize, Deserialize)]
struct Posted {
    hash: String,
    terms: Terms,
    version: u64,
}

impl Book {
    /// Opens the book again. `rows` gives entries, the newest first, and is asked for no more than are needed.
    pub fn open(kept: Kept, rows: impl Iterator<Item = Row>, now: Millis) -> Self {
        let mut book = Self::default();
        if let Some(posted) = kept.terms.and_then(|text| serde_json::from_str::<Posted>(&text).ok()) {
            (book.hash, book.terms, book.version) = (Some(posted.hash), posted.terms, posted.version);
        }
        book.counting = kept.counting.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
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
            if row.number > book.last {
                (book.last, book.last_at) = (row.number, row.at);
            }
            book.latest = book.latest.max(row.at);
            let entries = row.read();
            for entry in &entries {
                if let Some(promise) = &entry.promise {
                    promises.push(Promise { tokens: entry.tokens.unwrap_or_default().sum(), ..promise.clone() });
                }
                // The entry of a request that is taken for lost does not keep the truth out.
                if book.open.find(&entry.id).is_none() {
                    remembered.push((row.at, entry.id.clone()));
                }
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
            entries.iter().for_each(|entry| book.sums.count(at, entry));
        }
        promises.sort_unstable_by_key(|promise| promise.at);
        for promise in promises {
            book.take(promise.at, promise.tokens);
        }
        book.extend(now);
        book
    }

    /// Grants the requests under way a lease anew: nobody could have renewed it while the book was closed. For each only once, unless it is
    /// heard of: else a book that is opened for each order would never find out that a request is lost.
    pub fn extend(&mut self, now: Millis) {
        self.extended.append(&mut self.open.extend(now.max(self.latest)));
    }

    /// Carries out an order. What is to be written goes to `writes`; an answer counts only when it has been written.
    pub fn obey(&mut self, order: Order, now: Millis, writes: &mut Vec<Write>) -> Reply {
        let now = now.max(self.latest);
        self.lapse(&order, now, writes);
        let reply = self.carry_out(order, now, writes);
        for id in std::mem::take(&mut self.extended) {
            writes.extend(self.open.find(&id).map(|promise| written(&id, promise)));
        }
        reply
    }

    fn carry_out(&mut self, order: Order, now: Millis, writes: &mut Vec<Write>) -> Reply {
        match order {
            Order::Admit(ask) => self.admit(&ask, now, writes),
            Order::Count(question) => match self.look(question.hash.as_deref(), now) {
                Reply::Granted { .. } => self.counting.admit(&question, &self.terms, self.open.count(), now, writes),
                refused => refused,
            },
            Order::Counted(id) => self.counting.end(&id, writes),
            Order::Look(hash) => self.look(Some(&hash), now),
            Order::Parent => self.look(None, now),
            Order::Settle(entries) => self.settle(entries, now, writes),
            Order::Release(id) => self.release(&id, now, writes),
            Order::Renew { id, tokens, cost } => self.renew(&id, (tokens, cost), now, writes),
            Order::Post { hash, terms, version } => self.post(Posted { hash, terms, version }, writes),
            Order::Usage { from, to } => Reply::Usage(self.usage(from, to)),
            Order::Entries { .. } => Reply::Confused,
        }
    }

    fn post(&mut self, posted: Posted, writes: &mut Vec<Write>) -> Reply {
        if posted.version >= self.version {
            writes.push(Write::Terms(serde_json::to_string(&posted).unwrap_or_default()));
            (self.hash, self.terms, self.version) = (Some(posted.hash), posted.terms, posted.version);
        }
        Reply::Done
    }

    fn admit(&mut self, ask: &Ask, now: Millis, writes: &mut Vec<Write>) -> Reply {
        // An order that is repeated, because its answer was lost, is answered as it was; even if it comes when all is over.
        if self.open.find(&ask.id).is_some() || self.is_settled(&ask.id, now) {
            let limit = self.open.find(&ask.id).and_then(|promise| promise.limit);
            return Reply::Granted { terms: self.terms.clone(), gauges: self.gauges(now), limit };
        }
        let shorter = self.left(now).and_then(|left| ask.shortened(left, self.terms.budget?.fit));
        let limit = shorter.as_ref().and_then(|ask| ask.answer.as_ref()).map(|answer| answer.limit);
        let ask = shorter.as_ref().unwrap_or(ask);
        match self.refusal(ask, now) {
            Err(refusal) => Reply::Refused { refusal, gauges: self.gauges(now) },
            Ok(tokens) => {
                self.promise(ask, (tokens, limit), now, writes);
                Reply::Granted { terms: self.terms.clone(), gauges: self.gauges(now), limit }
            }
        }
    }

    /// What neither was spent of the budget nor is promised, in nano-dollars; none without a budget.
    fn left(&self, now: Millis) -> Option<Nanos> {
        let budget = self.terms.budget?;
        Some(budget.nanos.saturating_sub(self.sums.spent.of(budget.per, now)).saturating_sub(self.open.cost()))
    }

    /// The tokens to be promised, if nothing speaks against it.
    fn refusal(&self, ask: &Ask, now: Millis) -> Result<u64, Refusal> {
        let known = self.hash.is_some() && ask.hash.as_ref().is_none_or(|hash| Some(hash) == self.hash.as_ref());
        if !known {
            return Err(Refusal::Unknown);
        }
        self.terms.refuse(&ask.models, ask.body, now)?;
        if let Some(name) = ask.astray.clone().filter(|_| self.terms.are_bound()) {
            return Err(Refusal::Astray { name });
        }
        let under_way = self.open.count().saturating_add(self.counting.under_way(now));
        if let Some(limit) = self.terms.concurrent.filter(|limit| under_way >= *limit) {
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
        let Some(left) = self.left(now) else { return Ok(()) };
        ask.refuse_cost(left, self.open.cost(), self.terms.budget.is_some_and(|budget| budget.fit))
    }

    fn promise(&mut self, ask: &Ask, (tokens, limit): (u64, Option<u64>), now: Millis, writes: &mut Vec<Write>) {
        if !self.terms.are_limited() {
            return;
        }
        // What a key without a budget costs needs no promise.
        let cost = self.terms.budget.and(ask.cost).unwrap_or(0);
        // None ends while the windows count it: without it, a book that is opened again would know less.
        let until = now.saturating_add(ask.life.max(MEMORY));
        let lease = ask.draft.clone().map(|draft| {
            let draft = Box::new(Entry { id: ask.id.clone(), promise: None, ..*draft });
            Lease { until: now.saturating_add(LEASE), extended: false, most: ask.cost, draft, lost: None }
        });
        let promise = Promise { at: now, until, tokens, cost, limit, lease };
        self.take(now, tokens);
        writes.push(written(&ask.id, &promise));
        self.open.make(&ask.id, promise);
    }

    fn take(&mut self, at: Millis, tokens: u64) {
        self.latest = self.latest.max(at);
        self.requests.take(at, 1);
        self.tokens.take(at, tokens);
    }

    /// Without a hash, any key of this account will do.
    fn look(&self, hash: Option<&str>, now: Millis) -> Reply {
        let known = self.hash.as_deref().is_some_and(|own| hash.is_none_or(|hash| hash == own));
        match (known, self.terms.are_valid(now)) {
            (true, true) => Reply::Granted { terms: self.terms.clone(), gauges: self.gauges(now), limit: None },
            (true, false) => Reply::Refused { refusal: Refusal::Ended, gauges: Gauges::default() },
            (false, _) => Reply::Refused { refusal: Refusal::Unknown, gauges: Gauges::default() },
        }
    }

    fn enter(&mut self, entries: &[Entry], now: Millis, writes: &mut Vec<Write>) {
        // With the first entry of a day stand the sums of all before it, too: older entries may go.
        let first = day_of(now) > self.sums.day;
        if let Some((day, sums)) = self.sums.roll(now) {
            writes.push(Write::Day(day, sums));
        }
        entries.iter().for_each(|entry| self.sums.count(now, entry));
        let before = self.last;
        (self.last, self.last_at) = (before.saturating_add(entries.len() as u64), now);
        let sums = first || self.last / CHECKPOINT > before / CHECKPOINT;
        let sums = sums.then(|| serde_json::to_string(&self.sums).unwrap_or_default());
        let entries = serde_json::to_string(entries).unwrap_or_default();
        writes.push(Write::Entries(Row { number: self.last, at: now, entries, sums }));
        self.latest = self.latest.max(now);
    }

    /// The sums of the current day; those before it are kept as they were written.
    fn usage(&self, from: u64, to: u64) -> Vec<Report> {
        if (from..=to).contains(&self.sums.day) { self.sums.reports() } else { Vec::new() }
    }

    /// The sums of a day as they were written.
    pub fn reports(day: &str) -> Vec<Report> {
        serde_json::from_str::<Sums>(day).map(|sums| sums.reports()).unwrap_or_default()
    }

    /// The sums of a day that is over, where an entry of it was something else than it is.
    pub fn amended(day: &str, was: &Entry, is: &Entry) -> Option<String> {
        let mut sums: Sums = serde_json::from_str(day).ok()?;
        sums.replace(was, is);
        serde_json::to_string(&sums).ok()
    }

    fn is_settled(&self, id: &str, now: Millis) -> bool {
        let replaced = self.open.find(id).and_then(Promise::lost).is_some_and(|lost| lost.settled.is_some());
        replaced || self.settled.get(id).is_some_and(|at| at.saturating_add(REMEMBERED) >= now)
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

#[cfg(test)]
mod tests {
    use super::super::entry::Tokens;
    use super::super::order::Answer;
    use super::super::terms::{Budget, Period};
    use super::*;

    const NOON: Millis = 1_780_000_000_000;

    /// A book with these terms, and the rows that it had written.
    struct Desk {
        book: Book,
        kept: Kept,
        rows: Vec<Row>,
    }

    impl Desk {
        fn new(terms: Terms) -> Self {
            let mut desk = Self { book: Book::default(), kept: Kept::default(), rows: Vec::new() };
            desk.obey(Order::Post { hash: "hash".into(), terms, version: 1 }, NOON);
            desk
        }

        fn obey(&mut self, order: Order, now: Millis) -> Reply {
            let mut writes = Vec::new();
            let reply = self.book.obey(order, now, &mut writes);
            for write in writes {
                match write {
                    Write::Terms(terms) => self.kept.terms = Some(terms),
                    Write::Promise(id, promise) => {
                        self.kept.promises.retain(|(other, _)| *other != id);
                        self.kept.promises.push((id, promise));
                    }
                    Write::Void(id) => self.kept.promises.retain(|(other, _)| *other != id),
                    Write::Counting(counting) => self.kept.counting = Some(counting),
                    Write::Entries(row) => self.rows.push(row),
                    Write::Truth(number, _, truth) => {
                        let row = self.rows.iter_mut().find(|row| row.number == number).unwrap();
                        row.entries = row.with(&truth);
                    }
                    Write::Sums(number, _, sums) => {
                        self.rows.iter_mut().find(|row| row.number == number).unwrap().sums = Some(sums);
                    }
                    Write::Day(..) | Write::Amend(..) => {}
                }
            }
            reply
        }

        fn admit(&mut self, ask: Ask, now: Millis) -> Result<(), Refusal> {
            match self.obey(Order::Admit(ask), now) {
                Reply::Granted { .. } => Ok(()),
                Reply::Refused { refusal, .. } => Err(refusal),
                other => panic!("{other:?}"),
            }
        }

        fn settle(&mut self, entry: Entry, now: Millis) {
            assert_eq!(self.obey(Order::Settle(vec![entry]), now), Reply::Done);
        }

        fn reopen(&mut self, now: Millis) {
            self.book = Book::open(self.kept.clone(), self.rows.iter().rev().cloned(), now);
        }

        fn spent(&self) -> Nanos {
            self.book.sums.spent.of(Period::Total, NOON)
        }
    }

    fn ask(id: &str, tokens: u64, cost: Nanos) -> Ask {
        let (id, cost) = (id.to_owned(), Some(cost));
        Ask { id, models: vec!["m".into(), "p/m".into()], body: 100, tokens, cost, life: 600_000, ..Ask::default() }
    }

    fn entry(id: &str, cost: Option<Nanos>) -> Entry {
        let (provider, model) = ("p".to_owned(), "m".to_owned());
        Entry { id: id.to_owned(), provider, model, outcome: "complete".into(), cost, ..Entry::default() }
    }

    fn budget(nanos: Nanos) -> Terms {
        Terms { budget: Some(Budget { nanos, per: Period::Day, fit: false }), ..Terms::default() }
    }

    /// A request of a prompt of 100 nano-dollars, and answers of two each for a token.
    fn long(id: &str, limit: u64) -> Ask {
        let answer = Answer { besides: 100, each: 1_000, drawn: 2, limit, least: 10, settable: true };
        Ask { answer: Some(answer.clone()), ..ask(id, 50 + 2 * limit, answer.cost(limit)) }
    }

    #[test]
    fn terms_that_come_late_change_nothing() {
        let mut desk = Desk::new(Terms::default());
        let (old, new) = (Terms { enabled: false, ..Terms::default() }, budget(5));
        desk.obey(Order::Post { hash: "new".into(), terms: new.clone(), version: 3 }, NOON);
        desk.reopen(NOON);
        desk.obey(Order::Post { hash: "old".into(), terms: old, version: 2 }, NOON);
        assert_eq!(desk.book.terms, new);
        assert_eq!(desk.book.hash.as_deref(), Some("new"));
    }

    #[test]
    fn each_limit_refuses_in_its_own_words() {
        let plain = Terms::default;
        let table = [
            (Terms { enabled: false, ..plain() }, Refusal::Ended),
            (Terms { expires_at: Some(NOON), ..plain() }, Refusal::Ended),
            (Terms { models: vec!["other/*".into()], ..plain() }, Refusal::Model),
            (Terms { max_body_bytes: Some(99), ..plain() }, Refusal::Body { limit: 99 }),
            (Terms { concurrent: Some(1), ..plain() }, Refusal::Concurrent { limit: 1 }),
            (Terms { concurrent: Some(0), ..plain() }, Refusal::Concurrent { limit: 0 }),
            (Terms { requests_per_minute: Some(1), ..plain() }, Refusal::Requests { wait: 60_250 }),
            (Terms { requests_per_minute: Some(0), ..plain() }, Refusal::Requests { wait: SPAN }),
            (Terms { tokens_per_minute: Some(19), ..plain() }, Refusal::Tokens { wait: 60_250 }),
            (Terms { tokens_per_minute: Some(5), ..plain() }, Refusal::Tokens { wait: 60_250 }),
            (Terms { tokens_per_minute: Some(0), ..plain() }, Refusal::Tokens { wait: SPAN }),
            (budget(13), Refusal::Budget { needed: 7, left: 6, promised: 7, largest: None, unsettable: false }),
        ];
        for (terms, refusal) in table {
            let mut desk = Desk::new(terms.clone());
            let first = desk.admit(ask("a", 10, 7), NOON);
            let kept = desk.kept.clone();
            assert_eq!(desk.admit(ask("b", 10, 7), NOON), Err(refusal.clone()), "{terms:?}");
            assert!(first.is_ok() || first == Err(refusal), "{terms:?}");
            assert_eq!(desk.kept, kept, "what is refused takes nothing");
        }
    }

    #[test]
    fn limits_refuse_nothing_that_they_allow() {
        for terms in [
            Terms { expires_at: Some(NOON + 1), models: vec!["p/*".into()], ..Terms::default() },
            Terms { max_body_bytes: Some(100), concurrent: Some(2), ..Terms::default() },
            Terms { requests_per_minute: Some(2), tokens_per_minute: Some(20), ..budget(14) },
        ] {
            let mut desk = Desk::new(terms);
            assert_eq!((desk.admit(ask("a", 10, 7), NOON), desk.admit(ask("b", 10, 7), NOON)), (Ok(()), Ok(())));
        }
    }

    #[test]
    fn a_key_is_known_by_its_hash_and_a_parent_without() {
        let asked = |hash: Option<&str>| Ask { hash: hash.map(str::to_owned), ..ask("a", 1, 1) };
        let mut desk = Desk::new(Terms::default());
        assert_eq!(desk.admit(asked(Some("hash")), NOON), Ok(()));
        assert_eq!(desk.admit(asked(None), NOON), Ok(()));
        assert_eq!(desk.admit(asked(Some("other")), NOON), Err(Refusal::Unknown));
        desk.obey(Order::Post { hash: "other".into(), terms: Terms::default(), version: 1 }, NOON);
        assert_eq!(desk.admit(asked(Some("hash")), NOON), Err(Refusal::Unknown));
        desk.book = Book::default();
        assert_eq!(desk.admit(asked(None), NOON), Err(Refusal::Unknown), "nothing was ever posted");
    }

    #[test]
    fn a_budget_asks_for_a_price() {
        let mut desk = Desk::new(budget(10));
        assert_eq!(desk.admit(Ask { cost: None, ..ask("a", 1, 1) }, NOON), Err(Refusal::Price));
        let mut desk = Desk::new(Terms { concurrent: Some(1), ..Terms::default() });
        assert_eq!(desk.admit(Ask { cost: None, ..ask("a", 1, 1) }, NOON), Ok(()));
    }

    #[test]
    fn a_refusal_for_want_of_budget_names_the_largest_limit_that_fits() {
        let mut desk = Desk::new(budget(1_000));
        let refusal = |needed, left, promised, largest| {
            Err(Refusal::Budget { needed, left, promised, largest, unsettable: false })
        };
        assert_eq!(desk.admit(long("a", 451), NOON), refusal(1_002, 1_000, 0, Some(450)));
        assert_eq!(desk.admit(long("b", 450), NOON), Ok(()));
        assert_eq!(desk.admit(long("c", 1), NOON), refusal(102, 0, 1_000, None));
    }

    #[test]
    fn a_budget_that_fits_grants_shorter_answers_and_no_money_twice() {
        let fitting = Terms { budget: Some(Budget { nanos: 1_000, per: Period::Day, fit: true }), ..Terms::default() };
        let mut desk = Desk::new(fitting);
        let mut limit = |id: &str, ask: Ask| match desk.obey(Order::Admit(ask), NOON) {
            Reply::Granted { limit, .. } => Ok((limit, desk.book.open.find(id).unwrap().cost)),
            Reply::Refused { refusal, .. } => Err(refusal),
            other => panic!("{other:?}"),
        };
        // What fits is left alone, however long; what does not gets half of what is left.
        assert_eq!(limit("a", long("a", 100)), Ok((None, 300)));
        assert_eq!(limit("b", long("b", 10_000)), Ok((Some(125), 350)));
        assert_eq!(limit("b", long("b", 10_000)), Ok((Some(125), 350)), "an order that is repeated");
        assert_eq!(limit("c", long("c", 10_000)), Ok((Some(37), 174)));
        // Half of the rest is not worth an answer, and the prompt alone is dearer.
        let refused =
            Err(Refusal::Budget { needed: 20_100, left: 176, promised: 824, largest: Some(38), unsettable: false });
        assert_eq!(limit("d", long("d", 10_000)), refused);
        let dumb = Answer { settable: false, ..long("e", 10_000).answer.unwrap() };
        assert!(limit("e", Ask { answer: Some(dumb), ..long("e", 10_000) }).is_err(), "the provider would not heed it");
    }

    #[test]
    fn a_member_whose_budget_fits_fits_into_its_teams_as_well() {
        let mut desk = Desk::new(budget(1_000));
        assert!(desk.admit(long("a", 10_000), NOON).is_err());
        let asked = desk.obey(Order::Admit(Ask { fit: true, ..long("a", 10_000) }), NOON);
        assert!(matches!(asked, Reply::Granted { limit: Some(200), .. }), "{asked:?}");
        desk.reopen(NOON);
        let again = desk.obey(Order::Admit(Ask { fit: true, ..long("a", 10_000) }), NOON);
        assert!(matches!(again, Reply::Granted { limit: Some(200), .. }), "{again:?}");
    }

    #[test]
    fn a_field_that_leads_elsewhere_is_refused_where_it_matters() {
        let led = |id: &str| Ask { astray: Some("models".into()), ..ask(id, 1, 1) };
        let refused = Err(Refusal::Astray { name: "models".into() });
        for terms in [Terms { models: vec!["m".into()], ..Terms::default() }, budget(10)] {
            assert_eq!(Desk::new(terms).admit(led("a"), NOON), refused);
        }
        assert_eq!(Desk::new(Terms { concurrent: Some(1), ..Terms::default() }).admit(led("a"), NOON), Ok(()));
    }

    #[test]
    fn a_key_without_limits_writes_no_promise() {
        let mut desk = Desk::new(Terms { models: vec!["m".into()], max_body_bytes: Some(1_000), ..Terms::default() });
        assert_eq!(desk.admit(ask("a", 1, 1), NOON), Ok(()));
        assert!(desk.kept.promises.is_empty());
        desk.settle(entry("a", Some(1)), NOON);
        assert_eq!(desk.spent(), 1);
    }

    #[test]
    fn a_members_entry_counts_against_the_budget_alone() {
        let mut desk = Desk::new(budget(10));
        assert_eq!(desk.admit(ask("a", 1, 8), NOON), Ok(()));
        desk.settle(Entry { member: true, ..entry("a", Some(7)) }, NOON);
        for _ in 0..2 {
            assert_eq!(desk.obey(Order::Usage { from: 0, to: u64::MAX }, NOON), Reply::Usage(Vec::new()));
            let refusal = Refusal::Budget { needed: 4, left: 3, promised: 0, largest: None, unsettable: false };
            assert_eq!(desk.admit(ask("b", 1, 4), NOON), Err(refusal));
            desk.reopen(NOON);
        }
    }

    #[test]
    fn an_unknown_cost_is_charged_as_promised_and_stays_so() {
        let mut desk = Desk::new(budget(10));
        desk.settle(entry("before", Some(1)), NOON);
        assert_eq!(desk.admit(ask("a", 1, 6), NOON), Ok(()));
        desk.settle(entry("a", None), NOON);
        for _ in 0..2 {
            assert_eq!(desk.spent(), 7);
            let Reply::Usage(reports) = desk.obey(Order::Usage { from: 0, to: u64::MAX }, NOON) else { panic!() };
            assert_eq!((reports[0].totals.cost, reports[0].totals.unpriced), (1, 1), "sums say what is known");
            desk.reopen(NOON);
        }
    }

    #[test]
    fn a_lost_request_frees_its_promise_and_still_pays_when_it_comes() {
        let terms = Terms { concurrent: Some(1), ..budget(10) };
        let mut desk = Desk::new(terms);
        assert_eq!(desk.admit(ask("a", 1, 8), NOON), Ok(()));
        assert_eq!(desk.admit(ask("b", 1, 8), NOON + 599_999), Err(Refusal::Concurrent { limit: 1 }));
        assert_eq!(desk.admit(ask("b", 1, 8), NOON + 600_000), Ok(()));
        desk.settle(entry("a", Some(8)), NOON + 600_001);
        desk.settle(entry("b", Some(8)), NOON + 600_002);
        for _ in 0..2 {
            assert_eq!((desk.spent(), desk.book.open.cost(), desk.rows.len()), (16, 0, 2));
            desk.reopen(NOON + 600_003);
        }
    }

    #[test]
    fn an_order_that_is_repeated_has_no_effect() {
        let mut desk = Desk::new(Terms { requests_per_minute: Some(2), concurrent: Some(1), ..budget(10) });
        for _ in 0..3 {
            assert_eq!(desk.admit(ask("a", 1, 8), NOON), Ok(()));
            desk.reopen(NOON);
        }
        for _ in 0..3 {
            desk.settle(entry("a", Some(8)), NOON + 1);
            desk.reopen(NOON + 1);
        }
        assert_eq!((desk.admit(ask("a", 1, 8), NOON + 2), desk.kept.promises.len()), (Ok(()), 0), "it was too late");
        assert_eq!((desk.spent(), desk.rows.len(), desk.book.requests.taken(NOON + 2)), (8, 1, 1));
    }

    #[test]
    fn a_day_tells_two_hundred_models_apart_and_sums_the_rest() {
        let mut desk = Desk::new(Terms::default());
        for number in 0..250 {
            let tokens = Some(Tokens { fresh: 1, ..Tokens::default() });
            let model = format!("m-{:03}", number % 230);
            desk.settle(Entry { model, tokens, ..entry(&format!("id-{number}"), Some(1)) }, NOON);
        }
        for _ in 0..2 {
            let Reply::Usage(reports) = desk.obey(Order::Usage { from: 0, to: u64::MAX }, NOON) else { panic!() };
            assert_eq!((reports.len(), reports[0].model.as_str(), reports[0].totals.requests), (201, "(other)", 30));
            assert_eq!((reports[1].model.as_str(), reports[1].totals.requests), ("m-000", 2));
            assert_eq!(reports.iter().map(|report| report.totals.cost).sum::<Nanos>(), 250);
            desk.reopen(NOON);
        }
    }

    #[test]
    fn entries_of_earlier_days_may_go() {
        let mut desk = Desk::new(budget(10));
        desk.settle(entry("a", Some(3)), NOON);
        desk.settle(Entry { member: true, ..entry("b", Some(4)) }, NOON);
        desk.settle(entry("c", Some(5)), NOON + 86_400_000);
        desk.rows.drain(..2);
        desk.reopen(NOON + 86_400_000);
        assert_eq!((desk.spent(), desk.book.last), (12, 3));
    }

    #[test]
    fn a_clock_that_falls_back_over_midnight_spends_no_budget_twice() {
        let midnight = day_of(NOON) * 86_400_000 + 86_400_000;
        let mut desk = Desk::new(budget(10));
        for (id, now) in [("a", midnight + 1), ("b", midnight - 1)] {
            assert_eq!(desk.admit(ask(id, 1, 5), now), Ok(()));
            desk.settle(entry(id, Some(5)), now);
            desk.reopen(midnight - 1);
        }
        let refusal = Refusal::Budget { needed: 1, left: 0, promised: 0, largest: None, unsettable: false };
        assert_eq!(desk.admit(ask("c", 1, 1), midnight + 2), Err(refusal));
    }
}
