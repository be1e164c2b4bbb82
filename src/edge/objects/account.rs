//! The Durable Object that keeps the books of one account. A shell: it reads, asks the book, and writes what the book says.

use std::cell::RefCell;

use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::account_store::AccountStore;
use super::sql::unreadable;
use crate::edge::clock::now;
use crate::edge::isolate::bridge;
use crate::edge::receipt_queue::MOST_ENTRIES;
use crate::ledger::{AccountCommand, AccountLedger, AccountResponse, AccountWrite, ReceiptRow, day_of};

/// One account, named like its key.
#[durable_object(fetch)]
pub struct Account {
    shelf: AccountStore,
    /// Opened by the first order, and again after a failure to write.
    book: RefCell<Option<AccountLedger>>,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        let accounting = bridge(&env).map(|bridge| bridge.accounting()).unwrap_or_default();
        Self { shelf: AccountStore::new(state.storage().sql(), accounting), book: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let order = request.text().await?;
        // From here on nothing waits: what is read, decided and written is one step.
        let reply = serde_json::from_str(&order).map_or(Ok(AccountResponse::Malformed), |order| self.obey(order))?;
        Response::ok(serde_json::to_string(&reply)?)
    }
}

impl Account {
    fn obey(&self, order: AccountCommand) -> worker::Result<AccountResponse> {
        let now = now();
        let mut kept = self.book.borrow_mut();
        let mut book = match kept.take() {
            Some(book) => book,
            None => AccountLedger::open(self.shelf.kept()?, self.shelf.rows(None), now).map_err(unreadable)?,
        };
        let asked = Asked::of(&order);
        let mut writes = Vec::new();
        let reply = book.handle(order, now, &mut writes);
        // A book that could not be read, or whose words could not be kept, is closed: it is opened anew from what could.
        self.shelf.check()?;
        self.write(&writes)?;
        let reply = match asked {
            Asked::Entries(before, limit) => self.entries(before, limit),
            Asked::Usage(from, to) => self.usage(reply, from, to.min(day_of(now))),
            Asked::Other => reply,
        };
        self.shelf.check()?;
        *kept = Some(book);
        Ok(reply)
    }

    fn write(&self, writes: &[AccountWrite]) -> worker::Result<()> {
        writes.iter().try_for_each(|write| self.shelf.write(write))
    }

    /// Entries before a number, the newest first. A row that holds it is read as well.
    fn entries(&self, before: Option<u64>, limit: u64) -> AccountResponse {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let numbered = |row: ReceiptRow| {
            let (number, entries) = (row.number, self.shelf.receipts(&row));
            entries.into_iter().rev().zip(0..).map(move |(entry, back)| (number.saturating_sub(back), entry))
        };
        let rows = self.shelf.rows(before.map(|before| before.saturating_add(MOST_ENTRIES)));
        let entries = rows.flat_map(numbered).filter(|(number, _)| before.is_none_or(|before| *number < before));
        AccountResponse::Receipts(entries.take(limit).collect())
    }

    fn usage(&self, today: AccountResponse, from: u64, to: u64) -> AccountResponse {
        let mut reports = self.shelf.days(from, to);
        if let AccountResponse::Usage(today) = today {
            reports.extend(today);
        }
        AccountResponse::Usage(reports)
    }
}

/// What an order asks of the shelf, when all has been written.
enum Asked {
    Entries(Option<u64>, u64),
    Usage(u64, u64),
    Other,
}

impl Asked {
    fn of(order: &AccountCommand) -> Self {
        match order {
            AccountCommand::Receipts { before, limit } => Self::Entries(*before, *limit),
            AccountCommand::Usage { from, to } => Self::Usage(*from, *to),
            _ => Self::Other,
        }
    }
}
