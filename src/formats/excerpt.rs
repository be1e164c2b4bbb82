//! What the beginning and the end of a long response say of it, where the middle was never in memory.

use super::{ProviderFormat, tier};
use crate::canonical::Usage;
use crate::wire::json::last_value;

/// The beginning and the end of a response's body.
#[derive(Clone, Copy, Debug)]
pub struct Excerpt<'a> {
    /// The first bytes.
    pub head: &'a [u8],
    /// The last bytes.
    pub tail: &'a [u8],
}

/// What an excerpt says of its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExcerptSummary {
    /// The tokens.
    pub usage: Option<Usage>,
    /// How the provider says it served the request, as far as that decides the price.
    pub tier: Option<String>,
    /// The model that the provider says it used.
    pub model: Option<String>,
}

impl Excerpt<'_> {
    /// Reads the fields that stand near the end, or at the beginning, of a response in this format.
    pub fn summary(&self, format: &ProviderFormat) -> ExcerptSummary {
        let find = |name: &str| last_value(self.tail, name).or_else(|| last_value(self.head, name));
        let (usage, tier) = (find("usage"), find("service_tier"));
        ExcerptSummary {
            usage: usage.and_then(format.usage),
            tier: tier::of_response(usage, tier),
            model: find("model").map(|model| model.trim_matches('"').chars().take(200).collect()),
        }
    }
}
