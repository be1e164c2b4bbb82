//! The ledger of an account, command by command.

use super::*;
use crate::ledger::{AccountSnapshot, Budget, LOST, OutputCost, Period, TokenCounts};

const NOON: Millis = 1_780_000_000_000;

/// A ledger, and what it wrote.
struct TestAccount {
    ledger: AccountLedger,
    kept: AccountSnapshot,
    rows: Vec<ReceiptRow>,
}

impl TestAccount {
    fn new(limits: KeyLimits) -> Self {
        let mut account = Self { ledger: AccountLedger::default(), kept: AccountSnapshot::default(), rows: Vec::new() };
        account.handle(AccountCommand::SetLimits { hash: "hash".into(), limits, version: 1 }, NOON);
        account
    }

    fn handle(&mut self, command: AccountCommand, now: Millis) -> AccountResponse {
        let mut writes = Vec::new();
        let reply = self.ledger.handle(command, now, &mut writes);
        for write in writes {
            match write {
                AccountWrite::Limits(limits) => self.kept.limits = Some(limits),
                AccountWrite::Reservation(id, reservation) => {
                    self.kept.reservations.retain(|(other, _)| *other != id);
                    self.kept.reservations.push((id, reservation));
                }
                AccountWrite::EndReservation(id) => self.kept.reservations.retain(|(other, _)| *other != id),
                AccountWrite::CountQuota(counting) => self.kept.count_quota = Some(counting),
                AccountWrite::Receipts(row) => self.rows.push(row),
                AccountWrite::ReplaceReceipt(number, _, truth) => {
                    let row = self.rows.iter_mut().find(|row| row.number == number).unwrap();
                    row.receipts = row.replacing(&truth).unwrap();
                }
                AccountWrite::Sums(number, _, sums) => {
                    self.rows.iter_mut().find(|row| row.number == number).unwrap().sums = Some(sums);
                }
                AccountWrite::DaySums(..) | AccountWrite::AmendDay(..) => {}
            }
        }
        reply
    }

    fn admit(&mut self, request: AdmissionRequest, now: Millis) -> Result<(), AdmissionRefusal> {
        match self.handle(AccountCommand::Admit(request), now) {
            AccountResponse::Granted { .. } => Ok(()),
            AccountResponse::Refused { refusal, .. } => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, receipt: Receipt, now: Millis) {
        assert_eq!(self.handle(AccountCommand::Settle(vec![receipt]), now), AccountResponse::Done);
    }

    fn reopen(&mut self, now: Millis) {
        self.ledger =
            AccountLedger::open(self.kept.clone(), self.rows.iter().rev().cloned(), now, Zone::utc()).unwrap();
    }

    fn spent(&self) -> Nanos {
        self.ledger.sums.spent.in_period(Period::Total, NOON)
    }
}

fn request(id: &str, tokens: u64, cost: Nanos) -> AdmissionRequest {
    let (id, cost) = (id.to_owned(), Some(cost));
    AdmissionRequest {
        id,
        models: vec!["m".into(), "p/m".into()],
        body: 100,
        tokens,
        cost,
        lifetime: 600_000,
        ..AdmissionRequest::default()
    }
}

fn receipt(id: &str, cost: Option<Nanos>) -> Receipt {
    let (provider, model) = ("p".to_owned(), "m".to_owned());
    Receipt { id: id.to_owned(), provider, model, outcome: "complete".into(), cost, ..Receipt::default() }
}

fn budget(nanos: Nanos) -> KeyLimits {
    KeyLimits { budget: Some(Budget { nanos, per: Period::Day, fit: false }), ..KeyLimits::default() }
}

/// A request whose prompt costs 100 nano-dollars, and each token of its response 2.
fn long(id: &str, limit: u64) -> AdmissionRequest {
    let answer = OutputCost { fixed: 100, per_token: 1_000, choices: 2, limit, minimum: 10, settable: true };
    AdmissionRequest { output: Some(answer.clone()), ..request(id, 50 + 2 * limit, answer.cost(limit)) }
}

#[test]
fn outdated_limits_change_nothing() {
    let mut account = TestAccount::new(KeyLimits::default());
    let (old, new) = (KeyLimits { enabled: false, ..KeyLimits::default() }, budget(5));
    account.handle(AccountCommand::SetLimits { hash: "new".into(), limits: new.clone(), version: 3 }, NOON);
    account.reopen(NOON);
    account.handle(AccountCommand::SetLimits { hash: "old".into(), limits: old, version: 2 }, NOON);
    assert_eq!(account.ledger.limits, new);
    assert_eq!(account.ledger.hash, Some("new".into()));
}

#[test]
fn each_limit_has_its_own_refusal() {
    let plain = KeyLimits::default;
    let table = [
        (KeyLimits { enabled: false, ..plain() }, AdmissionRefusal::Inactive),
        (KeyLimits { expires_at: Some(NOON), ..plain() }, AdmissionRefusal::Inactive),
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
    for (limits, refusal) in table {
        let mut account = TestAccount::new(limits.clone());
        let first = account.admit(request("a", 10, 7), NOON);
        let kept = account.kept.clone();
        assert_eq!(account.admit(request("b", 10, 7), NOON), Err(refusal.clone()), "{limits:?}");
        assert!(first.is_ok() || first == Err(refusal), "{limits:?}");
        assert_eq!(account.kept, kept, "what is refused takes nothing");
    }
}

#[test]
fn requests_within_the_limits_are_admitted() {
    for limits in [
        KeyLimits { expires_at: Some(NOON + 1), models: vec!["p/*".into()], ..KeyLimits::default() },
        KeyLimits { max_body_bytes: Some(100), concurrent: Some(2), ..KeyLimits::default() },
        KeyLimits { requests_per_minute: Some(2), tokens_per_minute: Some(20), ..budget(14) },
    ] {
        let mut account = TestAccount::new(limits);
        assert_eq!(account.admit(request("a", 10, 7), NOON), Ok(()));
        assert_eq!(account.admit(request("b", 10, 7), NOON), Ok(()));
    }
}

#[test]
fn a_key_is_checked_by_its_hash_and_a_parent_without_one() {
    let asked = |hash: Option<&str>| AdmissionRequest { hash: hash.map(Into::into), ..request("a", 1, 1) };
    let mut account = TestAccount::new(KeyLimits::default());
    assert_eq!(account.admit(asked(Some("hash")), NOON), Ok(()));
    assert_eq!(account.admit(asked(None), NOON), Ok(()));
    assert_eq!(account.admit(asked(Some("other")), NOON), Err(AdmissionRefusal::Unknown));
    account.handle(AccountCommand::SetLimits { hash: "other".into(), limits: KeyLimits::default(), version: 1 }, NOON);
    assert_eq!(account.admit(asked(Some("hash")), NOON), Err(AdmissionRefusal::Unknown));
    account.ledger = AccountLedger::default();
    assert_eq!(account.admit(asked(None), NOON), Err(AdmissionRefusal::Unknown), "nothing was ever posted");
}

#[test]
fn a_budget_requires_a_known_price() {
    let mut account = TestAccount::new(budget(10));
    assert_eq!(
        account.admit(AdmissionRequest { cost: None, ..request("a", 1, 1) }, NOON),
        Err(AdmissionRefusal::Price)
    );
    let mut account = TestAccount::new(KeyLimits { concurrent: Some(1), ..KeyLimits::default() });
    assert_eq!(account.admit(AdmissionRequest { cost: None, ..request("a", 1, 1) }, NOON), Ok(()));
}

#[test]
fn a_refusal_by_the_budget_names_the_largest_limit_that_fits() {
    let mut account = TestAccount::new(budget(1_000));
    let refusal = |needed, left, promised, largest| {
        Err(AdmissionRefusal::Budget { needed, left, promised, largest, unsettable: false })
    };
    assert_eq!(account.admit(long("a", 451), NOON), refusal(1_002, 1_000, 0, Some(450)));
    assert_eq!(account.admit(long("b", 450), NOON), Ok(()));
    assert_eq!(account.admit(long("c", 1), NOON), refusal(102, 0, 1_000, None));
}

#[test]
fn a_fitting_budget_lowers_limits_and_reserves_no_money_twice() {
    let fitting =
        KeyLimits { budget: Some(Budget { nanos: 1_000, per: Period::Day, fit: true }), ..KeyLimits::default() };
    let mut account = TestAccount::new(fitting);
    let mut limit = |id: &str, request: AdmissionRequest| match account.handle(AccountCommand::Admit(request), NOON) {
        AccountResponse::Granted { limit, .. } => Ok((limit, account.ledger.reservations.find(id).unwrap().cost)),
        AccountResponse::Refused { refusal, .. } => Err(refusal),
        other => panic!("{other:?}"),
    };
    // A request that fits is unchanged, however long; one that does not gets half of what is left.
    assert_eq!(limit("a", long("a", 100)), Ok((None, 300)));
    assert_eq!(limit("b", long("b", 10_000)), Ok((Some(125), 350)));
    assert_eq!(limit("b", long("b", 10_000)), Ok((Some(125), 350)), "an order that is repeated");
    assert_eq!(limit("c", long("c", 10_000)), Ok((Some(37), 174)));
    // Half of the rest is below the minimum limit, and costs less than the prompt.
    let refused = Err(AdmissionRefusal::Budget {
        needed: 20_100,
        left: 176,
        promised: 824,
        largest: Some(38),
        unsettable: false,
    });
    assert_eq!(limit("d", long("d", 10_000)), refused);
    let dumb = OutputCost { settable: false, ..long("e", 10_000).output.unwrap() };
    assert!(
        limit("e", AdmissionRequest { output: Some(dumb), ..long("e", 10_000) }).is_err(),
        "the provider would not heed it"
    );
}

#[test]
fn a_key_with_a_fitting_budget_is_shortened_for_its_parent_as_well() {
    let mut account = TestAccount::new(budget(1_000));
    assert!(account.admit(long("a", 10_000), NOON).is_err());
    let asked = account.handle(AccountCommand::Admit(AdmissionRequest { fit: true, ..long("a", 10_000) }), NOON);
    assert!(matches!(asked, AccountResponse::Granted { limit: Some(200), .. }), "{asked:?}");
    account.reopen(NOON);
    let again = account.handle(AccountCommand::Admit(AdmissionRequest { fit: true, ..long("a", 10_000) }), NOON);
    assert!(matches!(again, AccountResponse::Granted { limit: Some(200), .. }), "{again:?}");
}

#[test]
fn a_stray_field_is_refused_if_models_or_costs_are_limited() {
    let led = |id: &str| AdmissionRequest { stray_field: Some("models".into()), ..request(id, 1, 1) };
    let refused = Err(AdmissionRefusal::StrayField { name: "models".into() });
    for limits in [KeyLimits { models: vec!["m".into()], ..KeyLimits::default() }, budget(10)] {
        assert_eq!(TestAccount::new(limits).admit(led("a"), NOON), refused);
    }
    assert_eq!(
        TestAccount::new(KeyLimits { concurrent: Some(1), ..KeyLimits::default() }).admit(led("a"), NOON),
        Ok(())
    );
}

#[test]
fn a_key_without_limits_stores_no_reservation() {
    let mut account =
        TestAccount::new(KeyLimits { models: vec!["m".into()], max_body_bytes: Some(1_000), ..KeyLimits::default() });
    assert_eq!(account.admit(request("a", 1, 1), NOON), Ok(()));
    assert!(account.kept.reservations.is_empty());
    account.settle(receipt("a", Some(1)), NOON);
    assert_eq!(account.spent(), 1);
}

#[test]
fn a_members_receipt_counts_against_the_budget_only() {
    let mut account = TestAccount::new(budget(10));
    assert_eq!(account.admit(request("a", 1, 8), NOON), Ok(()));
    account.settle(Receipt { member: true, ..receipt("a", Some(7)) }, NOON);
    for _ in 0..2 {
        assert_eq!(
            account.handle(AccountCommand::Usage { from: 0, to: u64::MAX }, NOON),
            AccountResponse::Usage(Vec::new())
        );
        let refusal = AdmissionRefusal::Budget { needed: 4, left: 3, promised: 0, largest: None, unsettable: false };
        assert_eq!(account.admit(request("b", 1, 4), NOON), Err(refusal));
        account.reopen(NOON);
    }
}

#[test]
fn an_unknown_cost_is_charged_as_reserved() {
    let mut account = TestAccount::new(budget(10));
    account.settle(receipt("before", Some(1)), NOON);
    assert_eq!(account.admit(request("a", 1, 6), NOON), Ok(()));
    account.settle(receipt("a", None), NOON);
    for _ in 0..2 {
        assert_eq!(account.spent(), 7);
        let AccountResponse::Usage(reports) = account.handle(AccountCommand::Usage { from: 0, to: u64::MAX }, NOON)
        else {
            panic!()
        };
        assert_eq!(reports[0].totals.cost, 1, "sums say what is known");
        assert_eq!(reports[0].totals.unpriced, 1, "sums say what is known");
        account.reopen(NOON);
    }
}

/// A reservation as it was stored before leases existed.
const OLD_PROMISE: &str = r#"{"at":1780000000000,"until":1780000600000,"tokens":50,"cost":8}"#;

/// A ledger with such a reservation.
fn account_with_old_reservation(limits: KeyLimits) -> TestAccount {
    let mut account = TestAccount::new(limits);
    account.kept.reservations.push(("a".into(), OLD_PROMISE.into()));
    account.reopen(NOON + 1_000);
    account
}

#[test]
fn a_reservation_without_a_lease_is_lost_once_at_its_end() {
    let mut account = account_with_old_reservation(KeyLimits { concurrent: Some(1), ..budget(20) });
    // It is never renewed, and not lost before its end, however often the ledger is opened.
    for now in [NOON + 1_000, NOON + 80_000, NOON + 400_000, NOON + 599_999] {
        assert_eq!(account.admit(request("b", 1, 8), now), Err(AdmissionRefusal::Concurrent { limit: 1 }));
        assert_eq!(account.ledger.reservations.cost(), 8);
        assert_eq!(account.rows.len(), 0);
        account.reopen(now);
    }
    for _ in 0..2 {
        assert_eq!(account.admit(request("b", 1, 8), NOON + 600_000), Ok(()));
        let lost = account.rows[0].read().unwrap().remove(0);
        let (reservation, charge) = (lost.reservation.clone().unwrap(), lost.charge());
        assert_eq!(lost.id, "a");
        assert_eq!(lost.outcome, LOST);
        assert_eq!(lost.cost, None);
        assert_eq!(lost.tokens, None);
        assert_eq!(lost.started, NOON);
        assert_eq!(lost.ended, NOON + 600_000);
        assert_eq!(reservation.lease, None);
        assert_eq!(charge, 8);
        assert_eq!(account.rows.len(), 1);
        assert_eq!(account.spent(), 8);
        assert_eq!(account.ledger.reservations.cost(), 8);
        assert_eq!(account.ledger.reservations.count(), 1);
        account.reopen(NOON + 600_000);
    }
}

#[test]
fn a_request_without_a_lease_is_settled_once() {
    // In time, the receipt ends the reservation; late, it replaces the provisional receipt.
    for (opened, rows) in [(NOON + 300_000, 0), (NOON + 700_000, 1)] {
        let mut account = account_with_old_reservation(budget(20));
        assert!(matches!(
            account.handle(AccountCommand::Usage { from: 0, to: u64::MAX }, opened),
            AccountResponse::Usage(_)
        ));
        assert_eq!(account.rows.len(), rows);
        for member in [true, true, false] {
            account.settle(Receipt { member, ..receipt("a", Some(5)) }, opened + 1);
            account.reopen(opened + 1);
        }
        let receipts: Vec<Receipt> = account.rows.iter().flat_map(|row| row.read().unwrap()).collect();
        let outcomes =
            receipts.iter().map(|receipt| (receipt.outcome.as_str(), receipt.member, receipt.cost)).collect::<Vec<_>>();
        assert_eq!(outcomes, [("complete", true, Some(5))]);
        assert_eq!(account.spent(), 5);
        assert_eq!(account.ledger.reservations.cost(), 0);
        assert_eq!(account.ledger.reservations.count(), 0);
        // A member's request is only in the totals of the spend.
        let usage = account.handle(AccountCommand::Usage { from: 0, to: u64::MAX }, opened + 2);
        assert_eq!(usage, AccountResponse::Usage(Vec::new()));
    }
}

#[test]
fn a_lost_request_without_a_draft_frees_its_slot_and_is_charged_when_settled() {
    let limits = KeyLimits { concurrent: Some(1), ..budget(20) };
    let mut account = TestAccount::new(limits);
    assert_eq!(account.admit(request("a", 1, 8), NOON), Ok(()));
    assert_eq!(account.admit(request("b", 1, 8), NOON + 599_999), Err(AdmissionRefusal::Concurrent { limit: 1 }));
    assert_eq!(account.admit(request("b", 1, 8), NOON + 600_000), Ok(()));
    account.settle(receipt("a", Some(7)), NOON + 600_001);
    account.settle(receipt("b", Some(8)), NOON + 600_002);
    for _ in 0..2 {
        assert_eq!(account.spent(), 15);
        assert_eq!(account.ledger.reservations.cost(), 0);
        assert_eq!(account.rows.len(), 2);
        account.reopen(NOON + 600_003);
    }
}

#[test]
fn a_repeated_command_has_no_effect() {
    let mut account = TestAccount::new(KeyLimits { requests_per_minute: Some(2), concurrent: Some(1), ..budget(10) });
    for _ in 0..3 {
        assert_eq!(account.admit(request("a", 1, 8), NOON), Ok(()));
        account.reopen(NOON);
    }
    for _ in 0..3 {
        account.settle(receipt("a", Some(8)), NOON + 1);
        account.reopen(NOON + 1);
    }
    assert_eq!(account.admit(request("a", 1, 8), NOON + 2), Ok(()), "it was too late");
    assert_eq!(account.kept.reservations.len(), 0, "it was too late");
    assert_eq!(account.spent(), 8);
    assert_eq!(account.rows.len(), 1);
    assert_eq!(account.ledger.request_window.taken(NOON + 2), 1);
}

#[test]
fn a_day_has_two_hundred_models_and_a_row_for_all_others() {
    let mut account = TestAccount::new(KeyLimits::default());
    for number in 0..250 {
        let tokens = Some(TokenCounts { uncached_input: 1, ..TokenCounts::default() });
        let model = format!("m-{:03}", number % 230);
        account.settle(Receipt { model, tokens, ..receipt(&format!("id-{number}"), Some(1)) }, NOON);
    }
    for _ in 0..2 {
        let AccountResponse::Usage(reports) = account.handle(AccountCommand::Usage { from: 0, to: u64::MAX }, NOON)
        else {
            panic!()
        };
        assert_eq!(reports.len(), 201);
        assert_eq!(reports[0].model, "(other)");
        assert_eq!(reports[0].totals.requests, 30);
        assert_eq!(reports[1].model, "m-000");
        assert_eq!(reports[1].totals.requests, 2);
        assert_eq!(reports.iter().map(|report| report.totals.cost).sum::<Nanos>(), 250);
        account.reopen(NOON);
    }
}

#[test]
fn receipts_of_earlier_days_can_be_deleted() {
    let mut account = TestAccount::new(budget(10));
    account.settle(receipt("a", Some(3)), NOON);
    account.settle(Receipt { member: true, ..receipt("b", Some(4)) }, NOON);
    account.settle(receipt("c", Some(5)), NOON + 86_400_000);
    account.rows.drain(..2);
    account.reopen(NOON + 86_400_000);
    assert_eq!(account.spent(), 12);
    assert_eq!(account.ledger.last_number, 3);
}

#[test]
fn a_clock_that_falls_back_over_midnight_resets_no_budget() {
    let midnight = day_of(NOON) * 86_400_000 + 86_400_000;
    let mut account = TestAccount::new(budget(10));
    for (id, now) in [("a", midnight + 1), ("b", midnight - 1)] {
        assert_eq!(account.admit(request(id, 1, 5), now), Ok(()));
        account.settle(receipt(id, Some(5)), now);
        account.reopen(midnight - 1);
    }
    let refusal = AdmissionRefusal::Budget { needed: 1, left: 0, promised: 0, largest: None, unsettable: false };
    assert_eq!(account.admit(request("c", 1, 1), midnight + 2), Err(refusal));
}

#[test]
fn a_stored_record_that_cannot_be_read_is_named() {
    let row = |receipts: &str, sums: Option<&str>| ReceiptRow {
        number: 7,
        at: NOON,
        receipts: receipts.to_owned(),
        sums: sums.map(str::to_owned),
    };
    let plain = AccountSnapshot::default;
    let fault = |snapshot: AccountSnapshot, rows: Vec<ReceiptRow>| {
        AccountLedger::open(snapshot, rows.into_iter(), NOON, Zone::utc()).unwrap_err().to_string()
    };
    let limits = fault(AccountSnapshot { limits: Some("{}".to_owned()), ..plain() }, Vec::new());
    assert!(limits.starts_with("The stored record `0` of the table `terms` cannot be read"), "{limits}");
    let reservation =
        fault(AccountSnapshot { reservations: vec![("a1".to_owned(), "{".to_owned())], ..plain() }, Vec::new());
    assert!(reservation.starts_with("The stored record `a1` of the table `promises` cannot be read"), "{reservation}");
    let counting = fault(AccountSnapshot { count_quota: Some("[]".to_owned()), ..plain() }, Vec::new());
    assert!(counting.starts_with("The stored record `counting` of the table `promises` cannot be read"), "{counting}");
    for row in [row("{}", None), row("[]", Some("{}"))] {
        let receipts = fault(plain(), vec![row]);
        assert!(receipts.starts_with("The stored record `7` of the table `entries` cannot be read"), "{receipts}");
    }
    let row = row("[{}]", None);
    assert!(row.read().is_err());
    assert!(row.replacing(&Receipt::default()).is_err());
    let day = AccountLedger::usage_of_day(20_000, "{").unwrap_err().to_string();
    assert!(day.starts_with("The stored record `20000` of the table `days` cannot be read"), "{day}");
    assert!(AccountLedger::amend_day(20_000, "{", &Receipt::default(), &Receipt::default()).is_err());
}

/// What settling these receipts writes as a row, given the JSON that they came as.
fn settled_row(account: &mut TestAccount, receipts: &[Receipt], json: &str) -> Option<String> {
    let mut writes = Vec::new();
    let command = AccountCommand::Settle(receipts.to_vec());
    account.ledger.handle_received(command, Some(json), NOON, &mut writes);
    let row = |write| if let AccountWrite::Receipts(row) = write { Some(row.receipts) } else { None };
    writes.into_iter().find_map(row)
}

#[test]
fn receipts_are_stored_as_they_came_if_nothing_about_them_changed() {
    let written = |receipts: &[Receipt]| serde_json::to_string(receipts).unwrap();
    let receipts = [receipt("a", Some(1)), receipt("b", None)];
    let json = AccountCommand::settle(receipts.to_vec()).unwrap();
    assert_eq!(serde_json::from_str::<AccountCommand>(&json).unwrap(), AccountCommand::Settle(receipts.to_vec()));
    let mut account = TestAccount::new(KeyLimits::default());
    assert_eq!(settled_row(&mut account, &receipts, &json), Some(written(&receipts)));
    // A later build may send more than this one knows.
    let later = r#"{"Settle":[{"id":"c","of":"later"}]}"#;
    assert_eq!(settled_row(&mut account, &[receipt("c", None)], later).unwrap(), r#"[{"id":"c","of":"later"}]"#);
    assert_eq!(settled_row(&mut account, &receipts, &json), None, "they are settled");
    let some = [receipts[1].clone(), receipt("d", None)];
    let json = AccountCommand::settle(some.to_vec()).unwrap();
    assert_eq!(settled_row(&mut account, &some, &json), Some(written(&some[1..])), "one of them is settled");
    let twice = [receipt("e", None), receipt("e", None)];
    let json = AccountCommand::settle(twice.to_vec()).unwrap();
    assert_eq!(settled_row(&mut account, &twice, &json), Some(written(&twice[1..])));
}

#[test]
fn a_receipt_is_stored_with_its_reservation_however_it_came() {
    let mut account = TestAccount::new(budget(100));
    account.admit(request("a", 10, 40), NOON).unwrap();
    let json = AccountCommand::settle(vec![receipt("a", Some(1))]).unwrap();
    let row = settled_row(&mut account, &[receipt("a", Some(1))], &json).unwrap();
    assert!(row.contains(r#""promise":{"#), "{row}");
}
