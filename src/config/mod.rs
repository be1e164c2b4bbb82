//! What the operator wrote, proven: every reference resolved, every value in range. Immutable; holds no secret but one that was written into the file.

mod address;
pub mod decimal;
mod logging;
pub mod near;
mod params;
mod price;
mod read;
mod stream;
mod vault;
mod websocket;
mod yaml;

pub use address::Address;
pub use logging::{Fields, Format, Level, Logging};
pub use params::Params;
pub use price::{CATALOGUES, Catalogue, Fee, Nanos, Rates};
pub use stream::{Clocks, OnDisconnect, RelayKind, StreamUsage, Streaming};
pub use vault::Vault;
pub use websocket::Websocket;
pub use yaml::Problem;

use crate::config::yaml::Report;

/// Time in milliseconds.
pub type Millis = u64;

/// A kind of upstream that a row may name as its `adapter`.
#[derive(Clone, Copy, Debug)]
pub struct FormatKind {
    /// The word in the file.
    pub name: &'static str,
    /// Whether it calls an address; if not, the gateway answers itself.
    pub remote: bool,
    /// The path of the API's root, for addresses without one: such as client libraries take.
    pub root: &'static str,
    /// The path of the endpoint below it, which people paste with an address although it belongs to the call.
    pub endpoint: &'static str,
}

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
    pub fn longest(&self) -> Millis {
        let rows = self.providers.iter().flat_map(|provider| provider.models.iter().chain(&provider.any_model));
        rows.map(|row| row.clocks.total).max().unwrap_or_default()
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

/// Which web origins may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Every origin.
    Any,
    /// These, each as `scheme://host[:port]`; an empty list means none.
    Only(Vec<String>),
}

/// One upstream account.
#[derive(Debug)]
pub struct Provider {
    /// The prefix of its models' names.
    pub name: String,
    /// The wire format it is spoken to in: the name of an [`FormatKind`].
    pub adapter: &'static str,
    /// Where it is; nothing for an adapter that answers itself.
    pub address: Option<Address>,
    /// Where its key comes from.
    pub key: KeySource,
    /// Headers sent with each call, names in lower case.
    pub headers: Vec<(String, String)>,
    /// How its streams are passed on.
    pub streaming: Streaming,
    /// Where the prices of its models are looked up.
    pub catalogue: Catalogue,
    /// The models listed, in the file's order.
    pub models: Vec<Model>,
    /// The row for every model not listed, if any model is allowed.
    pub any_model: Option<Model>,
}

/// Where a provider's key comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum KeySource {
    /// It takes none.
    Keyless,
    /// A secret of this name; failing that, the key written into the file.
    Secret {
        /// The variable, such as `OPENAI_API_KEY`.
        name: String,
        /// From the file; discouraged.
        inline: Option<String>,
    },
}

/// One model's row.
#[derive(Clone, Debug)]
pub struct Model {
    /// As callers name it, without the provider's prefix: `o3-mini<high>`.
    pub name: String,
    /// As the provider names it: `o3-mini`.
    pub upstream: String,
    /// The most that a caller may ask for as the length of an answer, in tokens.
    pub max_tokens: Option<u64>,
    /// What it costs, where the operator says so.
    pub price: Option<Fee>,
    /// The most that it takes, prompt and answer together, in tokens, where the operator says so.
    pub context: Option<u64>,
    /// The longest answer that it gives, in tokens, where the operator says so.
    pub max_output: Option<u64>,
    /// The tokens that it may make in a second, where the operator says so.
    pub tokens_per_second: Option<u64>,
    /// The names of the answer's limit that its provider honours, where the operator says so; the first is the one to set.
    pub limit_fields: Vec<String>,
    /// The tier in which the provider's account serves a request that asks for none, where that is not the usual one.
    pub service_tier: Option<String>,
    /// What its provider cannot be told is refused, not dropped.
    pub strict: bool,
    /// How long an answer may take.
    pub clocks: Clocks,
    /// Edits of the request.
    pub params: Params,
    /// How a demonstration behaves.
    pub demo: Demo,
}

/// How the adapter that answers by itself behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demo {
    /// Pause before the first piece of a streamed answer.
    pub first_delay: Millis,
    /// Pause before each later piece.
    pub delay: Millis,
    /// Length of the answer in words; 0 = as it comes.
    pub words: usize,
}

impl Config {
    /// Reads and proves a file. `adapters` are those that a row may name; the first is meant where a row names none.
    ///
    /// # Errors
    /// All faults found, in the order of the file.
    pub fn read(text: &str, adapters: &[FormatKind]) -> Result<Self, Vec<Problem>> {
        let value = read::parse(text).map_err(|problem| vec![problem])?;
        let report = Report::new(text);
        let config = read::config(&value, &report, adapters);
        let (faults, notes) = report.take();
        match config {
            Some(config) if faults.is_empty() => Ok(Self { notes, ..config }),
            _ => Err(faults),
        }
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }
}

impl Provider {
    /// The row of a model as callers name it.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }
}

/// Takes the variant out of a model's name: `o3-mini<high>` is `o3-mini` to its provider. `None` if it names no variant.
pub fn without_hint(name: &str) -> Option<String> {
    let (head, hint) = name.rsplit_once('<')?;
    let (_, tail) = hint.split_once('>')?;
    Some(format!("{head}{tail}"))
}
