//! Providers and their models, as the configuration describes them.

use super::address::Address;
use super::params::Params;
use super::price::{Catalogue, ConfiguredPrice};
use super::stream::{Clocks, Streaming};
use super::units::Millis;
use crate::catalogue::Host;

/// One upstream account.
#[derive(Debug)]
pub struct Provider {
    /// The prefix of its models' names.
    pub name: String,
    /// The wire format it is spoken to in: the name of an [`super::FormatKind`].
    pub adapter: &'static str,
    /// Where it is; nothing for an adapter that answers itself.
    pub address: Option<Address>,
    /// Where its key comes from.
    pub key: KeySource,
    /// Headers sent with each call, names in lower case.
    pub headers: Vec<(String, String)>,
    /// How its streams are passed on.
    pub streaming: Streaming,
    /// Which host of the catalogue it is.
    pub catalogue: Catalogue,
    /// That host, if there is one.
    pub host: Option<&'static Host>,
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
    pub price: Option<ConfiguredPrice>,
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
    /// Refuse requests that have fields without a place in the provider's format, instead of dropping the fields.
    pub strict: bool,
    /// How long an answer may take.
    pub clocks: Clocks,
    /// Edits of the request.
    pub params: Params,
    /// How a demonstration behaves.
    pub echo: EchoOptions,
}

/// How the adapter that answers by itself behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchoOptions {
    /// Pause before the first piece of a streamed answer.
    pub first_delay: Millis,
    /// Pause before each later piece.
    pub delay: Millis,
    /// Length of the answer in words; 0 = as it comes.
    pub words: usize,
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
