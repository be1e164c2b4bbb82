//! Waiting inside a request that has a lease: it is renewed meanwhile, whenever it is due.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use wasm_bindgen::JsValue;
use worker::Delay;

use super::clock::now;
use super::context::Edge;
use super::receipt_queue;
use crate::config::Millis;
use crate::gateway::platform::CallError;

impl Edge {
    /// So long until the request's lease is to be renewed; for ever if it has none.
    pub(super) fn until_renewal(&self) -> Millis {
        self.lease.borrow().as_ref().map_or(Millis::MAX, |lease| lease.wait(now()))
    }

    /// So many bytes of the answer have been heard: the next renewal says so.
    pub(super) fn heard(&self, bytes: u64) {
        self.lease.borrow().iter().for_each(|lease| lease.hear(bytes));
    }

    /// Renews the request's lease if it is due. Nobody waits for that.
    pub(super) fn renew(&self, heard: impl FnOnce() -> Option<u64>) {
        let lease = self.lease.borrow();
        let Some(lease) = lease.as_ref().filter(|lease| lease.wait(now()) == 0) else { return };
        heard().into_iter().for_each(|bytes| lease.hear(bytes));
        if let Some((order, accounts)) = lease.renewal(now()) {
            receipt_queue::renew(self, accounts, &order);
        }
    }

    /// Waits, and renews the request's lease meanwhile.
    pub(super) async fn pause(&self, time: Millis) {
        let end = now().saturating_add(time);
        loop {
            let left = end.saturating_sub(now());
            let step = left.min(self.until_renewal());
            Delay::from(Duration::from_millis(step)).await;
            self.renew(|| None);
            if step == left {
                return;
            }
        }
    }

    /// Waits for something no longer than so many milliseconds, and for what outlives its client no longer than a request may.
    pub(super) async fn within<T>(
        &self,
        limit: Millis,
        wait: impl Future<Output = Result<T, JsValue>>,
    ) -> Result<T, CallError> {
        match select(pin!(wait), select(pin!(self.pause(limit)), pin!(self.over()))).await {
            Either::Left((result, _)) => result.map_err(|_| CallError::Broken),
            Either::Right((Either::Left(_), _)) => Err(CallError::TimedOut),
            Either::Right((Either::Right(_), _)) => Err(CallError::ClientLeft),
        }
    }
}
