//! A scripted platform.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use futures::future::LocalBoxFuture;
use llm_bridge::alerts::Observation;
use llm_bridge::config::Logging;
use llm_bridge::gateway::RequestState;
use llm_bridge::gateway::platform::{Broken, ProviderRequest, StreamHead};
use llm_bridge::ledger::health::SharedHealth;
use llm_bridge::ledger::registry::KeyRegistry;
use llm_bridge::ledger::{AccountCommand, AccountLedger, AccountResponse, AccountWrite, Receipt, ReceiptRow};
use llm_bridge::operations::LiveEvent;
use llm_bridge::reasoning_store;
use llm_bridge::telemetry::RequestSummary;
use llm_bridge::telemetry::log_file::{LogCommand, LogPage, LogQuery, LogResponse};
use llm_bridge::telemetry::metrics::Registry;
use llm_bridge::telemetry::otlp::Span;
use llm_bridge::tokens::{Encoding, Vocabulary};
use llm_bridge::wire::zone::Zone;

use super::script::Script;

/// The head of a streamed response, and what has been written of its body.
pub type BegunResponse = (StreamHead, Rc<RefCell<Vec<u8>>>);

/// A [`Platform`](llm_bridge::gateway::Platform) with a scripted provider and a clock that moves only when a
/// test or a timer moves it.
#[derive(Clone, Default)]
pub struct World {
    /// The next responses. Without one, the provider cannot be reached.
    pub scripts: Rc<RefCell<VecDeque<Script>>>,
    pub calls: Rc<RefCell<Vec<ProviderRequest>>>,
    pub logs: Rc<RefCell<Vec<String>>>,
    /// The log settings of the gateway's configuration.
    pub logging: Rc<RefCell<Logging>>,
    pub receipts: Rc<RefCell<Vec<Receipt>>>,
    /// What was reported of requests that have ended, and of what alerts may be about.
    pub summaries: Rc<RefCell<Vec<RequestSummary>>>,
    /// Whether somebody watches, and what was reported to them.
    pub is_watched: Rc<Cell<bool>>,
    pub board: Rc<Cell<u64>>,
    pub live: Rc<RefCell<Vec<LiveEvent>>>,
    /// When it was asked to look for watchers; whether it finds some.
    pub looks_for_watchers: Rc<RefCell<Vec<u64>>>,
    pub finds_watchers: Rc<Cell<bool>>,
    /// At which look of the request an admin has ended it; 0 = never.
    pub looks_to_end: Rc<Cell<u64>>,
    /// The spans that were exported.
    pub spans: Rc<RefCell<Vec<Span>>>,
    pub observations: Rc<RefCell<Vec<Observation>>>,
    /// What was measured, and how often that was to be sent without another report.
    pub metrics: Rc<RefCell<Registry>>,
    pub reported_measured: Rc<Cell<u64>>,
    /// The parts of the operations object by name: each answers a command.
    pub operations: Rc<RefCell<BTreeMap<&'static str, PartAnswer>>>,
    pub cancelled: Rc<Cell<bool>>,
    /// The accounts' ledgers, by the account's name. Their writes are dropped, except for receipts and the
    /// sums of days.
    pub ledgers: Rc<RefCell<HashMap<String, AccountLedger>>>,
    /// The zone of every name; without one, a few zones are known.
    pub zone: Rc<RefCell<Option<Zone>>>,
    /// The sums of days that are over, by account and day.
    pub days: Rc<RefCell<HashMap<String, BTreeMap<u64, String>>>>,
    pub clock: Rc<Cell<u64>>,
    /// The receipts that the ledgers wrote, oldest first.
    pub rows: Rc<RefCell<HashMap<String, Vec<ReceiptRow>>>>,
    pub directory: Rc<RefCell<KeyRegistry>>,
    /// What all isolates know of the health of targets.
    pub health: Rc<RefCell<SharedHealth>>,
    /// Where this isolate runs.
    pub data_center: Rc<RefCell<Option<String>>>,
    /// What the object of log files returns when it is read, and what it was asked.
    pub log_page: Rc<RefCell<LogPage>>,
    pub log_queries: Rc<RefCell<Vec<LogQuery>>>,
    /// The entries of the reasoning store, by the account's name and the id of the call.
    pub vault: Rc<RefCell<HashMap<(String, String), reasoning_store::SealedEntry>>>,
    /// What happens to the next commands to objects.
    pub fates: Rc<RefCell<VecDeque<Fate>>>,
    /// The objects that were called, in their order.
    pub called: Rc<RefCell<Vec<String>>>,
    pub rolled: Rc<Cell<u128>>,
    /// How many other tasks may run first, before and after each of the next commands.
    pub pauses: Rc<RefCell<VecDeque<usize>>>,
    /// The vocabularies for token counts.
    pub vocabularies: Vec<&'static Vocabulary>,
    /// The gateway's state of the request under way.
    pub state: Rc<RequestState>,
    /// The streamed response of the request under way, and what has been written of it.
    pub begun: Rc<RefCell<Option<BegunResponse>>>,
    /// What objects of regions say of their places, by region and number.
    pub places: Rc<RefCell<HashMap<(&'static str, usize), String>>>,
    /// The next texts that are fetched, and the URLs that were asked for. Without one, nothing can be
    /// fetched.
    pub texts: Rc<RefCell<VecDeque<String>>>,
    pub fetched: Rc<RefCell<Vec<String>>>,
    /// Tasks that outlive a response.
    pub tasks: Rc<RefCell<Vec<LocalBoxFuture<'static, ()>>>>,
    /// The deadline and the number of each timer; the number of timers made; and the duration of the newest.
    pub timers: Rc<RefCell<BTreeSet<(u64, u64)>>>,
    pub timers_made: Rc<Cell<u64>>,
    pub newest_timer: Rc<Cell<u64>>,
}

/// How a part of the operations object answers a command.
pub type PartAnswer = Box<dyn FnMut(&str) -> String>;

/// What happens to a command to an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Fine,
    /// It never arrives.
    Lost,
    /// It is carried out, and the response is lost.
    Unanswered,
}

impl World {
    pub fn saying(script: Script) -> Self {
        let world = Self::default();
        world.scripts.borrow_mut().push_back(script);
        world
    }

    pub(super) async fn pause(&self) {
        let mut left = self.pauses.borrow_mut().pop_front().unwrap_or(0);
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    pub(super) fn handle_account(&self, account: &str, command: AccountCommand) -> AccountResponse {
        let (mut ledgers, mut rows) = (self.ledgers.borrow_mut(), self.rows.borrow_mut());
        let rows = rows.entry(account.to_owned()).or_default();
        if let AccountCommand::Receipts { before, limit } = command {
            let numbered = rows.iter().flat_map(|row| {
                let entries = row.read().unwrap();
                let first = row.number + 1 - entries.len() as u64;
                (first..).zip(entries)
            });
            let mut entries: Vec<(u64, Receipt)> =
                numbered.filter(|(number, _)| before.is_none_or(|before| *number < before)).collect();
            entries.reverse();
            entries.truncate(usize::try_from(limit).unwrap());
            return AccountResponse::Receipts(entries);
        }
        if let AccountCommand::Anonymize { key, .. } = command {
            let mut receipts = 0;
            for row in rows.iter_mut() {
                if let Some((json, changed)) = row.anonymized(key.as_ref()).unwrap() {
                    row.receipts = json;
                    receipts += changed;
                }
            }
            return AccountResponse::Anonymized { receipts, next: None };
        }
        let range = if let AccountCommand::Usage { from, to } = command { Some(from..=to) } else { None };
        let mut writes = Vec::new();
        let ledger = ledgers.entry(account.to_owned()).or_default();
        ledger.set_zone(self.zone.borrow().clone().unwrap_or_default());
        let mut response = ledger.handle(command, self.clock.get(), &mut writes);
        let mut days = self.days.borrow_mut();
        let days = days.entry(account.to_owned()).or_default();
        for write in writes {
            match write {
                AccountWrite::Receipts(row) => rows.push(row),
                AccountWrite::DaySums(day, sums) => assert_eq!(days.insert(day, sums), None),
                _ => {}
            }
        }
        if let (Some(range), AccountResponse::Usage(reports)) = (range, &mut response) {
            for (day, sums) in days.range(range) {
                reports.extend(AccountLedger::usage_of_day(*day, sums).unwrap());
            }
        }
        response
    }

    pub(super) fn handle_log_files(&self, command: &str) -> LogResponse {
        match serde_json::from_str(command) {
            Ok(LogCommand::Read(query)) => {
                self.log_queries.borrow_mut().push(query);
                LogResponse::Page(self.log_page.borrow().clone())
            }
            Ok(LogCommand::Append(_)) => LogResponse::Appended,
            Ok(LogCommand::Status) => LogResponse::Status { status: self.log_page.borrow().status, database_bytes: 77 },
            Err(_) => LogResponse::Malformed,
        }
    }

    pub(super) fn handle_store(
        &self,
        account: &str,
        command: reasoning_store::StoreCommand,
    ) -> reasoning_store::StoreResponse {
        let mut kept = self.vault.borrow_mut();
        let place = |id: String| (account.to_owned(), id);
        match command {
            reasoning_store::StoreCommand::Keep { things, .. } => {
                kept.extend(things.into_iter().map(|thing| (place(thing.id.clone()), thing)));
                reasoning_store::StoreResponse::Kept
            }
            reasoning_store::StoreCommand::Recall(ids) => reasoning_store::StoreResponse::Found(
                ids.into_iter().filter_map(|id| kept.get(&place(id)).cloned()).collect(),
            ),
            reasoning_store::StoreCommand::KeepResponse { things, .. } => {
                kept.extend(things.into_iter().map(|thing| (place(thing.id.clone()), thing)));
                reasoning_store::StoreResponse::Kept
            }
            reasoning_store::StoreCommand::ReadResponse(id) => {
                let slices =
                    |(owner, slice): &(String, String)| owner == account && slice.starts_with(&format!("{id}/"));
                let mut found: Vec<_> =
                    kept.iter().filter(|(key, _)| slices(key)).map(|(_, thing)| thing.clone()).collect();
                found.sort_by(|one, other| one.id.cmp(&other.id));
                reasoning_store::StoreResponse::Found(found)
            }
            reasoning_store::StoreCommand::DropResponse(id) => {
                kept.retain(|(owner, slice), _| owner != account || !slice.starts_with(&format!("{id}/")));
                reasoning_store::StoreResponse::Kept
            }
        }
    }

    pub(super) fn counts(&self, encoding: Encoding, texts: &[String]) -> Result<Vec<u64>, Broken> {
        let vocabulary = self.vocabularies.iter().find(|known| known.encoding() == encoding).ok_or(Broken)?;
        Ok(texts.iter().map(|text| vocabulary.count(text)).collect())
    }

    pub fn call(&self) -> ProviderRequest {
        self.calls.borrow().last().unwrap().clone()
    }

    pub fn logged(&self, event: &str) -> Option<serde_json::Value> {
        let logs = self.logs.borrow();
        let mut records = logs.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        records.find(|record| record["event"] == event)
    }
}
