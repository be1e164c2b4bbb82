//! Receipts on their way to the books: those that come within a moment go in one order, so that a busy key costs few.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use worker::{Delay, Env};

use super::host::{Edge, log, now};
use super::object;
use crate::config::Millis;
use crate::gateway::host::Seat;
use crate::ledger::{Entry, Order, Reply};

/// Receipts of keys without limits are gathered for so long.
const GATHERING: Millis = 100;
/// A carrier that has not left by then has been cut off: another takes over.
const LOST: Millis = 2_000;
/// Entries in one order.
pub(super) const MOST_ENTRIES: u64 = 250;
/// Pauses before an order is tried again.
const PAUSES: [Millis; 3] = [200, 1_000, 4_000];

thread_local! {
    /// Only values are kept here, never anything that belongs to a request.
    static OUTBOX: RefCell<Outbox> = const { RefCell::new(Outbox { letters: BTreeMap::new(), carried_until: 0 }) };
}

#[derive(Default)]
struct Outbox {
    /// By account.
    letters: BTreeMap<String, Vec<Entry>>,
    /// Until then, somebody is going to carry them.
    carried_until: Millis,
}

/// Sends an entry at once: a key with limits waits for the truth.
pub(super) fn send(edge: &Edge, account: String, entry: Entry) {
    let env = edge.env();
    edge.keep(async move { carry(&env, account, vec![entry]).await });
}

/// Sends an entry together with those that come within a moment.
pub(super) fn gather(edge: &Edge, account: String, entry: Entry) {
    let now = now();
    let carries = OUTBOX.with_borrow_mut(|outbox| {
        outbox.letters.entry(account).or_default().push(entry);
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
    edge.keep(async move {
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
pub(super) fn renew(edge: &Edge, accounts: &[String], order: &Order) {
    let (env, accounts) = (edge.env(), accounts.to_vec());
    let Ok(order) = serde_json::to_string(order) else { return };
    edge.keep(async move {
        join_all(accounts.iter().map(|account| deliver(&env, account, &order))).await;
    });
}

/// Sends entries until they have arrived. An account counts each once, however often it comes.
async fn carry(env: &Env, account: String, entries: Vec<Entry>) {
    let Ok(order) = serde_json::to_string(&Order::Settle(entries)) else { return };
    if !deliver(env, &account, &order).await {
        log(&format!(
            "{{\"level\":\"error\",\"event\":\"receipts_lost\",\"account\":\"{account}\",\"order\":{order}}}"
        ));
    }
}

/// Sends an order, again if need be; whether it has arrived.
async fn deliver(env: &Env, account: &str, order: &str) -> bool {
    for pause in PAUSES.into_iter().map(Some).chain([None]) {
        let reply = object::ask(env, Seat::Account(account), order.to_owned()).await;
        if reply.is_ok_and(|reply| serde_json::from_str(&reply).is_ok_and(|reply| matches!(reply, Reply::Done))) {
            return true;
        }
        if let Some(pause) = pause {
            Delay::from(Duration::from_millis(pause)).await;
        }
    }
    false
}
