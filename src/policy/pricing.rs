//! Computes the cost of a response, and an upper bound for a request, in exact integers that are rounded
//! once.

use crate::canonical::Usage;
use crate::catalogue::price::{ModelPrice, Rates, TierRates};
use crate::config::Nanos;

/// An upper bound for the cost of a request, as a function of its output tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostBound {
    /// The cost of the prompt, in pico-dollars.
    input: u128,
    /// The price of an output token, in pico-dollars.
    output: u64,
    /// The price of the request itself.
    per_request: Nanos,
}

/// The names that providers give to their standard tier.
const STANDARD: &[&str] = &["default", "standard", "standard_only", "auto", "on_demand"];

/// Pico-dollars per nano-dollar.
const PICO_PER_NANO: u128 = 1000;

/// Whether the value of a tier field names a tier. `auto` leaves the choice to the provider's account.
pub fn names_a_tier(tier: &str) -> bool {
    tier != "auto"
}

impl ModelPrice {
    /// The cost of a response, summed exactly and rounded once, half up. `tier` is the tier that the provider
    /// reports.
    ///
    /// `None` for a tier without a price.
    pub fn cost(&self, usage: &Usage, tier: Option<&str>) -> Option<Nanos> {
        let rates = self.tier_rates(tier)?.rates(usage.prompt());
        let reasoning = usage.reasoning.min(usage.output);
        let for_an_hour = usage.cache_write_1h.min(usage.cache_write);
        let pico = token_costs(&[
            (usage.uncached_input, rates.input),
            (usage.cache_read, rates.cached_input),
            (usage.cache_write - for_an_hour, rates.cache_write),
            (for_an_hour, rates.cache_write_1h),
            (usage.output - reasoning, rates.output),
            (reasoning, rates.reasoning),
        ]);
        Some(self.with_request(pico.saturating_add(PICO_PER_NANO / 2) / PICO_PER_NANO))
    }

    /// An upper bound for the cost of a request with at most `input_tokens` prompt tokens, cached or not.
    /// `cached_for_hour`: whether the provider may cache some of the prompt for an hour.
    ///
    /// `None` for a tier without a price.
    pub fn bound(&self, input_tokens: u64, cached_for_hour: bool, tier: Option<&str>) -> Option<CostBound> {
        let tier = self.tier_rates(tier)?;
        // The long-context rates count only if the prompt can be long enough for them.
        let long = tier.long.filter(|long| input_tokens > long.above).map(|long| long.rates);
        let (input, output) = [Some(tier.rates), long].into_iter().flatten().fold((0, 0), |(input, output), rates| {
            let hour = if cached_for_hour { rates.cache_write_1h } else { 0 };
            let highest = [rates.input, rates.cached_input, rates.cache_write, hour].into_iter().fold(input, u64::max);
            (highest, output.max(rates.output).max(rates.reasoning))
        });
        Some(CostBound { input: token_costs(&[(input_tokens, input)]), output, per_request: self.per_request })
    }

    fn tier_rates(&self, tier: Option<&str>) -> Option<&TierRates> {
        let Some(tier) = tier else { return Some(&self.standard) };
        let priced = self.tiers.iter().find(|(name, _)| *name == tier).map(|(_, tariff)| tariff);
        priced.or_else(|| STANDARD.contains(&tier).then_some(&self.standard))
    }

    fn with_request(&self, nanos: u128) -> Nanos {
        add_request_price(nanos, self.per_request)
    }
}

impl CostBound {
    /// The bound for `output_tokens` tokens in all choices together, rounded up.
    pub fn cost(&self, output_tokens: u64) -> Nanos {
        add_request_price(
            self.input.saturating_add(token_costs(&[(output_tokens, self.output)])).div_ceil(PICO_PER_NANO),
            self.per_request,
        )
    }

    /// The price of an output token, in pico-dollars.
    pub fn output_rate(&self) -> u64 {
        self.output
    }
}

fn add_request_price(nanos: u128, per_request: Nanos) -> Nanos {
    Nanos::try_from(nanos).unwrap_or(Nanos::MAX).saturating_add(per_request)
}

impl TierRates {
    fn rates(&self, prompt: u64) -> Rates {
        self.long.filter(|long| prompt > long.above).map_or(self.rates, |long| long.rates)
    }
}

/// The sum of tokens × rate, in pico-dollars. Saturates.
fn token_costs(parts: &[(u64, u64)]) -> u128 {
    // One product of two 64-bit numbers fits into 128 bits; the sum of six may not.
    let products = parts.iter().map(|(tokens, rate)| u128::from(*tokens) * u128::from(*rate));
    products.fold(0, u128::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::price::LongContextRates;

    const RATES: Rates = Rates {
        input: 2_500_000,
        cached_input: 1_250_000,
        cache_write: 3_000_000,
        cache_write_1h: 4_000_000,
        output: 10_000_000,
        reasoning: 12_000_000,
    };
    const LONG: Rates = Rates {
        input: 5_000_000,
        cached_input: 2_500_000,
        cache_write: 6_000_000,
        cache_write_1h: 8_000_000,
        output: 20_000_000,
        reasoning: 24_000_000,
    };
    const FLEX: Rates = Rates { input: 1, cached_input: 1, cache_write: 1, cache_write_1h: 1, output: 1, reasoning: 1 };
    const PRICE: ModelPrice = ModelPrice {
        standard: TierRates { rates: RATES, long: Some(&LongContextRates { above: 100, rates: LONG }) },
        tiers: &[("flex", TierRates { rates: FLEX, long: None })],
        per_request: 7,
    };

    #[test]
    fn each_kind_of_token_has_its_price() {
        let usage = Usage {
            uncached_input: 10,
            cache_read: 20,
            cache_write: 30,
            cache_write_1h: 12,
            output: 40,
            reasoning: 15,
        };
        // 10 × 2.5 + 20 × 1.25 + 18 × 3 + 12 × 4 + 25 × 10 + 15 × 12 dollars per million tokens, and 7 for
        // the request.
        assert_eq!(PRICE.cost(&usage, None), Some(582_000 + 7));
        assert_eq!(PRICE.cost(&Usage { reasoning: 99, ..usage }, None), Some(152_000 + 40 * 12_000 + 7));
        assert_eq!(PRICE.cost(&Usage { cache_write_1h: 99, ..usage }, None), Some(600_000 + 7));
    }

    #[test]
    fn a_long_prompt_raises_the_rate_of_every_token() {
        let usage = |fresh| Usage { uncached_input: fresh, output: 1, ..Usage::default() };
        assert_eq!(PRICE.cost(&usage(100), None), Some(250_000 + 10_000 + 7));
        assert_eq!(PRICE.cost(&usage(101), None), Some(505_000 + 20_000 + 7));
        assert_eq!(PRICE.cost(&usage(101), Some("flex")), Some(7));
    }

    #[test]
    fn an_unknown_tier_has_no_price() {
        let usage = Usage { uncached_input: 1, ..Usage::default() };
        for usual in STANDARD {
            assert_eq!(PRICE.cost(&usage, Some(usual)), PRICE.cost(&usage, None));
        }
        assert_eq!(PRICE.cost(&usage, Some("priority")), None);
        assert_eq!(PRICE.cost(&usage, Some("")), None);
    }

    #[test]
    fn a_request_is_rounded_once_and_half_up() {
        let flex =
            |fresh, output| PRICE.cost(&Usage { uncached_input: fresh, output, ..Usage::default() }, Some("flex"));
        assert_eq!(flex(250, 249), Some(7));
        assert_eq!(flex(250, 250), Some(8));
        assert_eq!(flex(1499, 0), Some(8));
        assert_eq!(flex(u64::MAX, u64::MAX), Some(2 * (u64::MAX / 1000) + 8));
    }

    #[test]
    fn costs_saturate() {
        let all = Usage {
            uncached_input: u64::MAX,
            cache_read: u64::MAX,
            cache_write: u64::MAX,
            output: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(PRICE.cost(&all, None), Some(Nanos::MAX));
        assert_eq!(PRICE.bound(u64::MAX, true, None).unwrap().cost(u64::MAX), Nanos::MAX);
        assert_eq!(token_costs(&[(u64::MAX, u64::MAX); 3]), u128::MAX);
    }

    #[test]
    fn a_bound_takes_the_highest_rates_of_the_requested_tier() {
        let bound = |input, output, cached_for_hour, tier| {
            PRICE.bound(input, cached_for_hour, tier).map(|bound| bound.cost(output))
        };
        assert_eq!(bound(100, 10, true, None), Some(100 * 4_000 + 10 * 12_000 + 7));
        assert_eq!(bound(101, 10, true, None), Some(101 * 8_000 + 10 * 24_000 + 7));
        assert_eq!(bound(100, 10, false, None), Some(100 * 3_000 + 10 * 12_000 + 7));
        assert_eq!(bound(100, 900, false, Some("flex")), Some(1 + 7));
        assert_eq!(bound(100, 10, false, Some("default")), bound(100, 10, false, None));
        assert_eq!(bound(1, 1, false, Some("priority")), None);
        let tiny = ModelPrice { standard: TierRates { rates: FLEX, long: None }, tiers: &[], per_request: 0 };
        assert_eq!(tiny.bound(1, true, None).unwrap().cost(0), 1);
        assert_eq!(ModelPrice::default().bound(u64::MAX, true, None).unwrap().cost(1), 0);
    }
}
