//! What an isolate keeps for the admin API.

use std::cell::Cell;

use super::access_keys::AccessKeyCache;

/// What an isolate keeps for the admin API.
#[derive(Debug, Default)]
pub struct AdminState {
    /// Sign-ins with unknown keys, or without any, that the audit log has not been told of.
    failed_sign_ins: Cell<u64>,
    /// The keys with which Cloudflare Access signs tokens.
    pub access_keys: AccessKeyCache,
}

impl AdminState {
    /// Counts a sign-in with an unknown key. It costs nothing else: nobody without a key makes the gateway
    /// ask an object.
    pub fn note_failed_sign_in(&self) {
        self.add_failed_sign_ins(1);
    }

    /// Adds sign-ins that did not reach the audit log.
    pub fn add_failed_sign_ins(&self, count: u64) {
        self.failed_sign_ins.set(self.failed_sign_ins.get().saturating_add(count));
    }

    /// Takes the failed sign-ins, to tell the audit log.
    pub fn take_failed_sign_ins(&self) -> u64 {
        self.failed_sign_ins.take()
    }
}
