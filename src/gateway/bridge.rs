//! The configured gateway: configuration, secrets and the caches of one isolate.

use std::cell::RefCell;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::admin_state::AdminState;
use super::admission_cache::AdmissionCache;
use super::health::{HealthStore, KeyPool, PoolKey};
use super::learned_facts::LearnedFacts;
use super::listed_models::ListedModels;
use super::memory::{MemoryBudget, MemoryReservation};
use super::open_requests::{OpenRequest, OpenRequests};
use super::provider_models::ProviderModels;
use super::region_store::RegionStore;
use super::signing_cache::SigningCache;
use super::tracing::TraceRules;
use super::warm::WarmPrompts;
use crate::alerts::{AlertRules, Destinations};
use crate::config::{
    Accounting, AdminSettings, Auth, Config, Cors, EgressRule, Logging, Millis, Otlp, Problem, Provider,
    RegionSettings, Reporting,
};
use crate::error::Error;
use crate::formats::Framing;
use crate::ids::{AccountId, KeyHash};
use crate::ledger::signing::SigningSecrets;
use crate::policy::auth::{self, AccessKeys};
use crate::policy::speed::Speeds;
use crate::provider::{PooledKey, ProviderAccount, Proxies, Proxy, redact, redact_json, redact_proxy};
use crate::session::{ConnectionSlots, PendingLimits, SessionLimits};
use crate::telemetry::otlp::{HeaderFault, read_headers};

/// The variable that holds the admin keys.
pub const ADMIN_VARIABLE: &str = "ADMIN_API_KEYS";

/// The variable that holds the read-only admin keys.
pub const ADMIN_READ_VARIABLE: &str = "ADMIN_READ_API_KEYS";

/// The variable that holds the keys of metrics.
pub const METRICS_VARIABLE: &str = "METRICS_API_KEYS";

/// The account of callers without a key.
pub(super) const ANONYMOUS: &str = "anonymous";

/// The configured gateway, with a validated configuration and its secrets. An isolate has one
/// until it is given another configuration.
pub struct Bridge {
    pub(super) config: Config,
    pub(super) access: AccessKeys,
    pub(super) admin: AccessKeys,
    admin_read: AccessKeys,
    metrics_keys: AccessKeys,
    admin_state: AdminState,
    /// One for each provider of the configuration, in the same order.
    pub(super) accounts: Vec<ProviderAccount>,
    /// Likewise; `None` if it is called without one.
    proxies: Vec<Option<Rc<Proxy>>>,
    pub(super) known: AdmissionCache,
    pub(super) keyring: SigningCache,
    pub(super) learned: LearnedFacts,
    pub(super) listed: ListedModels,
    pub(super) provider_models: ProviderModels,
    pub(super) health: HealthStore,
    pub(super) warm: WarmPrompts,
    pub(super) speeds: RefCell<Speeds>,
    pub(super) regions: RegionStore,
    pub(super) memory: Rc<MemoryBudget>,
    /// How calls of models are traced, if anything is made of traces.
    pub(super) trace_rules: Option<Rc<TraceRules>>,
    /// The headers of export requests to OpenTelemetry. They are secrets.
    export_headers: Vec<(String, String)>,
    /// The connections without a key in this isolate.
    pub(super) slots: Rc<ConnectionSlots>,
    pub(super) open_requests: Rc<OpenRequests>,
    pub(super) opened: Millis,
    alert_rules: AlertRules,
    alert_destinations: Destinations,
}

/// The gateway, or the problems of its configuration.
pub type Opened = Result<Rc<Bridge>, Vec<Problem>>;

/// The error of every request while the configuration is faulty.
pub fn misconfigured(problems: &[Problem]) -> Error {
    let shown: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
    let message = format!("The gateway's configuration (config.yaml) is faulty: {}", shown.join("; "));
    Error::gateway(500, "invalid_configuration", message)
}

/// Reads where notices about alerts are sent. What is wrong with that becomes a note.
fn open_destinations(config: &mut Config, secret: &dyn Fn(&str) -> Option<String>) -> Destinations {
    let destinations = Destinations::read(secret, config.alerts.allow_private_addresses);
    let note = |message: &String| Problem { line: 0, path: "alerts".to_owned(), message: message.clone() };
    config.notes.extend(destinations.problems.iter().map(note));
    destinations
}

/// Looks up the keys of all providers. What is wrong with some of them becomes a note.
fn open_accounts(config: &mut Config, secret: &dyn Fn(&str) -> Option<String>) -> Vec<ProviderAccount> {
    let mut accounts = Vec::new();
    for provider in &config.providers {
        let (account, notes) = ProviderAccount::open_with_notes(provider, secret);
        let path = format!("providers.{}", provider.name);
        config.notes.extend(notes.into_iter().map(|message| Problem { line: 0, path: path.clone(), message }));
        accounts.push(account);
    }
    accounts
}

/// Looks up the proxies of all providers. What has no effect becomes a note.
fn open_proxies(
    config: &mut Config,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Option<Rc<Proxy>>>, Vec<Problem>> {
    let Proxies { of_providers, notes } = Proxies::open(config, secret)?;
    config.notes.extend(notes);
    Ok(of_providers)
}

/// Reads the headers of export requests. What is wrong with them becomes a note, without any of their text.
fn open_export_headers(config: &mut Config, secret: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let Some(name) = config.otlp.as_ref().and_then(|otlp| otlp.headers_env.as_deref()) else { return Vec::new() };
    let message = match secret(name).as_deref().map(read_headers) {
        Some(Ok(headers)) => return headers,
        Some(Err(HeaderFault(place))) => format!(
            "{name}: member {place} is no header, so none is sent; expected NAME=VALUE, NAME=VALUE, values percent-encoded"
        ),
        None => format!("{name} is not set, so the back end is called without headers; set it as a secret"),
    };
    config.notes.push(Problem { line: 0, path: "telemetry.otlp.headers_env".to_owned(), message });
    Vec::new()
}

impl Bridge {
    /// Validates the configuration and reads the secrets; `secret` returns the value of a variable.
    ///
    /// # Errors
    /// The problems of the configuration.
    pub fn open(text: &str, secret: impl Fn(&str) -> Option<String>, now: Millis) -> Result<Self, Vec<Problem>> {
        let mut config = Config::read(text, crate::formats::KINDS)?;
        let access = AccessKeys::read(&secret(auth::VARIABLE).unwrap_or_default());
        let admin = AccessKeys::read(&secret(ADMIN_VARIABLE).unwrap_or_default());
        let admin_read = AccessKeys::read(&secret(ADMIN_READ_VARIABLE).unwrap_or_default());
        let metrics_keys = AccessKeys::read(&secret(METRICS_VARIABLE).unwrap_or_default());
        let accounts = open_accounts(&mut config, &secret);
        let proxies = open_proxies(&mut config, &secret)?;
        let export_headers = open_export_headers(&mut config, &secret);
        let trace_rules = TraceRules::of(&config);
        let alert_destinations = open_destinations(&mut config, &secret);
        let memory = MemoryBudget::new(config.memory_bytes);
        let health = HealthStore::new(pools(&config, &accounts));
        let alert_rules = AlertRules::of(&config.alerts);
        Ok(Self {
            config,
            access,
            admin,
            admin_read,
            metrics_keys,
            admin_state: AdminState::default(),
            accounts,
            proxies,
            known: AdmissionCache::default(),
            keyring: SigningCache::default(),
            learned: LearnedFacts::default(),
            listed: ListedModels::default(),
            provider_models: ProviderModels::default(),
            health,
            warm: WarmPrompts::default(),
            speeds: RefCell::default(),
            regions: RegionStore::default(),
            memory,
            trace_rules,
            export_headers,
            slots: Rc::default(),
            open_requests: Rc::default(),
            opened: now,
            alert_rules,
            alert_destinations,
        })
    }

    /// How many keys a provider is called with, by its index in the configuration.
    pub fn key_count(&self, index: usize) -> usize {
        self.account(index).keys().len()
    }

    /// The configuration, without the secrets that are not in the file.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The origins whose pages may read responses in a browser.
    pub fn cors(&self) -> &Cors {
        &self.config.cors
    }

    /// The keys that open the admin API.
    pub fn admin_keys(&self) -> &AccessKeys {
        &self.admin
    }

    /// The keys that open the routes of the admin API that change nothing.
    pub fn admin_read_keys(&self) -> &AccessKeys {
        &self.admin_read
    }

    /// The keys that open `/metrics` and nothing else.
    pub fn metrics_keys(&self) -> &AccessKeys {
        &self.metrics_keys
    }

    /// Counts a call of a model as under way until the guard is dropped.
    pub fn begin_request(&self, now: Millis) -> OpenRequest {
        self.open_requests.begin(now.saturating_add(self.config.max_total_time()))
    }

    /// The longest that a call of a model may take.
    pub fn longest_request(&self) -> Millis {
        self.config.max_total_time()
    }

    /// The fixed keys of callers.
    pub fn access_keys(&self) -> &AccessKeys {
        &self.access
    }

    /// What this isolate keeps for the admin API.
    pub fn admin_state(&self) -> &AdminState {
        &self.admin_state
    }

    /// The settings of the admin API.
    pub fn admin_settings(&self) -> &AdminSettings {
        &self.config.admin
    }

    /// The accounts that exist by configuration: one for each fixed key and, if callers without a key are
    /// admitted, theirs.
    pub fn fixed_accounts(&self) -> impl Iterator<Item = AccountId> {
        let anonymous = (self.config.auth == Auth::NoneOnLoopback).then(|| ANONYMOUS.into());
        self.access.ids().cloned().chain(anonymous)
    }

    /// Removes the key with this hash from the cache of this isolate. Other isolates use their caches for
    /// some seconds more.
    pub fn forget_key(&self, hash: &KeyHash) {
        self.known.forget(hash);
    }

    /// Caches the current secrets that sign keys, as the registry returned them.
    pub fn learn_signing(&self, signing: SigningSecrets, now: Millis) {
        self.keyring.learn(signing, now);
    }

    /// Removes the secrets that sign keys from the cache.
    pub fn forget_signing(&self) {
        self.keyring.forget();
    }

    /// The health of targets and keys, as this isolate knows it.
    pub fn health(&self) -> &HealthStore {
        &self.health
    }

    /// Which receipts and totals accounts keep, and for how long.
    pub fn accounting(&self) -> Accounting {
        self.config.accounting
    }

    /// Which days reports have, and for how long requests and sums are kept.
    pub fn reporting(&self) -> &Reporting {
        &self.config.reporting
    }

    /// The most bytes of a whole response that is held in memory, and an empty reservation for one; `None` if
    /// there is not enough memory.
    pub fn answer_room(&self, now: Millis) -> Option<(usize, MemoryReservation)> {
        let reservation = self.memory.reserve(0, now, now.saturating_add(self.config.max_total_time()))?;
        Some((self.config.max_answer_bytes, reservation))
    }

    /// An empty reservation of memory for messages that wait while a key is checked; `None` if there is not
    /// enough memory.
    pub fn waiting_room(&self, now: Millis) -> Option<MemoryReservation> {
        self.memory.reserve(0, now, now.saturating_add(self.config.max_total_time()))
    }

    /// The limits of a WebSocket session.
    pub fn session_rules(&self) -> SessionLimits {
        SessionLimits::of(&self.config)
    }

    /// The limits of a connection without a key.
    pub fn pending_limits(&self) -> PendingLimits {
        PendingLimits::of(&self.config)
    }

    /// The export to OpenTelemetry, if there is one, and the headers of its requests.
    pub fn otlp(&self) -> Option<(&Otlp, &[(String, String)])> {
        self.config.otlp.as_ref().map(|otlp| (otlp, self.export_headers.as_slice()))
    }

    /// When alerts are raised.
    pub fn alert_rules(&self) -> &AlertRules {
        &self.alert_rules
    }

    /// Where notices about alerts are sent.
    pub fn alert_destinations(&self) -> &Destinations {
        &self.alert_destinations
    }

    /// Whether notices may be sent to private hosts.
    pub fn allows_private_destinations(&self) -> bool {
        self.config.alerts.allow_private_addresses
    }

    /// The roots of the APIs of all providers that are called from a region, or may be.
    pub fn called_from_regions(&self) -> impl Iterator<Item = String> {
        let in_region = |provider: &&Provider| {
            let models = provider.models.iter().chain(&provider.patterns).filter_map(|model| model.egress.as_ref());
            models.chain([&provider.egress]).any(|egress| matches!(egress, EgressRule::Region(_)))
        };
        self.config.providers.iter().filter(in_region).filter_map(|provider| Some(provider.address.as_ref()?.join("")))
    }

    /// The settings of the regions from which providers are called.
    pub fn region_settings(&self) -> &RegionSettings {
        &self.config.regions
    }

    /// Whether any provider can be called with a key.
    pub fn has_provider_keys(&self) -> bool {
        self.accounts.iter().any(|account| !account.keys().is_empty())
    }

    /// The settings of the log.
    pub fn logging(&self) -> &Logging {
        &self.config.logging
    }

    /// The settings of the configuration that have no effect, and the keys that cannot be used.
    pub fn notes(&self) -> &[Problem] {
        &self.config.notes
    }

    /// Redacts secrets from a provider's error.
    pub(super) fn redact(&self, provider: usize, error: Error) -> Error {
        error.reworded(|text| self.redact_text(provider, text))
    }

    /// Redacts secrets from what a provider says, or who answers for it. `None` if nothing had to be changed.
    fn redact_text(&self, provider: usize, text: &str) -> Option<String> {
        let row = self.config.providers.get(provider)?;
        let clean = redact(text, row, self.account(provider));
        let shown = clean.as_deref().unwrap_or(text);
        let proxy = self.proxy(provider).filter(|_| !is_word(shown));
        proxy.and_then(|proxy| redact_proxy(shown, proxy)).or(clean)
    }

    /// Redacts secrets from a piece of a stream in which the provider reported an error.
    pub(super) fn redact_stream(&self, provider: usize, framing: &Framing, piece: &[u8]) -> Vec<u8> {
        (framing.rewrite)(piece, &|data| redact_json(data, |text| self.redact_text(provider, text)))
    }

    /// The proxy through which a provider is called.
    pub(super) fn proxy(&self, provider: usize) -> Option<&Rc<Proxy>> {
        self.proxies.get(provider)?.as_ref()
    }

    pub(super) fn account(&self, index: usize) -> &ProviderAccount {
        self.accounts.get(index).unwrap_or(&ProviderAccount::Keyless)
    }
}

/// Whether a text is a single word, such as a code.
fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The keys of each provider, as its health sees them: by a fingerprint of their texts.
fn pools(config: &Config, accounts: &[ProviderAccount]) -> Vec<KeyPool> {
    let pools = config.providers.iter().zip(accounts).map(|(provider, account)| KeyPool {
        provider: provider.name.clone(),
        keys: match account {
            ProviderAccount::Keyed(keys) => keys.iter().map(pool_key).collect(),
            ProviderAccount::Keyless => vec![PoolKey { tag: String::new(), account: 0, weight: 1 }],
            ProviderAccount::Missing(_) => Vec::new(),
        },
    });
    pools.collect()
}

fn pool_key(pooled: &PooledKey) -> PoolKey {
    let digest = Sha256::digest(pooled.key.reveal());
    let tag = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    PoolKey { tag, account: pooled.account, weight: pooled.weight }
}
