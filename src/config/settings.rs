//! The whole configuration, proven: every reference is resolved, every value in range.

use super::cors::Cors;
use super::logging::Logging;
use super::provider::Provider;
use super::units::Millis;
use super::vault::Vault;
use super::websocket::Websocket;
use super::yaml::Problem;

/// How often a body is held in memory at most while its request is made: as it came, as the provider gets it, and on its way there.
pub const BODY_COPIES: usize = 3;

/// The whole file.
#[derive(Debug)]
pub struct Config {
    /// In the file's order.
    pub providers: Vec<Provider>,
    /// Where a model name without a provider's prefix belongs: an index into `providers`.
    pub default_provider: usize,
    /// Whether callers need a key.
    pub auth: Auth,
    /// Who may call from a browser.
    pub cors: Cors,
    /// The longest request body taken, in bytes.
    pub max_body_bytes: usize,
    /// The most that all requests of an isolate hold in memory, in bytes.
    pub memory_bytes: usize,
    /// The longest answer that is held, in bytes as they are after decompression.
    pub max_answer_bytes: usize,
    /// What is kept in the books, and for how long.
    pub accounting: Accounting,
    /// WebSocket sessions.
    pub websocket: Websocket,
    /// What is kept for providers, and for how long.
    pub vault: Vault,
    /// What is logged, and how.
    pub logging: Logging,
    /// What was understood but has no effect yet.
    pub notes: Vec<Problem>,
}

impl Config {
    /// The longest time that any request may take.
    pub fn max_total_time(&self) -> Millis {
        let rows = self.providers.iter().flat_map(|provider| provider.models.iter().chain(&provider.any_model));
        rows.map(|row| row.clocks.total).max().unwrap_or_default()
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }
}

/// What is kept in the books, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounting {
    /// Whether the requests of keys without limits are written down. Those of keys with limits always are.
    pub receipts: bool,
    /// Days after which a receipt may go; it does with those of its week.
    pub keep_receipts_days: u64,
    /// Days after which the sums of a day may go.
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
    /// Each call carries one of the access keys.
    Keys,
    /// None on loopback; elsewhere as `Keys`.
    NoneOnLoopback,
}
