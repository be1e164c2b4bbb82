//! Providers and their models, as the configuration describes them.

use super::address::Address;
use super::egress::EgressRule;
use super::keys::KeySource;
use super::params::Params;
use super::price::Catalogue;
use super::proxies::ProviderProxy;
use super::routes::RowIndex;
use super::stream::{Clocks, Streaming};
use super::units::Millis;
use super::yaml::Node;
use crate::catalogue::price::DatedPrice;
use crate::catalogue::{self, Fact, Host};

/// A provider: one account with an upstream API.
#[derive(Debug)]
pub struct Provider {
    /// The prefix of its models' names.
    pub name: String,
    /// Its wire format: the name of a [`super::FormatKind`].
    pub adapter: &'static str,
    /// The address of its API; `None` if the gateway writes the responses itself.
    pub address: Option<Address>,
    /// The source of its keys.
    pub key: KeySource,
    /// The proxy through which it is called.
    pub proxy: ProviderProxy,
    /// Headers sent with each request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// How its streams are forwarded.
    pub streaming: Streaming,
    /// The configured choice of a host in the catalogue.
    pub catalogue: Catalogue,
    /// The host in the catalogue that applies, if there is one.
    pub host: Option<&'static Host>,
    /// The listed models, in the file's order.
    pub models: Vec<Model>,
    /// The rows of models that are not listed, by patterns of their names, the most exact first.
    pub patterns: Vec<Model>,
    /// The fields of the catalogue that are configured.
    pub facts: Vec<Fact>,
    /// The requests that are fitted to what their model and host take.
    pub fit: FitScope,
    /// How its calls leave.
    pub egress: EgressRule,
    /// Whether its rate-limit headers, which describe the operator's account, are passed on to callers.
    pub exposes_limits: bool,
}

/// The requests that are fitted to what their model and host take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FitScope {
    /// Those that are translated from another format.
    #[default]
    Translated,
    /// All conversations: those in the provider's own format are written anew as well.
    Always,
    /// None: values are sent as they were asked for, unless the operator states a fact.
    Never,
}

/// One model's row.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name that callers use, without the provider's prefix: `o3-mini<high>`.
    pub name: String,
    /// The name that the provider uses: `o3-mini`.
    pub upstream: String,
    /// The highest output limit that a caller may set, in tokens.
    pub max_tokens: Option<u64>,
    /// The configured prices; empty if none is. Those of the catalogue count at times before the first.
    pub prices: Vec<DatedPrice>,
    /// The fields of the catalogue that are configured.
    pub facts: Vec<Fact>,
    /// The output-limit fields that the provider honours, the one to set first. Empty if not configured.
    pub limit_fields: Vec<String>,
    /// The tier that the provider's account gives to requests without one, if it is not the standard tier.
    pub service_tier: Option<String>,
    /// Whether fields that the provider's format does not support are refused instead of dropped.
    pub strict: bool,
    /// The time limits of a response.
    pub clocks: Clocks,
    /// Edits of the request (`param_config`).
    pub params: Params,
    /// The behaviour of the `echo` adapter.
    pub echo: EchoOptions,
    /// How its calls leave, if not as those of its provider.
    pub egress: Option<EgressRule>,
}

/// The behaviour of the `echo` adapter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchoOptions {
    /// The pause before the first chunk of a stream.
    pub first_delay: Millis,
    /// The pause before each later chunk.
    pub delay: Millis,
    /// The length of the response in words; 0 for the length of the last message.
    pub words: usize,
}

impl EchoOptions {
    /// Reads `echo` of a model's row.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["first_delay_ms", "delay_ms", "words"])?;
        let count = |key: &str| table.at(key).and_then(|node| node.count(0)).unwrap_or(0);
        let words = usize::try_from(count("words").min(100_000)).unwrap_or(0);
        Some(Self { first_delay: count("first_delay_ms"), delay: count("delay_ms"), words })
    }
}

impl Model {
    /// Whether its name is a pattern.
    pub fn is_pattern(&self) -> bool {
        catalogue::is_pattern(&self.name)
    }
}

impl Provider {
    /// The row of the most exact pattern that fits a model's name.
    pub fn pattern(&self, name: &str) -> Option<&Model> {
        self.patterns.iter().find(|row| catalogue::matches(&row.name, name))
    }

    /// The row of the model with this name.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// Where the row of the model with this name is listed.
    pub(super) fn listed(&self, name: &str) -> Option<RowIndex> {
        self.models.iter().position(|model| model.name == name).map(RowIndex::Listed)
    }

    /// A row.
    pub fn row(&self, row: RowIndex) -> Option<&Model> {
        match row {
            RowIndex::Listed(index) => self.models.get(index),
            RowIndex::Pattern(index) => self.patterns.get(index),
        }
    }
}

/// Removes the variant from a model's name: `o3-mini<high>` becomes `o3-mini`. `None` if the name has no
/// variant.
pub fn without_hint(name: &str) -> Option<String> {
    let (head, hint) = name.rsplit_once('<')?;
    let (_, tail) = hint.split_once('>')?;
    Some(format!("{head}{tail}"))
}
