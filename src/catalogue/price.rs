//! What models cost, as data: rates by tier and by length of the prompt, and the prices that hold at a time.

/// Milliseconds in an hour and in a day.
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// What a token costs, in pico-dollars (dollars per million tokens × 1,000,000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// A prompt token that is not cached.
    pub input: u64,
    /// A token read from the provider's cache.
    pub cached_input: u64,
    /// A token written to it.
    pub cache_write: u64,
    /// A token written to it for an hour.
    pub cache_write_1h: u64,
    /// A token of the response.
    pub output: u64,
    /// A token of the response that was reasoning.
    pub reasoning: u64,
    /// Tokens that are not text, where they cost something else.
    pub media: Option<&'static MediaRates>,
}

/// What tokens cost that are not text, in the unit of [`Rates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaRates {
    /// A prompt token of audio that is not cached.
    pub audio_input: u64,
    /// A token of audio read from the provider's cache.
    pub cached_audio: u64,
    /// A token of the response that is audio.
    pub audio_output: u64,
    /// A token of the response that is a part of an image.
    pub image_output: u64,
}

impl Rates {
    /// The rates of tokens that are not text: those of text, where no others are known.
    pub fn media(&self) -> MediaRates {
        let Self { input, cached_input, output, .. } = *self;
        let as_text =
            MediaRates { audio_input: input, cached_audio: cached_input, audio_output: output, image_output: output };
        self.media.copied().unwrap_or(as_text)
    }
}

/// The price of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelPrice {
    /// The rates of the standard tier, and of responses that name no tier.
    pub standard: TierRates,
    /// The rates of other tiers, by the name that the provider reports.
    pub tiers: &'static [(&'static str, TierRates)],
    /// Per request, in nano-dollars, in addition to tokens.
    pub per_request: u64,
    /// Per search that the provider runs itself, in nano-dollars. `None` if not known.
    pub per_search: Option<u64>,
}

/// The rates of one service tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierRates {
    /// The usual rates.
    pub rates: Rates,
    /// The rates of requests with a long prompt.
    pub long: Option<&'static LongContextRates>,
}

/// The rates of a request with a long prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongContextRates {
    /// A prompt is long if it has more tokens than this.
    pub above: u64,
    /// The rates of all tokens of the request.
    pub rates: Rates,
}

/// A price with the time in which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatedPrice {
    /// When it begins, in milliseconds since 1970.
    pub from: u64,
    /// The hours in which it holds; it precedes the price of all hours that begins at the same time.
    pub hours: Option<Hours>,
    /// The price; none if it is not known from then on.
    pub price: Option<ModelPrice>,
}

/// Hours of the day, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Bit `n` is the hour from `n`:00.
    pub of_day: u32,
    /// From Monday to Friday only.
    pub weekdays_only: bool,
}

impl Hours {
    fn contain(self, now: u64) -> bool {
        // 1 January 1970 was a Thursday; Monday is 0.
        let weekday = (now / DAY + 3) % 7;
        self.of_day & (1 << ((now % DAY) / HOUR)) != 0 && !(self.weekdays_only && weekday > 4)
    }
}

/// The price at a time, in milliseconds since 1970. `None` if there is none.
pub fn at(prices: &[DatedPrice], now: u64) -> Option<ModelPrice> {
    entry_at(prices, now)?.price
}

/// The entry of a list of prices that holds at a time, in milliseconds since 1970. `None` before the first.
pub fn entry_at(prices: &[DatedPrice], now: u64) -> Option<&DatedPrice> {
    let holds = |price: &&DatedPrice| price.from <= now && price.hours.is_none_or(|hours| hours.contain(now));
    prices.iter().filter(holds).max_by_key(|price| (price.from, price.hours.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn price(input: u64) -> Option<ModelPrice> {
        let rates =
            Rates { input, cached_input: 0, cache_write: 0, cache_write_1h: 0, output: 0, reasoning: 0, media: None };
        Some(ModelPrice { standard: TierRates { rates, long: None }, tiers: &[], per_request: 0, per_search: None })
    }

    fn input_at(prices: &[DatedPrice], now: u64) -> Option<u64> {
        at(prices, now).map(|price| price.standard.rates.input)
    }

    /// Midnight of 27 November 2026, a Friday.
    const FRIDAY: u64 = 20_784 * DAY;

    #[test]
    fn a_price_holds_from_its_day_on() {
        let dated = |from, price| DatedPrice { from, hours: None, price };
        let prices = [dated(0, price(1)), dated(FRIDAY, price(2)), dated(FRIDAY + DAY, None)];
        assert_eq!(input_at(&prices, FRIDAY - 1), Some(1));
        assert_eq!(input_at(&prices, FRIDAY), Some(2));
        assert_eq!(input_at(&prices, FRIDAY + DAY - 1), Some(2));
        assert_eq!(input_at(&prices, FRIDAY + DAY), None);
        assert_eq!(input_at(&prices[1..], 0), None);
        assert_eq!(input_at(&[], FRIDAY), None);
    }

    #[test]
    fn a_price_of_some_hours_precedes_that_of_all() {
        let hours = Some(Hours { of_day: 0b1110, weekdays_only: true });
        let dated = |from, hours, price| DatedPrice { from, hours, price };
        let prices = [dated(0, hours, price(2)), dated(0, None, price(1)), dated(FRIDAY + 7 * DAY, None, price(3))];
        assert_eq!(input_at(&prices, FRIDAY + HOUR - 1), Some(1));
        assert_eq!(input_at(&prices, FRIDAY + HOUR), Some(2));
        assert_eq!(input_at(&prices, FRIDAY + 4 * HOUR - 1), Some(2));
        assert_eq!(input_at(&prices, FRIDAY + 4 * HOUR), Some(1));
        assert_eq!(input_at(&prices, FRIDAY + DAY + HOUR), Some(1), "a Saturday");
        assert_eq!(input_at(&prices, FRIDAY + 3 * DAY + HOUR), Some(2), "a Monday");
        assert_eq!(input_at(&prices, FRIDAY + 7 * DAY + HOUR), Some(3), "hours of an older price");
    }
}
