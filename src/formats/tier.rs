//! How a provider says it served a request, as far as that decides its price. It knows no prices.

use std::borrow::Cow;

use serde::Deserialize;

use crate::canonical::Raw;

/// A field, besides the tier, that chooses another price, and its words for the usual one.
pub(super) type Priced = (&'static str, &'static [&'static str]);
/// How fast the answer comes.
pub(super) const SPEED: Priced = ("speed", &["standard", "default"]);
/// Where it is made.
pub(super) const REGION: Priced = ("inference_geo", &["global", "not_available"]);

/// What an answer says of how it was made. What is no text says nothing.
#[derive(Deserialize, Default)]
pub(super) struct Words<'a> {
    #[serde(borrow)]
    pub(super) service_tier: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) speed: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) inference_geo: Option<Raw<'a>>,
}

/// What was said so far: of each field, the last word.
#[derive(Default)]
pub(super) struct Served {
    tier: Option<String>,
    fast: bool,
    elsewhere: bool,
    told: Option<String>,
}

impl Served {
    /// Takes what is said now. Gives the word that decides the price, if it is another than before: the tier's, or the name of a field that
    /// chooses a price beside those of the tiers.
    pub(super) fn take(&mut self, words: &Words<'_>) -> Option<&str> {
        if let Some(tier) = word(&words.service_tier).filter(|tier| self.tier.as_deref() != Some(tier)) {
            self.tier = Some(tier.into_owned());
        }
        self.fast = is_other(&SPEED, &words.speed).unwrap_or(self.fast);
        self.elsewhere = is_other(&REGION, &words.inference_geo).unwrap_or(self.elsewhere);
        let decides = match (self.fast, self.elsewhere) {
            (true, _) => Some(SPEED.0),
            (false, true) => Some(REGION.0),
            (false, false) => self.tier.as_deref(),
        };
        if decides == self.told.as_deref() {
            return None;
        }
        self.told = decides.map(str::to_owned);
        Some(self.told.as_deref().unwrap_or(USUAL))
    }

    /// The word that decides the price.
    pub(super) fn word(&self) -> Option<&str> {
        self.told.as_deref()
    }
}

/// The word that decides the price of an answer of which only the values of two members are known: its `usage`, and its tier at its top level.
pub fn told(usage: Option<&str>, tier: Option<&str>) -> Option<String> {
    let usage = usage.filter(|usage| usage.starts_with('{'));
    let beside: Words<'_> = usage.and_then(|usage| serde_json::from_str(usage).ok()).unwrap_or_default();
    let own = tier.and_then(|tier| serde_json::from_str::<Option<Raw<'_>>>(tier).ok()?);
    let words = Words { service_tier: own.or(beside.service_tier), ..beside };
    Served::default().take(&words).map(str::to_owned)
}

/// The usual tier, after another price was told and taken back.
const USUAL: &str = "standard";

fn word<'r>(raw: &'r Option<Raw<'_>>) -> Option<Cow<'r, str>> {
    raw.as_ref()?.text().filter(|word| !word.is_empty())
}

/// Whether a word, if there is one, is none for the usual price.
fn is_other((_, usual): &Priced, raw: &Option<Raw<'_>>) -> Option<bool> {
    word(raw).map(|word| !usual.contains(&word.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &[&str]) -> Vec<Option<String>> {
        let mut served = Served::default();
        said.iter().map(|said| served.take(&serde_json::from_str(said).unwrap()).map(str::to_owned)).collect()
    }

    #[test]
    fn a_speed_or_a_region_outweighs_the_tier_that_is_told_with_it() {
        for (said, word) in [
            (r#"{"service_tier":"standard","speed":"standard","inference_geo":"global"}"#, Some("standard")),
            (r#"{"service_tier":"standard","speed":"fast"}"#, Some("speed")),
            (r#"{"service_tier":"standard","inference_geo":"us"}"#, Some("inference_geo")),
            (r#"{"service_tier":"pr\u0069ority","speed":null}"#, Some("priority")),
            (r#"{"service_tier":7,"speed":"","inference_geo":[]}"#, None),
            ("{}", None),
        ] {
            assert_eq!(told(&[said]), [word.map(str::to_owned)], "{said}");
        }
    }

    #[test]
    fn a_long_answer_is_known_by_its_usage_and_its_tier_alone() {
        let fast = Some(r#"{"service_tier":"standard","speed":"fast"}"#);
        assert_eq!(super::told(fast, Some("\"standard\"")).as_deref(), Some("speed"));
        assert_eq!(super::told(None, Some("\"flex\"")).as_deref(), Some("flex"));
        assert_eq!(super::told(Some(r#"{"service_tier":"batch"}"#), Some("null")).as_deref(), Some("batch"));
        assert_eq!((super::told(Some("{}"), None), super::told(Some("7"), Some("[]"))), (None, None));
    }

    #[test]
    fn the_last_word_of_each_field_counts_and_silence_takes_nothing_back() {
        let fast = r#"{"service_tier":"standard","speed":"fast"}"#;
        let words = |words: &[Option<&str>]| words.iter().map(|word| word.map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(told(&[fast, "{}", r#"{"service_tier":"standard"}"#]), words(&[Some("speed"), None, None]));
        let back = r#"{"speed":"standard"}"#;
        assert_eq!(told(&[fast, back, back]), words(&[Some("speed"), Some("standard"), None]));
        assert_eq!(told(&[r#"{"speed":"fast"}"#, back]), words(&[Some("speed"), Some("standard")]));
    }
}
