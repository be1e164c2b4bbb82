//! Sends receipts to their accounts. Receipts of keys without limits are sent in batches, so that a busy key
//! costs few requests to its account.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use futures::future::join_all;
use worker::Env;

use super::clock::now;
use super::context::Edge;
use super::log::report_failure;
use super::objects::call;
use super::operations_queue;
use super::slots::Timer;
use crate::config::Millis;
use crate::gateway::platform::ObjectAddress;
use crate::gateway::{MemoryBudget, MemoryReservation};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, AccountResponse, Receipt};
use crate::telemetry::metrics::LOST_RECEIPTS;
use crate::telemetry::{LostReceipts, RuntimeFailure};

/// How long receipts wait for others of the same batch.
const BATCH_DELAY: Millis = 100;
/// If a request that was to send the queue has not done so after this time, it was cut off, and another takes
/// over.
const SENDER_TIMEOUT: Millis = 2_000;
/// The maximum number of receipts in a batch.
pub(super) const MAX_BATCH: usize = 250;
/// The maximum memory of all receipts that are not sent yet, and the assumed size of one, in bytes.
const MAX_MEMORY: usize = 16 << 20;
const RECEIPT_BYTES: usize = 1 << 10;
/// After this time the request that was sending a receipt has been cut off.
const MAX_AGE: Millis = 120_000;
/// The delays before a command is sent again.
const RETRY_DELAYS: [Millis; 3] = [200, 1_000, 4_000];

thread_local! {
    /// Holds values only, never anything that belongs to a request.
    static QUEUE: RefCell<ReceiptQueue> = const { RefCell::new(ReceiptQueue { receipts: BTreeMap::new(), sender_until: 0 }) };
    static MEMORY: Rc<MemoryBudget> = MemoryBudget::new(MAX_MEMORY);
    /// The number of receipts that were written to the log because they did not reach their account.
    static LOST_SO_FAR: Cell<usize> = const { Cell::new(0) };
}

#[derive(Default)]
struct ReceiptQueue {
    /// By account.
    receipts: BTreeMap<AccountId, Vec<QueuedReceipt>>,
    /// Until this time, some request is going to send them.
    sender_until: Millis,
}

/// A receipt, and the memory reserved for it until it has arrived.
struct QueuedReceipt {
    receipt: Receipt,
    memory: MemoryReservation,
}

impl QueuedReceipt {
    /// Reserves memory for a receipt. If there is none, the receipt is written to the log at once.
    fn new(account: &AccountId, receipt: Receipt) -> Option<Self> {
        let now = now();
        let memory = MEMORY.with(|memory| memory.reserve(0, now, now.saturating_add(MAX_AGE)));
        if let Some(memory) = memory
            && memory.hold(RECEIPT_BYTES)
        {
            return Some(Self { receipt, memory });
        }
        if let Ok(command) = AccountCommand::settle(vec![receipt]) {
            report_lost(account, &command, 1);
        }
        None
    }
}

/// Writes receipts to the log that did not reach their account.
fn report_lost(account: &AccountId, command: &str, receipts: usize) {
    let lost_so_far = LOST_SO_FAR.get().saturating_add(receipts);
    LOST_SO_FAR.set(lost_so_far);
    operations_queue::measure(&LOST_RECEIPTS, &[], receipts as u64);
    report_failure(RuntimeFailure::ReceiptsLost(LostReceipts { account: account.as_str(), lost_so_far, command }));
}

/// Sends a receipt at once, because the limits of its key depend on it.
pub(super) fn send(edge: &Edge, account: AccountId, receipt: Receipt) {
    let Some(queued) = QueuedReceipt::new(&account, receipt) else { return };
    let env = edge.env();
    edge.wait_until(async move { settle(&env, account, vec![queued]).await });
}

/// Sends a receipt in a batch with those that follow shortly.
pub(super) fn enqueue(edge: &Edge, account: AccountId, receipt: Receipt) {
    let Some(queued) = QueuedReceipt::new(&account, receipt) else { return };
    let now = now();
    let has_sender = QUEUE.with_borrow_mut(|queue| {
        queue.receipts.entry(account).or_default().push(queued);
        let has_sender = queue.sender_until > now;
        if !has_sender {
            queue.sender_until = now + SENDER_TIMEOUT;
        }
        has_sender
    });
    if has_sender {
        return;
    }
    let env = edge.env();
    edge.wait_until(async move {
        Timer::new(BATCH_DELAY).await;
        let accounts = QUEUE.take().receipts.into_iter();
        let batches = accounts
            .flat_map(|(account, receipts)| batches(receipts).into_iter().map(move |batch| (account.clone(), batch)));
        join_all(batches.map(|(account, batch)| settle(&env, account, batch))).await;
    });
}

/// Divides receipts into batches, in their order.
fn batches(mut receipts: Vec<QueuedReceipt>) -> Vec<Vec<QueuedReceipt>> {
    let mut batches = Vec::new();
    while !receipts.is_empty() {
        let rest = receipts.split_off(receipts.len().min(MAX_BATCH));
        batches.push(std::mem::replace(&mut receipts, rest));
    }
    batches
}

/// Renews a lease in these accounts. A renewal that fails is made up for by the next one.
pub(super) fn renew(edge: &Edge, accounts: &[AccountId], command: &AccountCommand) {
    let (env, accounts) = (edge.env(), accounts.to_vec());
    let Ok(command) = serde_json::to_string(command) else { return };
    edge.wait_until(async move {
        join_all(accounts.iter().map(|account| deliver(&env, account, &command))).await;
    });
}

/// Sends a batch until it has arrived. An account settles each receipt once, however often it is sent.
async fn settle(env: &Env, account: AccountId, batch: Vec<QueuedReceipt>) {
    let (receipts, memory): (Vec<Receipt>, Vec<MemoryReservation>) =
        batch.into_iter().map(|QueuedReceipt { receipt, memory }| (receipt, memory)).unzip();
    let Ok(command) = AccountCommand::settle(receipts) else { return };
    if !deliver(env, &account, &command).await {
        report_lost(&account, &command, memory.len());
    }
}

/// Sends a command, repeatedly if necessary. Returns whether it has arrived.
async fn deliver(env: &Env, account: &AccountId, command: &str) -> bool {
    for delay in RETRY_DELAYS.into_iter().map(Some).chain([None]) {
        let response = call::ask(env, ObjectAddress::Account(account.as_str()), command.to_owned()).await;
        if response.is_ok_and(|text| matches!(serde_json::from_str(&text), Ok(AccountResponse::Done))) {
            return true;
        }
        if let Some(delay) = delay {
            Timer::new(delay).await;
        }
    }
    false
}
