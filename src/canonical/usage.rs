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

/// Reads [`count`] as a field of an object.
///
/// # Errors
/// Only those of its JSON.
pub fn read_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Value::deserialize(deserializer).map(|value| count(&value))
}

/// The tokens of one exchange. The prompt is always `uncached_input + cache_read + cache_write`;
/// `cache_write` includes `cache_write_1h`, and `output` includes `reasoning`.
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
}

impl Usage {
    /// All prompt tokens.
    pub fn prompt(&self) -> u64 {
        self.uncached_input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
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
}
