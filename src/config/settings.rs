//! The configuration as a whole.

use super::admin::AdminSettings;
use super::alerting::Alerting;
use super::cors::Cors;
use super::logging::Logging;
use super::metrics::MetricsSettings;
use super::otlp::Otlp;
use super::provider::{Model, Provider};
use super::proxies::ProxySettings;
use super::regions::RegionSettings;
use super::reporting::Reporting;
use super::routes::{Alias, ModelIndex, RouteRow};
use super::units::Millis;
use super::vault::Vault;
use super::websocket::Websocket;
use super::yaml::Problem;

/// The most copies of a request body in memory at one time: as received, as written for the provider, and as
/// sent.
pub const BODY_COPIES: usize = 3;

/// The configuration.
#[derive(Debug)]
pub struct Config {
    /// The providers, in the file's order.
    pub providers: Vec<Provider>,
    /// The provider of model names without a prefix: an index into `providers`.
    pub default_provider: usize,
    /// The routes, in the file's order.
    pub routes: Vec<RouteRow>,
    /// The aliases, in the file's order.
    pub aliases: Vec<Alias>,
    /// Whether callers need a key.
    pub auth: Auth,
    /// The web origins that may call the gateway.
    pub cors: Cors,
    /// The longest request body that is accepted, in bytes.
    pub max_body_bytes: usize,
    /// The memory that all requests of an isolate may hold together, in bytes.
    pub memory_bytes: usize,
    /// The longest response that is buffered, in bytes after decompression.
    pub max_answer_bytes: usize,
    /// Receipts and sums.
    pub accounting: Accounting,
    /// Reports across keys.
    pub reporting: Reporting,
    /// The admin API.
    pub admin: AdminSettings,
    /// Whether the dashboard is served. The build reads this; the gateway itself serves no files.
    pub dashboard: bool,
    /// WebSocket sessions.
    pub websocket: Websocket,
    /// The reasoning store.
    pub vault: Vault,
    /// The proxies that providers share.
    pub proxy: ProxySettings,
    /// The regions from which providers are called.
    pub regions: RegionSettings,
    /// The log.
    pub logging: Logging,
    /// The export to OpenTelemetry, if there is one.
    pub otlp: Option<Otlp>,
    /// Metrics.
    pub metrics: MetricsSettings,
    /// When alerts are raised.
    pub alerts: Alerting,
    /// Values that are accepted but have no effect.
    pub notes: Vec<Problem>,
}

impl Config {
    /// The longest time that a request of any model may take.
    pub fn max_total_time(&self) -> Millis {
        let rows = self.providers.iter().flat_map(|provider| provider.models.iter().chain(&provider.patterns));
        rows.map(|row| row.clocks.total).max().unwrap_or_default()
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// The provider and the row of a model.
    pub fn row(&self, model: &ModelIndex) -> Option<(&Provider, &Model)> {
        let provider = self.providers.get(model.provider)?;
        provider.row(model.row).map(|row| (provider, row))
    }
}

/// Which receipts and sums are stored, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounting {
    /// Whether requests of keys without limits leave receipts. Requests of keys with limits always do.
    pub receipts: bool,
    /// Days for which a receipt is kept at least. Receipts are deleted week by week.
    pub keep_receipts_days: u64,
    /// Days for which the sums of a day are kept at least.
    pub keep_usage_days: u64,
}

impl Default for Accounting {
    fn default() -> Self {
        Self { receipts: true, keep_receipts_days: 90, keep_usage_days: 800 }
    }
}

/// Whether callers need a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Every request needs an access key.
    Keys,
    /// Requests to a loopback address need no key; all others do.
    NoneOnLoopback,
}
