//! Receipts on their way to the books: those that come within a moment go in one order, so that a busy key costs few.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use worker::{Delay, Env};

use super::clock::now;
use super::context::Edge;
use super::log::report_failure;
use super::objects::call;
use crate::config::Millis;
use crate::gateway::platform::ObjectAddress;
use crate::gateway::{MemoryBudget, MemoryReservation};
use crate::ledger::{AccountCommand, AccountResponse, Receipt};
use crate::telemetry::{LostReceipts, RuntimeFailure};

/// Receipts of keys without limits are gathered for so long.
const GATHERING: Millis = 100;
/// A carrier that has not left by then has been cut off: another takes over.
const LOST: Millis = 2_000;
/// Entries in one order.
pub(super) const MOST_ENTRIES: u64 = 250;
/// The most that receipts on their way take in memory, and about how much each of them does, in bytes.
const MOST: usize = 16 << 20;
const EACH: usize = 1 << 10;
/// What has been on its way for longer has been cut off.
const CUT_OFF: Millis = 120_000;
/// Pauses before an order is tried again.
const PAUSES: [Millis; 3] = [200, 1_000, 4_000];

thread_local! {
    /// Only values are kept here, never anything that belongs to a request.
    static OUTBOX: RefCell<ReceiptQueue> = const { RefCell::new(ReceiptQueue { letters: BTreeMap::new(), carried_until: 0 }) };
    static ROOM: Rc<MemoryBudget> = MemoryBudget::new(MOST);
    /// Receipts that went to the log instead of the books.
    static LOST_SO_FAR: Cell<usize> = const { Cell::new(0) };
}

#[derive(Default)]
struct ReceiptQueue {
    /// By account.
    letters: BTreeMap<String, Vec<Letter>>,
    /// Until then, somebody is going to carry them.
    carried_until: Millis,
}

/// An entry, and the room that it takes in memory until it has arrived.
type Letter = (Receipt, MemoryReservation);

/// An entry that there is room for. What there is no room for goes to the log at once, and is counted there.
fn letter(account: &str, entry: Receipt) -> Option<Letter> {
    let now = now();
    let room = ROOM.with(|room| room.reserve(0, now, now.saturating_add(CUT_OFF)));
    match room.filter(|room| room.hold(EACH)) {
        Some(room) => Some((entry, room)),
        None => {
            let order = AccountCommand::Settle(vec![entry]);
            serde_json::to_string(&order).iter().for_each(|order| lose(account, order, 1));
            None
        }
    }
}

/// Writes entries to the log that do not reach the books.
fn lose(account: &str, order: &str, entries: usize) {
    let lost = LOST_SO_FAR.get().saturating_add(entries);
    LOST_SO_FAR.set(lost);
    report_failure(RuntimeFailure::ReceiptsLost(LostReceipts { account, lost_so_far: lost, order }));
}

/// Sends an entry at once: a key with limits waits for the truth.
pub(super) fn send(edge: &Edge, account: String, entry: Receipt) {
    let Some(letter) = letter(&account, entry) else { return };
    let env = edge.env();
    edge.wait_until(async move { carry(&env, account, vec![letter]).await });
}

/// Sends an entry together with those that come within a moment.
pub(super) fn enqueue(edge: &Edge, account: String, entry: Receipt) {
    let Some(letter) = letter(&account, entry) else { return };
    let now = now();
    let carries = OUTBOX.with_borrow_mut(|outbox| {
        outbox.letters.entry(account).or_default().push(letter);
        let carries = outbox.carried_until <= now;
        if carries {
            outbox.carried_until = now + LOST;
        }
        carries
    });
    if !carries {
        return;
    }
    let env = edge.env();
    edge.wait_until(async move {
        Delay::from(Duration::from_millis(GATHERING)).await;
        let outbox = OUTBOX.take();
        let letters = outbox.letters.into_iter().flat_map(|(account, mut entries)| {
            let mut orders = Vec::new();
            while !entries.is_empty() {
                let rest = entries.split_off(entries.len().min(usize::try_from(MOST_ENTRIES).unwrap_or(1)));
                orders.push((account.clone(), std::mem::replace(&mut entries, rest)));
            }
            orders
        });
        join_all(letters.map(|(account, entries)| carry(&env, account, entries))).await;
    });
}

/// Renews a lease. If that fails, the next renewal does it.
pub(super) fn renew(edge: &Edge, accounts: &[String], order: &AccountCommand) {
    let (env, accounts) = (edge.env(), accounts.to_vec());
    let Ok(order) = serde_json::to_string(order) else { return };
    edge.wait_until(async move {
        join_all(accounts.iter().map(|account| deliver(&env, account, &order))).await;
    });
}

/// Sends entries until they have arrived. An account counts each once, however often it comes.
async fn carry(env: &Env, account: String, letters: Vec<Letter>) {
    let (entries, rooms): (Vec<Receipt>, Vec<MemoryReservation>) = letters.into_iter().unzip();
    let Ok(order) = serde_json::to_string(&AccountCommand::Settle(entries)) else { return };
    if !deliver(env, &account, &order).await {
        lose(&account, &order, rooms.len());
    }
}

/// Sends an order, again if need be; whether it has arrived.
async fn deliver(env: &Env, account: &str, order: &str) -> bool {
    for pause in PAUSES.into_iter().map(Some).chain([None]) {
        let reply = call::ask(env, ObjectAddress::Account(account), order.to_owned()).await;
        if reply
            .is_ok_and(|reply| serde_json::from_str(&reply).is_ok_and(|reply| matches!(reply, AccountResponse::Done)))
        {
            return true;
        }
        if let Some(pause) = pause {
            Delay::from(Duration::from_millis(pause)).await;
        }
    }
    false
}
