//! A book, order by order: what it grants, refuses, charges and remembers.

use super::super::entry::{LOST, Tokens};
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
    let refusal =
        |needed, left, promised, largest| Err(Refusal::Budget { needed, left, promised, largest, unsettable: false });
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

/// A promise as builds wrote it that knew no leases.
const OLD_PROMISE: &str = r#"{"at":1780000000000,"until":1780000600000,"tokens":50,"cost":8}"#;

/// A book in which such a promise stands.
fn old_book(terms: Terms) -> Desk {
    let mut desk = Desk::new(terms);
    desk.kept.promises.push(("a".into(), OLD_PROMISE.into()));
    desk.reopen(NOON + 1_000);
    desk
}

#[test]
fn a_promise_from_before_there_were_leases_holds_until_its_time_is_over_and_is_then_lost_once() {
    let mut desk = old_book(Terms { concurrent: Some(1), ..budget(20) });
    // Nobody renews it: it is not lost before, however often the book is opened.
    for now in [NOON + 1_000, NOON + 80_000, NOON + 400_000, NOON + 599_999] {
        assert_eq!(desk.admit(ask("b", 1, 8), now), Err(Refusal::Concurrent { limit: 1 }));
        assert_eq!((desk.book.open.cost(), desk.rows.len()), (8, 0));
        desk.reopen(now);
    }
    for _ in 0..2 {
        assert_eq!(desk.admit(ask("b", 1, 8), NOON + 600_000), Ok(()));
        let lost = desk.rows[0].read().remove(0);
        let (promise, charge) = (lost.promise.clone().unwrap(), lost.charge());
        assert_eq!((lost.id.as_str(), lost.outcome.as_str(), lost.cost, lost.tokens), ("a", LOST, None, None));
        assert_eq!((lost.started, lost.ended, promise.lease, charge), (NOON, NOON + 600_000, None, 8));
        assert_eq!((desk.rows.len(), desk.spent(), desk.book.open.cost(), desk.book.open.count()), (1, 8, 8, 1));
        desk.reopen(NOON + 600_000);
    }
}

#[test]
fn the_truth_of_a_request_from_before_there_were_leases_is_counted_once() {
    // In time, it takes the promise; late, it takes the place of the receipt.
    for (opened, rows) in [(NOON + 300_000, 0), (NOON + 700_000, 1)] {
        let mut desk = old_book(budget(20));
        assert!(matches!(desk.obey(Order::Usage { from: 0, to: u64::MAX }, opened), Reply::Usage(_)));
        assert_eq!(desk.rows.len(), rows);
        for member in [true, true, false] {
            desk.settle(Entry { member, ..entry("a", Some(5)) }, opened + 1);
            desk.reopen(opened + 1);
        }
        let entries: Vec<Entry> = desk.rows.iter().flat_map(Row::read).collect();
        let told = entries.iter().map(|entry| (entry.outcome.as_str(), entry.member, entry.cost)).collect::<Vec<_>>();
        assert_eq!(told, [("complete", true, Some(5))]);
        assert_eq!((desk.spent(), desk.book.open.cost(), desk.book.open.count()), (5, 0, 0));
        // A team's member: it stands in no sums but those of money.
        let usage = desk.obey(Order::Usage { from: 0, to: u64::MAX }, opened + 2);
        assert_eq!(usage, Reply::Usage(Vec::new()));
    }
}

#[test]
fn a_request_without_a_draft_frees_its_place_when_its_time_is_over_and_still_pays_when_it_comes() {
    let terms = Terms { concurrent: Some(1), ..budget(20) };
    let mut desk = Desk::new(terms);
    assert_eq!(desk.admit(ask("a", 1, 8), NOON), Ok(()));
    assert_eq!(desk.admit(ask("b", 1, 8), NOON + 599_999), Err(Refusal::Concurrent { limit: 1 }));
    assert_eq!(desk.admit(ask("b", 1, 8), NOON + 600_000), Ok(()));
    desk.settle(entry("a", Some(7)), NOON + 600_001);
    desk.settle(entry("b", Some(8)), NOON + 600_002);
    for _ in 0..2 {
        assert_eq!((desk.spent(), desk.book.open.cost(), desk.rows.len()), (15, 0, 2));
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
