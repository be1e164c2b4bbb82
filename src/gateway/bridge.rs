//! The gateway as the operator set it up: configuration, secrets and the caches of one isolate.

use std::rc::Rc;

use super::admission_cache::AdmissionCache;
use super::memory::{MemoryBudget, MemoryReservation};
use super::signing_cache::SigningCache;
use crate::config::{Accounting, Auth, Config, Cors, Logging, Millis, Problem};
use crate::error::Error;
use crate::formats::Framing;
use crate::ids::{AccountId, KeyHash};
use crate::ledger::signing::SigningSecrets;
use crate::policy::auth::{self, AccessKeys};
use crate::provider::{ProviderAccount, redact, redact_json};
use crate::session::{ConnectionSlots, PendingLimits, SessionLimits};

/// The variable that holds the admin keys.
pub const ADMIN_VARIABLE: &str = "ADMIN_API_KEYS";

/// The account of callers without a key.
pub(super) const ANONYMOUS: &str = "anonymous";

/// The gateway as the operator set it up: proven configuration and secrets. One for the life of an isolate.
pub struct Bridge {
    pub(super) config: Config,
    pub(super) access: AccessKeys,
    pub(super) admin: AccessKeys,
    /// As the providers of the configuration.
    pub(super) accounts: Vec<ProviderAccount>,
    pub(super) known: AdmissionCache,
    pub(super) keyring: SigningCache,
    pub(super) memory: Rc<MemoryBudget>,
    /// The connections without a key that this isolate has.
    pub(super) slots: Rc<ConnectionSlots>,
    pub(super) opened: Millis,
}

/// The gateway, or what is wrong with its configuration.
pub type Opened = Result<Rc<Bridge>, Vec<Problem>>;

/// The response of every request while the configuration is faulty.
pub fn misconfigured(problems: &[Problem]) -> Error {
    let shown: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
    let message = format!("The gateway's configuration (config.yaml) is faulty: {}", shown.join("; "));
    Error::gateway(500, "invalid_configuration", message)
}

impl Bridge {
    /// Proves the configuration and gathers the secrets; `secret` gives the value of a variable.
    ///
    /// # Errors
    /// The faults of the configuration.
    pub fn open(text: &str, secret: impl Fn(&str) -> Option<String>, now: Millis) -> Result<Self, Vec<Problem>> {
        let config = Config::read(text, crate::formats::KINDS)?;
        let access = AccessKeys::read(&secret(auth::VARIABLE).unwrap_or_default());
        let admin = AccessKeys::read(&secret(ADMIN_VARIABLE).unwrap_or_default());
        let accounts = config.providers.iter().map(|provider| ProviderAccount::open(provider, &secret)).collect();
        let memory = MemoryBudget::new(config.memory_bytes);
        let (known, keyring, slots) = (AdmissionCache::default(), SigningCache::default(), Rc::default());
        Ok(Self { config, access, admin, accounts, known, keyring, memory, slots, opened: now })
    }

    /// Which pages of other origins browsers may let read responses.
    pub fn cors(&self) -> &Cors {
        &self.config.cors
    }

    /// The keys that open the admin API.
    pub fn admin_keys(&self) -> &AccessKeys {
        &self.admin
    }

    /// The accounts that exist by configuration: one for each fixed key, and that of callers without a key,
    /// if those are admitted.
    pub fn fixed_accounts(&self) -> impl Iterator<Item = AccountId> {
        let anonymous = (self.config.auth == Auth::NoneOnLoopback).then(|| ANONYMOUS.into());
        self.access.ids().cloned().chain(anonymous)
    }

    /// Forgets what this isolate has cached of a key, by its hash. Other isolates rely on their caches for
    /// some seconds more.
    pub fn forget_key(&self, hash: &KeyHash) {
        self.known.forget(hash);
    }

    /// Caches the secrets that sign keys, as the registry has them now.
    pub fn learn_signing(&self, signing: SigningSecrets, now: Millis) {
        self.keyring.learn(signing, now);
    }

    /// Forgets the cached secrets that sign keys.
    pub fn forget_signing(&self) {
        self.keyring.forget();
    }

    /// What is kept in the books, and for how long.
    pub fn accounting(&self) -> Accounting {
        self.config.accounting
    }

    /// The longest whole answer that is held, in bytes, and room for one in memory, if there is any.
    pub fn answer_room(&self, now: Millis) -> Option<(usize, MemoryReservation)> {
        let room = self.memory.reserve(0, now, now.saturating_add(self.config.max_total_time()))?;
        Some((self.config.max_answer_bytes, room))
    }

    /// Room in memory for messages that wait while a key is checked; none yet.
    pub fn waiting_room(&self, now: Millis) -> Option<MemoryReservation> {
        self.memory.reserve(0, now, now.saturating_add(self.config.max_total_time()))
    }

    /// What a WebSocket session is allowed.
    pub fn session_rules(&self) -> SessionLimits {
        SessionLimits::of(&self.config)
    }

    /// What a connection without a key is allowed.
    pub fn pending_limits(&self) -> PendingLimits {
        PendingLimits::of(&self.config)
    }

    /// How the log is written.
    pub fn logging(&self) -> &Logging {
        &self.config.logging
    }

    /// What the configuration asks for that has no effect.
    pub fn notes(&self) -> &[Problem] {
        &self.config.notes
    }

    /// Takes out of a provider's words what a caller must not see.
    pub(super) fn redact(&self, provider: usize, error: Error) -> Error {
        let Some(row) = self.config.providers.get(provider) else { return error };
        error.reworded(|word| redact(word, row, self.account(provider)))
    }

    /// Takes the same out of a piece of a stream in which the provider has reported an error.
    pub(super) fn redact_stream(&self, provider: usize, framing: &Framing, piece: &[u8]) -> Vec<u8> {
        let Some(row) = self.config.providers.get(provider) else { return piece.to_owned() };
        (framing.rewrite)(piece, &|data| redact_json(data, row, self.account(provider)))
    }

    pub(super) fn account(&self, index: usize) -> &ProviderAccount {
        self.accounts.get(index).unwrap_or(&ProviderAccount::Keyless)
    }
}
