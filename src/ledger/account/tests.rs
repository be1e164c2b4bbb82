//! A book, order by order: what it grants, refuses, charges and remembers.

use super::*;
use crate::ledger::{AccountSnapshot, Budget, LOST, OutputCost, Period, TokenCounts};

const NOON: Millis = 1_780_000_000_000;

/// A book with these terms, and the rows that it had written.
struct Desk {
    book: AccountLedger,
    kept: AccountSnapshot,
    rows: Vec<ReceiptRow>,
}

impl Desk {
    fn new(terms: KeyLimits) -> Self {
        let mut desk = Self { book: AccountLedger::default(), kept: AccountSnapshot::default(), rows: Vec::new() };
        desk.obey(AccountCommand::Post { hash: "hash".into(), terms, version: 1 }, NOON);
        desk
    }

    fn obey(&mut self, order: AccountCommand, now: Millis) -> AccountResponse {
        let mut writes = Vec::new();
        let reply = self.book.handle(order, now, &mut writes);
        for write in writes {
            match write {
                AccountWrite::Terms(terms) => self.kept.terms = Some(terms),
                AccountWrite::Promise(id, promise) => {
                    self.kept.promises.retain(|(other, _)| *other != id);
                    self.kept.promises.push((id, promise));
                }
                AccountWrite::Void(id) => self.kept.promises.retain(|(other, _)| *other != id),
                AccountWrite::Counting(counting) => self.kept.counting = Some(counting),
                AccountWrite::Entries(row) => self.rows.push(row),
                AccountWrite::Truth(number, _, truth) => {
                    let row = self.rows.iter_mut().find(|row| row.number == number).unwrap();
                    row.entries = row.with(&truth).unwrap();
                }
                AccountWrite::Sums(number, _, sums) => {
                    self.rows.iter_mut().find(|row| row.number == number).unwrap().sums = Some(sums);
                }
                AccountWrite::Day(..) | AccountWrite::Amend(..) => {}
            }
        }
        reply
    }

    fn admit(&mut self, ask: AdmissionRequest, now: Millis) -> Result<(), AdmissionRefusal> {
        match self.obey(AccountCommand::Admit(ask), now) {
            AccountResponse::Granted { .. } => Ok(()),
            AccountResponse::Refused { refusal, .. } => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, entry: Receipt, now: Millis) {
        assert_eq!(self.obey(AccountCommand::Settle(vec![entry]), now), AccountResponse::Done);
    }

    fn reopen(&mut self, now: Millis) {
        self.book = AccountLedger::open(self.kept.clone(), self.rows.iter().rev().cloned(), now).unwrap();
    }

    fn spent(&self) -> Nanos {
        self.book.sums.spent.of(Period::Total, NOON)
    }
}

fn ask(id: &str, tokens: u64, cost: Nanos) -> AdmissionRequest {
    let (id, cost) = (id.to_owned(), Some(cost));
    AdmissionRequest {
        id,
        models: vec!["m".into(), "p/m".into()],
        body: 100,
        tokens,
        cost,
        life: 600_000,
        ..AdmissionRequest::default()
    }
}

fn entry(id: &str, cost: Option<Nanos>) -> Receipt {
    let (provider, model) = ("p".to_owned(), "m".to_owned());
    Receipt { id: id.to_owned(), provider, model, outcome: "complete".into(), cost, ..Receipt::default() }
}

fn budget(nanos: Nanos) -> KeyLimits {
    KeyLimits { budget: Some(Budget { nanos, per: Period::Day, fit: false }), ..KeyLimits::default() }
}

/// A request of a prompt of 100 nano-dollars, and answers of two each for a token.
fn long(id: &str, limit: u64) -> AdmissionRequest {
    let answer = OutputCost { besides: 100, each: 1_000, drawn: 2, limit, least: 10, settable: true };
    AdmissionRequest { answer: Some(answer.clone()), ..ask(id, 50 + 2 * limit, answer.cost(limit)) }
}

#[test]
fn terms_that_come_late_change_nothing() {
    let mut desk = Desk::new(KeyLimits::default());
    let (old, new) = (KeyLimits { enabled: false, ..KeyLimits::default() }, budget(5));
    desk.obey(AccountCommand::Post { hash: "new".into(), terms: new.clone(), version: 3 }, NOON);
    desk.reopen(NOON);
    desk.obey(AccountCommand::Post { hash: "old".into(), terms: old, version: 2 }, NOON);
    assert_eq!(desk.book.terms, new);
    assert_eq!(desk.book.hash.as_deref(), Some("new"));
}

#[test]
fn each_limit_refuses_in_its_own_words() {
    let plain = KeyLimits::default;
    let table = [
        (KeyLimits { enabled: false, ..plain() }, AdmissionRefusal::Ended),
        (KeyLimits { expires_at: Some(NOON), ..plain() }, AdmissionRefusal::Ended),
        (KeyLimits { models: vec!["other/*".into()], ..plain() }, AdmissionRefusal::Model),
        (KeyLimits { max_body_bytes: Some(99), ..plain() }, AdmissionRefusal::Body { limit: 99 }),
        (KeyLimits { concurrent: Some(1), ..plain() }, AdmissionRefusal::Concurrent { limit: 1 }),
        (KeyLimits { concurrent: Some(0), ..plain() }, AdmissionRefusal::Concurrent { limit: 0 }),
        (KeyLimits { requests_per_minute: Some(1), ..plain() }, AdmissionRefusal::Requests { wait: 60_250 }),
        (KeyLimits { requests_per_minute: Some(0), ..plain() }, AdmissionRefusal::Requests { wait: SPAN }),
        (KeyLimits { tokens_per_minute: Some(19), ..plain() }, AdmissionRefusal::Tokens { wait: 60_250 }),
        (KeyLimits { tokens_per_minute: Some(5), ..plain() }, AdmissionRefusal::Tokens { wait: 60_250 }),
        (KeyLimits { tokens_per_minute: Some(0), ..plain() }, AdmissionRefusal::Tokens { wait: SPAN }),
        (budget(13), AdmissionRefusal::Budget { needed: 7, left: 6, promised: 7, largest: None, unsettable: false }),
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
        KeyLimits { expires_at: Some(NOON + 1), models: vec!["p/*".into()], ..KeyLimits::default() },
        KeyLimits { max_body_bytes: Some(100), concurrent: Some(2), ..KeyLimits::default() },
        KeyLimits { requests_per_minute: Some(2), tokens_per_minute: Some(20), ..budget(14) },
    ] {
        let mut desk = Desk::new(terms);
        assert_eq!((desk.admit(ask("a", 10, 7), NOON), desk.admit(ask("b", 10, 7), NOON)), (Ok(()), Ok(())));
    }
}

#[test]
fn a_key_is_known_by_its_hash_and_a_parent_without() {
    let asked = |hash: Option<&str>| AdmissionRequest { hash: hash.map(str::to_owned), ..ask("a", 1, 1) };
    let mut desk = Desk::new(KeyLimits::default());
    assert_eq!(desk.admit(asked(Some("hash")), NOON), Ok(()));
    assert_eq!(desk.admit(asked(None), NOON), Ok(()));
    assert_eq!(desk.admit(asked(Some("other")), NOON), Err(AdmissionRefusal::Unknown));
    desk.obey(AccountCommand::Post { hash: "other".into(), terms: KeyLimits::default(), version: 1 }, NOON);
    assert_eq!(desk.admit(asked(Some("hash")), NOON), Err(AdmissionRefusal::Unknown));
    desk.book = AccountLedger::default();
    assert_eq!(desk.admit(asked(None), NOON), Err(AdmissionRefusal::Unknown), "nothing was ever posted");
}

#[test]
fn a_budget_asks_for_a_price() {
    let mut desk = Desk::new(budget(10));
    assert_eq!(desk.admit(AdmissionRequest { cost: None, ..ask("a", 1, 1) }, NOON), Err(AdmissionRefusal::Price));
    let mut desk = Desk::new(KeyLimits { concurrent: Some(1), ..KeyLimits::default() });
    assert_eq!(desk.admit(AdmissionRequest { cost: None, ..ask("a", 1, 1) }, NOON), Ok(()));
}

#[test]
fn a_refusal_for_want_of_budget_names_the_largest_limit_that_fits() {
    let mut desk = Desk::new(budget(1_000));
    let refusal = |needed, left, promised, largest| {
        Err(AdmissionRefusal::Budget { needed, left, promised, largest, unsettable: false })
    };
    assert_eq!(desk.admit(long("a", 451), NOON), refusal(1_002, 1_000, 0, Some(450)));
    assert_eq!(desk.admit(long("b", 450), NOON), Ok(()));
    assert_eq!(desk.admit(long("c", 1), NOON), refusal(102, 0, 1_000, None));
}

#[test]
fn a_budget_that_fits_grants_shorter_answers_and_no_money_twice() {
    let fitting =
        KeyLimits { budget: Some(Budget { nanos: 1_000, per: Period::Day, fit: true }), ..KeyLimits::default() };
    let mut desk = Desk::new(fitting);
    let mut limit = |id: &str, ask: AdmissionRequest| match desk.obey(AccountCommand::Admit(ask), NOON) {
        AccountResponse::Granted { limit, .. } => Ok((limit, desk.book.open.find(id).unwrap().cost)),
        AccountResponse::Refused { refusal, .. } => Err(refusal),
        other => panic!("{other:?}"),
    };
    // What fits is left alone, however long; what does not gets half of what is left.
    assert_eq!(limit("a", long("a", 100)), Ok((None, 300)));
    assert_eq!(limit("b", long("b", 10_000)), Ok((Some(125), 350)));
    assert_eq!(limit("b", long("b", 10_000)), Ok((Some(125), 350)), "an order that is repeated");
    assert_eq!(limit("c", long("c", 10_000)), Ok((Some(37), 174)));
    // Half of the rest is not worth an answer, and the prompt alone is dearer.
    let refused = Err(AdmissionRefusal::Budget {
        needed: 20_100,
        left: 176,
        promised: 824,
        largest: Some(38),
        unsettable: false,
    });
    assert_eq!(limit("d", long("d", 10_000)), refused);
    let dumb = OutputCost { settable: false, ..long("e", 10_000).answer.unwrap() };
    assert!(
        limit("e", AdmissionRequest { answer: Some(dumb), ..long("e", 10_000) }).is_err(),
        "the provider would not heed it"
    );
}

#[test]
fn a_member_whose_budget_fits_fits_into_its_teams_as_well() {
    let mut desk = Desk::new(budget(1_000));
    assert!(desk.admit(long("a", 10_000), NOON).is_err());
    let asked = desk.obey(AccountCommand::Admit(AdmissionRequest { fit: true, ..long("a", 10_000) }), NOON);
    assert!(matches!(asked, AccountResponse::Granted { limit: Some(200), .. }), "{asked:?}");
    desk.reopen(NOON);
    let again = desk.obey(AccountCommand::Admit(AdmissionRequest { fit: true, ..long("a", 10_000) }), NOON);
    assert!(matches!(again, AccountResponse::Granted { limit: Some(200), .. }), "{again:?}");
}

#[test]
fn a_field_that_leads_elsewhere_is_refused_where_it_matters() {
    let led = |id: &str| AdmissionRequest { astray: Some("models".into()), ..ask(id, 1, 1) };
    let refused = Err(AdmissionRefusal::Astray { name: "models".into() });
    for terms in [KeyLimits { models: vec!["m".into()], ..KeyLimits::default() }, budget(10)] {
        assert_eq!(Desk::new(terms).admit(led("a"), NOON), refused);
    }
    assert_eq!(Desk::new(KeyLimits { concurrent: Some(1), ..KeyLimits::default() }).admit(led("a"), NOON), Ok(()));
}

#[test]
fn a_key_without_limits_writes_no_promise() {
    let mut desk =
        Desk::new(KeyLimits { models: vec!["m".into()], max_body_bytes: Some(1_000), ..KeyLimits::default() });
    assert_eq!(desk.admit(ask("a", 1, 1), NOON), Ok(()));
    assert!(desk.kept.promises.is_empty());
    desk.settle(entry("a", Some(1)), NOON);
    assert_eq!(desk.spent(), 1);
}

#[test]
fn a_members_entry_counts_against_the_budget_alone() {
    let mut desk = Desk::new(budget(10));
    assert_eq!(desk.admit(ask("a", 1, 8), NOON), Ok(()));
    desk.settle(Receipt { member: true, ..entry("a", Some(7)) }, NOON);
    for _ in 0..2 {
        assert_eq!(
            desk.obey(AccountCommand::Usage { from: 0, to: u64::MAX }, NOON),
            AccountResponse::Usage(Vec::new())
        );
        let refusal = AdmissionRefusal::Budget { needed: 4, left: 3, promised: 0, largest: None, unsettable: false };
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
        let AccountResponse::Usage(reports) = desk.obey(AccountCommand::Usage { from: 0, to: u64::MAX }, NOON) else {
            panic!()
        };
        assert_eq!((reports[0].totals.cost, reports[0].totals.unpriced), (1, 1), "sums say what is known");
        desk.reopen(NOON);
    }
}

/// A promise as builds wrote it that knew no leases.
const OLD_PROMISE: &str = r#"{"at":1780000000000,"until":1780000600000,"tokens":50,"cost":8}"#;

/// A book in which such a promise stands.
fn old_book(terms: KeyLimits) -> Desk {
    let mut desk = Desk::new(terms);
    desk.kept.promises.push(("a".into(), OLD_PROMISE.into()));
    desk.reopen(NOON + 1_000);
    desk
}

#[test]
fn a_promise_from_before_there_were_leases_holds_until_its_time_is_over_and_is_then_lost_once() {
    let mut desk = old_book(KeyLimits { concurrent: Some(1), ..budget(20) });
    // Nobody renews it: it is not lost before, however often the book is opened.
    for now in [NOON + 1_000, NOON + 80_000, NOON + 400_000, NOON + 599_999] {
        assert_eq!(desk.admit(ask("b", 1, 8), now), Err(AdmissionRefusal::Concurrent { limit: 1 }));
        assert_eq!((desk.book.open.cost(), desk.rows.len()), (8, 0));
        desk.reopen(now);
    }
    for _ in 0..2 {
        assert_eq!(desk.admit(ask("b", 1, 8), NOON + 600_000), Ok(()));
        let lost = desk.rows[0].read().unwrap().remove(0);
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
        assert!(matches!(
            desk.obey(AccountCommand::Usage { from: 0, to: u64::MAX }, opened),
            AccountResponse::Usage(_)
        ));
        assert_eq!(desk.rows.len(), rows);
        for member in [true, true, false] {
            desk.settle(Receipt { member, ..entry("a", Some(5)) }, opened + 1);
            desk.reopen(opened + 1);
        }
        let entries: Vec<Receipt> = desk.rows.iter().flat_map(|row| row.read().unwrap()).collect();
        let told = entries.iter().map(|entry| (entry.outcome.as_str(), entry.member, entry.cost)).collect::<Vec<_>>();
        assert_eq!(told, [("complete", true, Some(5))]);
        assert_eq!((desk.spent(), desk.book.open.cost(), desk.book.open.count()), (5, 0, 0));
        // A team's member: it stands in no sums but those of money.
        let usage = desk.obey(AccountCommand::Usage { from: 0, to: u64::MAX }, opened + 2);
        assert_eq!(usage, AccountResponse::Usage(Vec::new()));
    }
}

#[test]
fn a_request_without_a_draft_frees_its_place_when_its_time_is_over_and_still_pays_when_it_comes() {
    let terms = KeyLimits { concurrent: Some(1), ..budget(20) };
    let mut desk = Desk::new(terms);
    assert_eq!(desk.admit(ask("a", 1, 8), NOON), Ok(()));
    assert_eq!(desk.admit(ask("b", 1, 8), NOON + 599_999), Err(AdmissionRefusal::Concurrent { limit: 1 }));
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
    let mut desk = Desk::new(KeyLimits { requests_per_minute: Some(2), concurrent: Some(1), ..budget(10) });
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
    let mut desk = Desk::new(KeyLimits::default());
    for number in 0..250 {
        let tokens = Some(TokenCounts { fresh: 1, ..TokenCounts::default() });
        let model = format!("m-{:03}", number % 230);
        desk.settle(Receipt { model, tokens, ..entry(&format!("id-{number}"), Some(1)) }, NOON);
    }
    for _ in 0..2 {
        let AccountResponse::Usage(reports) = desk.obey(AccountCommand::Usage { from: 0, to: u64::MAX }, NOON) else {
            panic!()
        };
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
    desk.settle(Receipt { member: true, ..entry("b", Some(4)) }, NOON);
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
    let refusal = AdmissionRefusal::Budget { needed: 1, left: 0, promised: 0, largest: None, unsettable: false };
    assert_eq!(desk.admit(ask("c", 1, 1), midnight + 2), Err(refusal));
}

#[test]
fn a_stored_record_that_cannot_be_read_is_named() {
    let row = |entries: &str, sums: Option<&str>| ReceiptRow {
        number: 7,
        at: NOON,
        entries: entries.to_owned(),
        sums: sums.map(str::to_owned),
    };
    let plain = AccountSnapshot::default;
    let fault = |snapshot: AccountSnapshot, rows: Vec<ReceiptRow>| {
        AccountLedger::open(snapshot, rows.into_iter(), NOON).unwrap_err().to_string()
    };
    let terms = fault(AccountSnapshot { terms: Some("{}".to_owned()), ..plain() }, Vec::new());
    assert!(terms.starts_with("The stored record `0` of the table `terms` cannot be read"), "{terms}");
    let promise = fault(AccountSnapshot { promises: vec![("a1".to_owned(), "{".to_owned())], ..plain() }, Vec::new());
    assert!(promise.starts_with("The stored record `a1` of the table `promises` cannot be read"), "{promise}");
    let counting = fault(AccountSnapshot { counting: Some("[]".to_owned()), ..plain() }, Vec::new());
    assert!(counting.starts_with("The stored record `counting` of the table `promises` cannot be read"), "{counting}");
    for row in [row("{}", None), row("[]", Some("{}"))] {
        let entries = fault(plain(), vec![row]);
        assert!(entries.starts_with("The stored record `7` of the table `entries` cannot be read"), "{entries}");
    }
    let row = row("[{}]", None);
    assert!(row.read().is_err());
    assert!(row.with(&Receipt::default()).is_err());
    let day = AccountLedger::usage_of_day(20_000, "{").unwrap_err().to_string();
    assert!(day.starts_with("The stored record `20000` of the table `days` cannot be read"), "{day}");
    assert!(AccountLedger::amended(20_000, "{", &Receipt::default(), &Receipt::default()).is_err());
}
