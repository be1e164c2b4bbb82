//! The Durable Object of one account: it reads its tables, asks [`AccountLedger`], and stores the returned
//! writes.

use std::cell::{Cell, RefCell};

use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::account_store::AccountStore;
use super::budget_alerts::{BudgetAlerts, FIRST_PAUSE};
use super::command;
use super::sql::unreadable;
use crate::alerts::{Observation, PeriodReading, ReachedThreshold};
use crate::config::Millis;
use crate::edge::clock::now;
use crate::edge::isolate::bridge;
use crate::edge::js::set_alarm;
use crate::edge::log::report_failure;
use crate::edge::receipt_queue::MAX_BATCH;
use crate::edge::zone::zone_at;
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, AccountLedger, AccountResponse, BudgetSpend, ReceiptRow};
use crate::telemetry::RuntimeFailure;
use crate::wire::zone::Zone;

/// How many rows of receipts one command anonymizes.
const MAX_ANONYMIZED: usize = 1_000;
/// No day is later, and SQLite takes its number.
const LAST_DAY: u64 = u32::MAX as u64;

/// One account, with the name of its key. The class name is part of wrangler.toml.
#[durable_object(alarm)]
pub struct Account {
    state: State,
    env: Env,
    /// The thresholds of budgets about which there are alerts, in percent, unless the key has its own.
    thresholds: Vec<u32>,
    /// Whether anything is reported to the operations object.
    reports: bool,
    store: AccountStore,
    alerts: BudgetAlerts,
    /// Opened by the first command, and again after a failed read or write.
    ledger: RefCell<Option<AccountLedger>>,
    /// The name of the zone by which days and periods of budgets begin, and until when the ledger knows its
    /// offsets.
    timezone: String,
    zone_until: Cell<Millis>,
}

impl DurableObject for Account {
    fn new(state: State, env: Env) -> Self {
        let bridge = bridge(&env).ok();
        let accounting = bridge.as_ref().map(|bridge| bridge.accounting()).unwrap_or_default();
        let thresholds = bridge.as_ref().map(|bridge| bridge.alert_rules().budget_percents.clone());
        Self {
            store: AccountStore::new(state.storage().sql(), accounting),
            alerts: BudgetAlerts::new(state.storage().sql()),
            thresholds: thresholds.unwrap_or_default(),
            reports: bridge.as_ref().is_some_and(|bridge| bridge.reporting().enabled),
            state,
            env,
            ledger: RefCell::new(None),
            timezone: bridge.map(|bridge| bridge.reporting().clone()).unwrap_or_default().timezone,
            zone_until: Cell::new(0),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let command = command::read(&request).await?;
        // Nothing awaits from here on: reading, deciding and writing are one step.
        let response = serde_json::from_str(&command)
            .map_or(Ok(AccountResponse::Malformed), |parsed| self.handle(parsed, &command))?;
        command::respond(serde_json::to_string(&response)?)
    }

    /// Reports thresholds of the budget that have not arrived yet.
    async fn alarm(&self) -> worker::Result<Response> {
        if let Some(at) = self.alerts.clone().deliver(&self.env, now()).await {
            set_alarm(&self.state, at);
        }
        Response::empty()
    }
}

impl Account {
    fn handle(&self, command: AccountCommand, json: &str) -> worker::Result<AccountResponse> {
        let now = now();
        let mut opened = self.ledger.borrow_mut();
        let mut ledger = self.current(opened.take(), now)?;
        let (query, before) = (Query::of(&command), self.reached(&ledger));
        let mut writes = Vec::new();
        let response = ledger.handle_received(command, Some(json), now, &mut writes);
        // After a failed read or write the ledger stays closed: the next command opens it from what was
        // written.
        self.store.check()?;
        writes.iter().try_for_each(|write| self.store.write(write))?;
        let response = match query {
            Some(Query::Receipts { before, limit }) => self.receipts(before, limit),
            Some(Query::Anonymize { key, before }) => self.anonymize(key.as_ref(), before)?,
            Some(Query::Usage { from, to }) => self.usage(response, from, to.min(LAST_DAY)),
            None => response,
        };
        self.store.check()?;
        self.observe_budget(before, &ledger, now);
        *opened = Some(ledger);
        Ok(response)
    }

    /// The highest threshold of the budget that is reached; `None` without a budget.
    fn reached(&self, ledger: &AccountLedger) -> Option<ReachedThreshold> {
        let BudgetSpend { period, spent, budget, .. } = ledger.budget_spend()?;
        let reading = PeriodReading { period, amount: spent, limit: budget };
        Some(reading.reached(ledger.budget_alerts().unwrap_or(&self.thresholds)))
    }

    /// Reports, in the background, that a threshold of the budget was reached, or that a period after such a
    /// one has begun. This object alone knows the spend exactly, so it reports each of them once. It is kept
    /// with what the command has written until it has arrived: the alarm tries again if the process ends.
    fn observe_budget(&self, before: Option<ReachedThreshold>, ledger: &AccountLedger, now: Millis) {
        let is_news = self.reached(ledger).is_some_and(|reached| reached.is_news(before.as_ref()));
        if !is_news || !self.reports {
            return;
        }
        let (Some(spend), Some(key)) = (ledger.budget_spend(), self.state.id().name()) else { return };
        let BudgetSpend { per, period, spent, budget } = spend;
        let (key, per, percents) = (AccountId::from(key), per.name().to_owned(), ledger.budget_alerts());
        let percents = percents.map(<[u32]>::to_vec);
        let observation = Observation::Budget { key, per, period, spent, budget, percents };
        if let Err(error) = self.alerts.keep(&observation, now) {
            return report_failure(RuntimeFailure::ObjectFailed(&error.to_string()));
        }
        set_alarm(&self.state, now.saturating_add(FIRST_PAUSE));
        let (alerts, env) = (self.alerts.clone(), self.env.clone());
        self.state.wait_until(async move {
            alerts.deliver(&env, now).await;
        });
    }

    /// The ledger, opened if it is closed, with the offsets of the zone for the month that follows.
    fn current(&self, opened: Option<AccountLedger>, now: Millis) -> worker::Result<AccountLedger> {
        let Some(mut ledger) = opened else {
            return AccountLedger::open(self.store.snapshot()?, self.store.rows(None), now, self.zone(now))
                .map_err(unreadable);
        };
        if self.zone_until.get() <= now {
            ledger.set_zone(self.zone(now));
        }
        Ok(ledger)
    }

    fn zone(&self, now: Millis) -> Zone {
        let known = zone_at(&self.timezone, now);
        self.zone_until.set(known.until);
        known.zone
    }

    /// Receipts with a number below `before`, the newest first. The row with that number is read as well.
    fn receipts(&self, before: Option<u64>, limit: u64) -> AccountResponse {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // A row has the number of its last receipt.
        let numbered = |row: ReceiptRow| {
            let (number, receipts) = (row.number, self.store.receipts(&row));
            receipts.into_iter().rev().zip(0..).map(move |(receipt, back)| (number.saturating_sub(back), receipt))
        };
        let rows = self.store.rows(before.map(|before| before.saturating_add(MAX_BATCH as u64)));
        let receipts = rows.flat_map(numbered).filter(|(number, _)| before.is_none_or(|before| *number < before));
        AccountResponse::Receipts(receipts.take(limit).collect())
    }

    /// Takes request ids out of some rows of receipts, the newest first.
    fn anonymize(&self, key: Option<&AccountId>, before: Option<u64>) -> worker::Result<AccountResponse> {
        let (mut receipts, mut next, mut left) = (0, None, MAX_ANONYMIZED);
        for row in self.store.rows(before).take(MAX_ANONYMIZED) {
            if let Some((json, changed)) = row.anonymized(key).map_err(unreadable)? {
                self.store.rewrite_receipts(&row, &json)?;
                receipts += changed;
            }
            left -= 1;
            next = Some(row.number).filter(|_| left == 0);
        }
        Ok(AccountResponse::Anonymized { receipts, next })
    }

    /// The usage of past days, and that of the current one.
    fn usage(&self, today: AccountResponse, from: u64, to: u64) -> AccountResponse {
        let mut reports = self.store.days(from, to);
        if let AccountResponse::Usage(today) = today {
            reports.extend(today);
        }
        AccountResponse::Usage(reports)
    }
}

/// A command that is about the tables, and carried out after everything has been written.
enum Query {
    Receipts { before: Option<u64>, limit: u64 },
    Usage { from: u64, to: u64 },
    Anonymize { key: Option<AccountId>, before: Option<u64> },
}

impl Query {
    fn of(command: &AccountCommand) -> Option<Self> {
        match command {
            AccountCommand::Receipts { before, limit } => Some(Self::Receipts { before: *before, limit: *limit }),
            AccountCommand::Usage { from, to } => Some(Self::Usage { from: *from, to: *to }),
            AccountCommand::Anonymize { key, before } => Some(Self::Anonymize { key: key.clone(), before: *before }),
            _ => None,
        }
    }
}
