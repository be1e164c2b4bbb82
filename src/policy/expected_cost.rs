//! What a request will cost at one target, about: to compare targets before any of them is asked.

use crate::canonical::Usage;
use crate::catalogue::price::ModelPrice;
use crate::config::Nanos;

/// The tokens of a response that nobody knows yet.
const USUAL_OUTPUT: u64 = 500;
/// The shortest prompt that providers cache, in tokens.
const LEAST_CACHED: u64 = 1_024;

/// What a request will use, about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpectedUse {
    /// The tokens of its prompt.
    pub prompt: u64,
    /// Those of them that the target has read a short while ago.
    pub warm: u64,
    /// The longest possible response, in tokens, if it is limited.
    pub longest: Option<u64>,
    /// How many responses are generated.
    pub samples: u64,
}

impl ExpectedUse {
    /// The cost in nano-dollars, in the tier that the request asks for; `None` if it is not known.
    pub fn cost(&self, price: &ModelPrice, tier: Option<&str>) -> Option<Nanos> {
        let cache_read = if self.warm >= LEAST_CACHED { self.warm.min(self.prompt) } else { 0 };
        let output = self.longest.unwrap_or(USUAL_OUTPUT).min(USUAL_OUTPUT).saturating_mul(self.samples);
        let usage =
            Usage { uncached_input: self.prompt.saturating_sub(cache_read), cache_read, output, ..Usage::default() };
        price.cost(&usage, tier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::price::{Rates, TierRates};

    /// A price of so many nano-dollars for a token of the prompt, one from the cache, and one of the
    /// response.
    fn price(input: u64, cached_input: u64, output: u64) -> ModelPrice {
        let [input, cached_input, output] = [input, cached_input, output].map(|nanos| nanos * 1_000);
        let rates = Rates { input, cached_input, output, reasoning: output, ..Rates::default() };
        ModelPrice { standard: TierRates { rates, long: None }, ..ModelPrice::default() }
    }

    const USE: ExpectedUse = ExpectedUse { prompt: 2_000, warm: 0, longest: None, samples: 1 };

    #[test]
    fn an_unknown_response_has_a_usual_length_and_none_beyond_its_limit() {
        let cost = |longest, samples| ExpectedUse { longest, samples, ..USE }.cost(&price(1, 1, 10), None);
        assert_eq!(cost(None, 1), Some(2_000 + 5_000));
        assert_eq!(cost(Some(100_000), 1), Some(2_000 + 5_000));
        assert_eq!(cost(Some(7), 1), Some(2_000 + 70));
        assert_eq!(cost(Some(7), 3), Some(2_000 + 210));
        assert_eq!(cost(Some(0), 1), Some(2_000));
    }

    #[test]
    fn a_warm_prompt_costs_what_the_cache_does_if_it_is_long_enough() {
        let cost = |warm| ExpectedUse { warm, longest: Some(0), ..USE }.cost(&price(10, 1, 0), None);
        assert_eq!(cost(0), Some(20_000));
        assert_eq!(cost(LEAST_CACHED - 1), Some(20_000));
        assert_eq!(cost(1_500), Some(5_000 + 1_500));
        assert_eq!(cost(9_000), Some(2_000), "no more than the prompt has");
    }

    #[test]
    fn a_tier_without_a_price_is_unknown() {
        assert_eq!(USE.cost(&price(1, 1, 1), Some("flex")), None);
        assert!(USE.cost(&price(1, 1, 1), Some("default")).is_some());
    }
}
