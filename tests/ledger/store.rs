//! The stored writes of a ledger, as tables hold them.

use std::collections::BTreeMap;

use llm_bridge::ledger::{
    AccountCommand, AccountLedger, AccountResponse, AccountSnapshot, AccountWrite, Receipt, ReceiptRow, Totals,
    UsageReport,
};
use llm_bridge::wire::zone::Zone;

/// The stored writes of a ledger, as tables hold them.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub terms: Option<String>,
    pub promises: BTreeMap<String, String>,
    pub counting: Option<String>,
    pub rows: Vec<ReceiptRow>,
    pub days: BTreeMap<u64, String>,
}

impl Store {
    pub fn write(&mut self, writes: &[AccountWrite]) {
        for write in writes {
            match write.clone() {
                AccountWrite::Limits(terms) => self.terms = Some(terms),
                AccountWrite::Reservation(id, promise) => drop(self.promises.insert(id, promise)),
                AccountWrite::CountQuota(counting) => self.counting = Some(counting),
                AccountWrite::EndReservation(id) => assert!(self.promises.remove(&id).is_some(), "{id}"),
                AccountWrite::Receipts(row) => {
                    let last = self.rows.last().cloned().unwrap_or_default();
                    let count = row.read().unwrap().len() as u64;
                    assert!(count > 0 && row.number == last.number + count, "{row:?} after {last:?}");
                    assert!(row.at >= last.at, "{row:?} after {last:?}");
                    self.rows.push(row);
                }
                AccountWrite::ReplaceReceipt(number, at, truth) => {
                    let row = self.rows.iter_mut().find(|row| row.number == number).unwrap();
                    assert!(
                        row.at == at && row.read().unwrap().iter().any(|entry| entry.id == truth.id),
                        "{row:?} {truth:?}"
                    );
                    row.receipts = row.replacing(&truth).unwrap();
                }
                AccountWrite::Sums(number, at, sums) => {
                    let last = self.rows.last_mut().unwrap();
                    assert_eq!(last.number, number);
                    assert_eq!(last.at, at);
                    last.sums = Some(sums);
                }
                AccountWrite::DaySums(day, sums) => assert_eq!(self.days.insert(day, sums), None, "day {day}"),
                AccountWrite::AmendDay(day, was, is) => {
                    let sums = AccountLedger::amend_day(day, &self.days[&day], &was, &is).unwrap();
                    self.days.insert(day, sums);
                }
            }
        }
    }

    pub fn open(&self, now: u64, zone: &Zone) -> AccountLedger {
        let promises = self.promises.clone().into_iter().collect();
        let kept =
            AccountSnapshot { limits: self.terms.clone(), reservations: promises, count_quota: self.counting.clone() };
        AccountLedger::open(kept, self.rows.iter().rev().cloned(), now, zone.clone()).unwrap()
    }

    pub fn entries(&self) -> impl Iterator<Item = (u64, Receipt)> {
        self.rows.iter().flat_map(|row| row.read().unwrap().into_iter().map(|entry| (row.at, entry)))
    }

    /// The usage of all days, as the ledger reports it.
    pub fn usage(&mut self, book: &mut AccountLedger, now: u64) -> BTreeMap<(u64, String, String), Totals> {
        let mut writes = Vec::new();
        let reply = book.handle(USAGE, now, &mut writes);
        self.write(&writes);
        self.with_days(reply)
    }

    pub fn with_days(&self, today: AccountResponse) -> BTreeMap<(u64, String, String), Totals> {
        let AccountResponse::Usage(today) = today else { panic!("no usage") };
        let mut reports: Vec<UsageReport> =
            self.days.iter().flat_map(|(day, sums)| AccountLedger::usage_of_day(*day, sums).unwrap()).collect();
        reports.extend(today);
        let mut usage = BTreeMap::new();
        for report in reports {
            let old = usage.insert((report.day, report.provider, report.model), report.totals);
            assert_eq!(old, None, "reported twice");
        }
        usage
    }

    /// The same, as the sum of the receipts by the days of this zone.
    pub fn sums(&self, zone: &Zone) -> BTreeMap<(u64, String, String), Totals> {
        let mut sums: BTreeMap<_, Totals> = BTreeMap::new();
        for (at, entry) in self.entries().filter(|(_, entry)| !entry.member) {
            let totals = sums.entry((zone.day_at(at), entry.provider, entry.model)).or_default();
            totals.requests += 1;
            if entry.outcome != "complete" {
                *totals.failures.entry(entry.outcome).or_default() += 1;
            }
            let tokens = entry.tokens.unwrap_or_default();
            totals.tokens.uncached_input += tokens.uncached_input;
            totals.tokens.output += tokens.output;
            totals.estimated += u64::from(entry.estimated);
            totals.cost += entry.cost.unwrap_or(0);
            totals.unpriced += u64::from(entry.cost.is_none());
        }
        sums
    }
}

pub const USAGE: AccountCommand = AccountCommand::Usage { from: 0, to: u64::MAX };
