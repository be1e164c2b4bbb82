//! Token usage, counted the same way for every provider.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Stands for a count that cannot be true: the provider reported a negative number.
pub const IMPOSSIBLE_COUNT: u64 = u64::MAX;

/// A count as a provider reports it: an integer or a float. A negative one is [`IMPOSSIBLE_COUNT`]; other
/// values are none.
pub fn count(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let float = |number: f64| if number < 0.0 { IMPOSSIBLE_COUNT } else { number as u64 };
    value.as_u64().or_else(|| value.as_f64().map(float))
}

/// Nano-dollars per dollar.
const NANOS_PER_DOLLAR: f64 = 1e9;

/// More dollars than any request costs.
const IMPLAUSIBLE_DOLLARS: f64 = 1e6;

/// An amount in dollars as a provider reports it, in nano-dollars: a number, or a string that holds one.
/// Negative and implausible amounts, and other values, are none.
pub fn dollars(value: &Value) -> Option<u64> {
    let amount = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let nanos = (amount * NANOS_PER_DOLLAR).round() as u64;
    (0.0..IMPLAUSIBLE_DOLLARS).contains(&amount).then_some(nanos)
}

/// Reads [`count`] as a field of an object.
///
/// # Errors
/// Only those of its JSON.
pub fn read_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Value::deserialize(deserializer).map(|value| count(&value))
}

/// What one exchange used. The prompt is always `uncached_input + cache_read + cache_write`; `cache_write`
/// includes `cache_write_1h`, and `output` includes `reasoning`, `audio_output` and `image_output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that were not cached.
    pub uncached_input: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
    /// Those of `cache_write` that are kept for an hour, where the provider reports them.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Those of `output` that were reasoning.
    pub reasoning: u64,
    /// Those of `uncached_input` that were audio.
    pub audio_input: u64,
    /// Those of `cache_read` that were audio.
    pub cached_audio: u64,
    /// Those of `output` that were audio.
    pub audio_output: u64,
    /// Those of `output` that were images.
    pub image_output: u64,
    /// Searches that the provider ran itself, and bills apart from tokens.
    pub searches: u64,
    /// The provider also billed tokens of another model, which are not counted here.
    pub has_other_model: bool,
    /// What the provider says it charges, in nano-dollars.
    pub reported_cost: Option<u64>,
    /// Whether it says so in a form whose documentation states the currency: US dollars.
    pub has_detailed_cost: bool,
    /// The provider reported nothing, and the gateway has estimated the tokens for the client.
    pub is_estimated: bool,
}

impl Usage {
    /// Tokens that the gateway has estimated for the client.
    pub fn estimated(prompt: u64, output: u64) -> Self {
        Self { uncached_input: prompt.max(1), output: output.max(1), is_estimated: true, ..Self::default() }
    }

    /// All prompt tokens.
    pub fn prompt(&self) -> u64 {
        self.uncached_input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// The tokens of this usage and of another; what else was used is that of this one.
    #[must_use]
    pub fn with_tokens_of(self, other: &Self) -> Self {
        Self {
            uncached_input: self.uncached_input.saturating_add(other.uncached_input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_count_is_impossible_and_other_values_are_none() {
        let read = |json: &str| count(&serde_json::from_str(json).unwrap());
        assert_eq!([read("5"), read("5.7"), read("1e30")], [Some(5), Some(5), Some(u64::MAX)]);
        assert_eq!([read("-1"), read("-0.5"), read("-1e30")], [Some(IMPOSSIBLE_COUNT); 3]);
        assert_eq!([read("null"), read("\"5\""), read("[]")], [None; 3]);
    }

    #[test]
    fn an_amount_is_a_number_of_dollars() {
        let read = |json: &str| dollars(&serde_json::from_str(json).unwrap());
        assert_eq!([read("0.0123"), read("\"0.0123\"")], [Some(12_300_000); 2]);
        assert_eq!([read("0"), read("3"), read("1e-9")], [Some(0), Some(3_000_000_000), Some(1)]);
        assert_eq!([read("-0.1"), read("null"), read("\"free\""), read("{}"), read("\"inf\"")], [None; 5]);
        assert_eq!([read("1e6"), read("999999")], [None, Some(999_999_000_000_000)]);
    }
}
