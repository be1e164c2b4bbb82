//! How a provider reports that it served a request, as far as that decides its price.

use std::borrow::Cow;

use serde::Deserialize;

use crate::canonical::Raw;

/// A field besides the tier that selects another price, and its values for the usual price.
pub(super) type Priced = (&'static str, &'static [&'static str]);
/// The speed of the response.
pub(super) const SPEED: Priced = ("speed", &["standard", "default"]);
/// The region of inference.
pub(super) const REGION: Priced = ("inference_geo", &["global", "not_available"]);

/// The service fields of a response. Values that are not strings are ignored.
#[derive(Deserialize, Default)]
pub(super) struct ServedFields<'a> {
    #[serde(borrow)]
    pub(super) service_tier: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) speed: Option<Raw<'a>>,
    #[serde(borrow)]
    pub(super) inference_geo: Option<Raw<'a>>,
}

/// What has been reported so far: of each field, the last value.
#[derive(Default)]
pub(super) struct ServedTier {
    tier: Option<String>,
    fast: bool,
    other_region: bool,
    reported: Option<String>,
}

impl ServedTier {
    /// Takes a report. Returns the word that decides the price if it has changed: the tier's name, or the
    /// name of a field that selects a price apart from the tiers.
    pub(super) fn take(&mut self, words: &ServedFields<'_>) -> Option<&str> {
        if let Some(tier) = word(&words.service_tier).filter(|tier| self.tier.as_deref() != Some(tier)) {
            self.tier = Some(tier.into_owned());
        }
        self.fast = is_unusual(&SPEED, &words.speed).unwrap_or(self.fast);
        self.other_region = is_unusual(&REGION, &words.inference_geo).unwrap_or(self.other_region);
        let decides = match (self.fast, self.other_region) {
            (true, _) => Some(SPEED.0),
            (false, true) => Some(REGION.0),
            (false, false) => self.tier.as_deref(),
        };
        if decides == self.reported.as_deref() {
            return None;
        }
        self.reported = decides.map(str::to_owned);
        Some(self.reported.as_deref().unwrap_or(STANDARD))
    }

    /// The word that decides the price.
    pub(super) fn word(&self) -> Option<&str> {
        self.reported.as_deref()
    }
}

/// The word that decides the price of a response, from its `usage` and the `service_tier` at its top level.
pub fn of_response(usage: Option<&str>, tier: Option<&str>) -> Option<String> {
    let usage = usage.filter(|usage| usage.starts_with('{'));
    let in_usage: ServedFields<'_> = usage.and_then(|usage| serde_json::from_str(usage).ok()).unwrap_or_default();
    let own = tier.and_then(|tier| serde_json::from_str::<Option<Raw<'_>>>(tier).ok()?);
    let words = ServedFields { service_tier: own.or(in_usage.service_tier), ..in_usage };
    ServedTier::default().take(&words).map(str::to_owned)
}

/// The usual tier, reported after another price was taken back.
const STANDARD: &str = "standard";

fn word<'r>(raw: &'r Option<Raw<'_>>) -> Option<Cow<'r, str>> {
    raw.as_ref()?.text().filter(|word| !word.is_empty())
}

/// Whether a value, if there is one, selects another price.
fn is_unusual((_, usual): &Priced, raw: &Option<Raw<'_>>) -> Option<bool> {
    word(raw).map(|word| !usual.contains(&word.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(reports: &[&str]) -> Vec<Option<String>> {
        let mut served = ServedTier::default();
        reports.iter().map(|reports| served.take(&serde_json::from_str(reports).unwrap()).map(str::to_owned)).collect()
    }

    #[test]
    fn a_speed_or_a_region_outweighs_the_tier_beside_it() {
        for (reports, word) in [
            (r#"{"service_tier":"standard","speed":"standard","inference_geo":"global"}"#, Some("standard")),
            (r#"{"service_tier":"standard","speed":"fast"}"#, Some("speed")),
            (r#"{"service_tier":"standard","inference_geo":"us"}"#, Some("inference_geo")),
            (r#"{"service_tier":"pr\u0069ority","speed":null}"#, Some("priority")),
            (r#"{"service_tier":7,"speed":"","inference_geo":[]}"#, None),
            ("{}", None),
        ] {
            assert_eq!(reported(&[reports]), [word.map(str::to_owned)], "{reports}");
        }
    }

    #[test]
    fn the_tier_of_a_long_response_is_read_from_two_values() {
        let fast = Some(r#"{"service_tier":"standard","speed":"fast"}"#);
        assert_eq!(of_response(fast, Some("\"standard\"")).as_deref(), Some("speed"));
        assert_eq!(of_response(None, Some("\"flex\"")).as_deref(), Some("flex"));
        assert_eq!(of_response(Some(r#"{"service_tier":"batch"}"#), Some("null")).as_deref(), Some("batch"));
        assert_eq!((of_response(Some("{}"), None), of_response(Some("7"), Some("[]"))), (None, None));
    }

    #[test]
    fn the_last_word_of_each_field_counts_and_silence_takes_nothing_back() {
        let fast = r#"{"service_tier":"standard","speed":"fast"}"#;
        let words = |words: &[Option<&str>]| words.iter().map(|word| word.map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(reported(&[fast, "{}", r#"{"service_tier":"standard"}"#]), words(&[Some("speed"), None, None]));
        let back = r#"{"speed":"standard"}"#;
        assert_eq!(reported(&[fast, back, back]), words(&[Some("speed"), Some("standard"), None]));
        assert_eq!(reported(&[r#"{"speed":"fast"}"#, back]), words(&[Some("speed"), Some("standard")]));
    }
}
