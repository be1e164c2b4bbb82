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
    /// The price of the request itself, and of its searches.
    per_request: Nanos,
}

/// The most that a request's prompt can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptBound {
    /// Its tokens.
    pub tokens: u64,
    /// Whether the provider may cache some of it for an hour.
    pub cached_for_hour: bool,
    /// Whether some of it may be audio.
    pub has_audio: bool,
    /// The searches that the provider may run itself.
    pub searches: u64,
}

/// The names that providers give to their standard tier.
const STANDARD: &[&str] = &["default", "standard", "standard_only", "auto", "on_demand"];

/// Pico-dollars per nano-dollar.
const PICO_PER_NANO: u128 = 1000;

/// The kinds of tokens that have a price each, in the order of [`priced_tokens`].
const TOKEN_KINDS: [&str; 10] = [
    "input",
    "audio_input",
    "cache_read",
    "cached_audio",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_output",
    "image_output",
];
/// The kinds of what else has a price.
const REQUEST: &str = "request";
const SEARCHES: &str = "searches";

/// One line of a bill: so many of a kind at a price each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PricedCount {
    /// What is counted.
    pub kind: &'static str,
    /// How many.
    pub count: u64,
    /// The price of one, in pico-dollars.
    pub rate: u64,
}

/// Whether the value of a tier field names a tier. `auto` leaves the choice to the provider's account.
pub fn names_a_tier(tier: &str) -> bool {
    tier != "auto"
}

impl ModelPrice {
    /// The cost of a response, summed exactly and rounded once, half up. `tier` is the tier that the provider
    /// reports.
    ///
    /// `None` for a tier without a price, for searches whose price is not known, and if another model took
    /// part.
    pub fn cost(&self, usage: &Usage, tier: Option<&str>) -> Option<Nanos> {
        if usage.has_other_model {
            return None;
        }
        let rates = self.tier_rates(tier)?.rates(usage.prompt());
        let pico = response_cost(usage, &rates).saturating_add(PICO_PER_NANO / 2) / PICO_PER_NANO;
        Some(self.with_request(pico.saturating_add(self.search_cost(usage.searches)?)))
    }

    /// The lines of the bill of a response, as [`ModelPrice::cost`] adds them up; `None` if it is.
    pub fn bill(&self, usage: &Usage, tier: Option<&str>) -> Option<Vec<PricedCount>> {
        self.cost(usage, tier)?;
        let rates = self.tier_rates(tier)?.rates(usage.prompt());
        let tokens = TOKEN_KINDS.into_iter().zip(priced_tokens(usage, &rates));
        let fees = [(REQUEST, 1, self.per_request), (SEARCHES, usage.searches, self.per_search.unwrap_or(0))];
        let fees = fees.into_iter().filter(|(_, _, nanos)| *nanos > 0);
        let fees = fees.map(|(kind, count, nanos)| (kind, (count, picos(nanos))));
        let lines = tokens.chain(fees).map(|(kind, (count, rate))| PricedCount { kind, count, rate });
        Some(lines.filter(|line| line.count > 0).collect())
    }

    /// Whether a line of a bill has a price that this model has in some tier.
    pub fn has_rate(&self, kind: &str, rate: u64) -> bool {
        let fee = match kind {
            REQUEST => Some(self.per_request),
            SEARCHES => self.per_search,
            _ => None,
        };
        if let Some(nanos) = fee {
            return picos(nanos) == rate;
        }
        let tiers = self.tiers.iter().map(|(_, tier)| tier).chain([&self.standard]);
        let all = tiers.flat_map(|tier| [Some(tier.rates), tier.long.map(|long| long.rates)]).flatten();
        let index = TOKEN_KINDS.iter().position(|known| *known == kind);
        index.is_some_and(|index| all.into_iter().any(|rates| token_rates(&rates).get(index) == Some(&rate)))
    }

    /// The cost of searches, in nano-dollars. `None` if their price is not known.
    fn search_cost(&self, searches: u64) -> Option<u128> {
        if searches == 0 {
            return Some(0);
        }
        Some(u128::from(self.per_search?) * u128::from(searches))
    }

    /// An upper bound for the cost of a request with at most `prompt.tokens` prompt tokens, cached or not.
    ///
    /// `None` for a tier without a price, and for searches whose price is not known.
    pub fn bound(&self, prompt: PromptBound, tier: Option<&str>) -> Option<CostBound> {
        let PromptBound { tokens: input_tokens, cached_for_hour, has_audio, searches } = prompt;
        let tier = self.tier_rates(tier)?;
        // The long-context rates count only if the prompt can be long enough for them.
        let long = tier.long.filter(|long| input_tokens > long.above).map(|long| long.rates);
        let (input, output) = [Some(tier.rates), long].into_iter().flatten().fold((0, 0), |(input, output), rates| {
            let hour = if cached_for_hour { rates.cache_write_1h } else { 0 };
            let media = rates.media();
            let audio = if has_audio { media.audio_input.max(media.cached_audio) } else { 0 };
            let input_rates = [rates.input, rates.cached_input, rates.cache_write, hour, audio];
            let output_rates = [rates.output, rates.reasoning, media.audio_output, media.image_output];
            (input_rates.into_iter().fold(input, u64::max), output_rates.into_iter().fold(output, u64::max))
        });
        let fees = Nanos::try_from(self.search_cost(searches)?).unwrap_or(Nanos::MAX);
        let per_request = self.per_request.saturating_add(fees);
        Some(CostBound { input: token_costs(&[(input_tokens, input)]), output, per_request })
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

/// Nano-dollars as pico-dollars.
fn picos(nanos: Nanos) -> u64 {
    u64::try_from(u128::from(nanos) * PICO_PER_NANO).unwrap_or(u64::MAX)
}

fn add_request_price(nanos: u128, per_request: Nanos) -> Nanos {
    Nanos::try_from(nanos).unwrap_or(Nanos::MAX).saturating_add(per_request)
}

impl TierRates {
    fn rates(&self, prompt: u64) -> Rates {
        self.long.filter(|long| prompt > long.above).map_or(self.rates, |long| long.rates)
    }
}

/// The cost of tokens, in pico-dollars.
fn response_cost(usage: &Usage, rates: &Rates) -> u128 {
    token_costs(&priced_tokens(usage, rates))
}

/// The rates of [`TOKEN_KINDS`], in pico-dollars.
fn token_rates(rates: &Rates) -> [u64; TOKEN_KINDS.len()] {
    let media = rates.media();
    [
        rates.input,
        media.audio_input,
        rates.cached_input,
        media.cached_audio,
        rates.cache_write,
        rates.cache_write_1h,
        rates.output,
        rates.reasoning,
        media.audio_output,
        media.image_output,
    ]
}

/// The tokens of each of [`TOKEN_KINDS`], and their rates in pico-dollars.
fn priced_tokens(usage: &Usage, rates: &Rates) -> [(u64, u64); TOKEN_KINDS.len()] {
    let for_an_hour = usage.cache_write_1h.min(usage.cache_write);
    let (audio, cached_audio) = (usage.audio_input.min(usage.uncached_input), usage.cached_audio.min(usage.cache_read));
    // The parts of the output, none larger than what the parts before it leave.
    let reasoning = usage.reasoning.min(usage.output);
    let audio_output = usage.audio_output.min(usage.output - reasoning);
    let image_output = usage.image_output.min(usage.output - reasoning - audio_output);
    let counts = [
        usage.uncached_input - audio,
        audio,
        usage.cache_read - cached_audio,
        cached_audio,
        usage.cache_write - for_an_hour,
        for_an_hour,
        usage.output - reasoning - audio_output - image_output,
        reasoning,
        audio_output,
        image_output,
    ];
    let mut rates = token_rates(rates).into_iter();
    counts.map(|count| (count, rates.next().unwrap_or(0)))
}

/// The sum of tokens × rate, in pico-dollars. Saturates.
fn token_costs(parts: &[(u64, u64)]) -> u128 {
    // One product of two 64-bit numbers fits into 128 bits; the sum of several may not.
    let products = parts.iter().map(|(tokens, rate)| u128::from(*tokens) * u128::from(*rate));
    products.fold(0, u128::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::price::{LongContextRates, MediaRates};

    const RATES: Rates = Rates {
        input: 2_500_000,
        cached_input: 1_250_000,
        cache_write: 3_000_000,
        cache_write_1h: 4_000_000,
        output: 10_000_000,
        reasoning: 12_000_000,
        media: None,
    };
    const LONG: Rates = Rates {
        input: 5_000_000,
        cached_input: 2_500_000,
        cache_write: 6_000_000,
        cache_write_1h: 8_000_000,
        output: 20_000_000,
        reasoning: 24_000_000,
        media: None,
    };
    const FLEX: Rates =
        Rates { input: 1, cached_input: 1, cache_write: 1, cache_write_1h: 1, output: 1, reasoning: 1, media: None };
    const MEDIA: MediaRates =
        MediaRates { audio_input: 7, cached_audio: 5, audio_output: 40_000_000, image_output: 30_000_000 };
    const PRICE: ModelPrice = ModelPrice {
        standard: TierRates { rates: RATES, long: Some(&LongContextRates { above: 100, rates: LONG }) },
        tiers: &[("flex", TierRates { rates: FLEX, long: None })],
        per_request: 7,
        per_search: Some(10),
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
            ..Usage::default()
        };
        // 10 × 2.5 + 20 × 1.25 + 18 × 3 + 12 × 4 + 25 × 10 + 15 × 12 dollars per million tokens, and 7 for
        // the request.
        assert_eq!(PRICE.cost(&usage, None), Some(582_000 + 7));
        assert_eq!(PRICE.cost(&Usage { reasoning: 99, ..usage }, None), Some(152_000 + 40 * 12_000 + 7));
        assert_eq!(PRICE.cost(&Usage { cache_write_1h: 99, ..usage }, None), Some(600_000 + 7));
    }

    fn prompt(tokens: u64, cached_for_hour: bool) -> PromptBound {
        PromptBound { tokens, cached_for_hour, ..PromptBound::default() }
    }

    #[test]
    fn audio_and_images_have_rates_of_their_own() {
        let rates = Rates { media: Some(&MEDIA), ..RATES };
        let price = ModelPrice { standard: TierRates { rates, long: None }, ..ModelPrice::default() };
        let usage = Usage { uncached_input: 1_000, cache_read: 1_000, output: 10, ..Usage::default() };
        let text = 2_500_000 + 1_250_000 + 100_000;
        assert_eq!(price.cost(&usage, None), Some(text));
        let heard = Usage { audio_input: 1_000, cached_audio: 1_000, ..usage };
        assert_eq!(price.cost(&heard, None), Some(7 + 5 + 100_000));
        let spoken = Usage { reasoning: 1, audio_output: 4, image_output: 3, ..usage };
        assert_eq!(price.cost(&spoken, None), Some(text - 8 * 10_000 + 12_000 + 4 * 40_000 + 3 * 30_000));
        let too_many = Usage { reasoning: 1, audio_output: 99, image_output: 99, ..usage };
        assert_eq!(price.cost(&too_many, None), Some(text - 10 * 10_000 + 12_000 + 9 * 40_000));
        let as_text = ModelPrice { standard: TierRates { rates: RATES, long: None }, ..ModelPrice::default() };
        assert_eq!(as_text.cost(&heard, None), Some(text), "no rate of their own");
        let most = |has_audio| {
            const DEAR: MediaRates = MediaRates { audio_input: 9_000_000, ..MEDIA };
            let rates = Rates { media: Some(&DEAR), ..RATES };
            let price = ModelPrice { standard: TierRates { rates, long: None }, ..ModelPrice::default() };
            price.bound(PromptBound { tokens: 1, has_audio, ..PromptBound::default() }, None).unwrap().cost(1)
        };
        assert_eq!((most(false), most(true)), (3_000 + 40_000, 9_000 + 40_000));
    }

    #[test]
    fn the_lines_of_a_bill_are_its_cost() {
        let usage = Usage {
            uncached_input: 1_000,
            cache_read: 90,
            cache_write: 80,
            cache_write_1h: 30,
            output: 70,
            reasoning: 20,
            searches: 2,
            ..Usage::default()
        };
        for tier in [None, Some("flex"), Some("default")] {
            let lines = PRICE.bill(&usage, tier).unwrap();
            let pico: u128 = lines.iter().map(|line| u128::from(line.count) * u128::from(line.rate)).sum();
            let cost = PRICE.cost(&usage, tier).map(u128::from);
            assert_eq!(Some((pico + 500) / 1_000), cost, "{tier:?}");
            let kinds: Vec<&str> = lines.iter().map(|line| line.kind).collect();
            let tokens = ["input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"];
            assert_eq!(kinds, [&tokens[..], &["request", "searches"]].concat());
            assert!(lines.iter().all(|line| PRICE.has_rate(line.kind, line.rate)));
            assert!(!lines.iter().any(|line| PRICE.has_rate(line.kind, line.rate + 3)));
        }
        assert_eq!(PRICE.bill(&usage, Some("unknown")), None);
        let free = ModelPrice::default().bill(&Usage { searches: 0, ..usage }, None).unwrap();
        assert!(free.iter().all(|line| line.rate == 0));
    }

    #[test]
    fn searches_have_a_price_apart_from_tokens() {
        let usage = Usage { searches: 3, ..Usage::default() };
        assert_eq!(PRICE.cost(&usage, None), Some(30 + 7));
        assert_eq!(ModelPrice { per_search: None, ..PRICE }.cost(&usage, None), None);
        assert_eq!(PRICE.cost(&Usage { has_other_model: true, ..Usage::default() }, None), None);
        let searching = PromptBound { searches: 5, ..PromptBound::default() };
        assert_eq!(PRICE.bound(searching, None).unwrap().cost(0), 50 + 7);
        assert_eq!(ModelPrice { per_search: None, ..PRICE }.bound(searching, None), None);
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
        assert_eq!(PRICE.bound(prompt(u64::MAX, true), None).unwrap().cost(u64::MAX), Nanos::MAX);
        assert_eq!(token_costs(&[(u64::MAX, u64::MAX); 3]), u128::MAX);
    }

    #[test]
    fn a_bound_takes_the_highest_rates_of_the_requested_tier() {
        let bound = |input, output, cached_for_hour, tier| {
            PRICE.bound(prompt(input, cached_for_hour), tier).map(|bound| bound.cost(output))
        };
        assert_eq!(bound(100, 10, true, None), Some(100 * 4_000 + 10 * 12_000 + 7));
        assert_eq!(bound(101, 10, true, None), Some(101 * 8_000 + 10 * 24_000 + 7));
        assert_eq!(bound(100, 10, false, None), Some(100 * 3_000 + 10 * 12_000 + 7));
        assert_eq!(bound(100, 900, false, Some("flex")), Some(1 + 7));
        assert_eq!(bound(100, 10, false, Some("default")), bound(100, 10, false, None));
        assert_eq!(bound(1, 1, false, Some("priority")), None);
        let tiny = ModelPrice { standard: TierRates { rates: FLEX, long: None }, ..ModelPrice::default() };
        assert_eq!(tiny.bound(prompt(1, true), None).unwrap().cost(0), 1);
        assert_eq!(ModelPrice::default().bound(prompt(u64::MAX, true), None).unwrap().cost(1), 0);
    }
}
