//! Prices: amounts in dollars, as exact integers.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::source::Result;
use crate::{calendar, decimal};

/// Dollars per million tokens are kept in pico-dollars per token, and dollars per request in nano-dollars.
const RATE_PLACES: i32 = 6;
const REQUEST_PLACES: i32 = 9;

/// One price, or a list of prices. Amounts are read as text, because a float would not be exact; so this is
/// read without a detour over a value.
#[derive(Default)]
pub struct Prices(pub Vec<Price>);

impl<'de> Deserialize<'de> for Prices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Prices;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price, or a list of prices")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Prices, A::Error> {
                Price::deserialize(MapAccessDeserializer::new(map)).map(|price| Prices(vec![price]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> std::result::Result<Prices, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Prices)
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Rates, and what else stands beside them.
macro_rules! rates {
    ($name:ident { $($field:ident: $kind:ty),* }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            input: Option<String>,
            cached_input: Option<String>,
            cache_write: Option<String>,
            cache_write_1h: Option<String>,
            output: Option<String>,
            reasoning: Option<String>,
            audio_input: Option<String>,
            cached_audio: Option<String>,
            audio_output: Option<String>,
            image_output: Option<String>,
            $(#[serde(default)] $field: $kind),*
        }

        impl $name {
            /// A kind of token without a rate of its own costs what the kind it belongs to costs.
            fn rates(&self) -> Result<String> {
                let input = self.input.as_deref().ok_or("`input` is missing")?;
                let output = self.output.as_deref().ok_or("`output` is missing")?;
                let write = self.cache_write.as_deref().unwrap_or(input);
                Ok(format!(
                    "Rates {{ input: {}, cached_input: {}, cache_write: {}, cache_write_1h: {}, output: {}, reasoning: {}, media: {} }}",
                    amount(input, RATE_PLACES)?,
                    amount(self.cached_input.as_deref().unwrap_or(input), RATE_PLACES)?,
                    amount(write, RATE_PLACES)?,
                    amount(self.cache_write_1h.as_deref().unwrap_or(write), RATE_PLACES)?,
                    amount(output, RATE_PLACES)?,
                    amount(self.reasoning.as_deref().unwrap_or(output), RATE_PLACES)?,
                    self.media(input, output)?,
                ))
            }

            /// What is not text costs what text costs, unless it has a rate of its own.
            fn media(&self, input: &str, output: &str) -> Result<String> {
                let own = [&self.audio_input, &self.cached_audio, &self.audio_output, &self.image_output];
                if own.iter().all(|rate| rate.is_none()) {
                    return Ok("None".to_owned());
                }
                let cached = self.cached_input.as_deref().unwrap_or(input);
                Ok(format!(
                    "Some(&MediaRates {{ audio_input: {}, cached_audio: {}, audio_output: {}, image_output: {} }})",
                    amount(self.audio_input.as_deref().unwrap_or(input), RATE_PLACES)?,
                    amount(self.cached_audio.as_deref().unwrap_or(cached), RATE_PLACES)?,
                    amount(self.audio_output.as_deref().unwrap_or(output), RATE_PLACES)?,
                    amount(self.image_output.as_deref().unwrap_or(output), RATE_PLACES)?,
                ))
            }
        }
    };
}

rates!(Long { above: u64 });
rates!(Tier { long: Option<Long> });
rates!(Price {
    from: Option<String>,
    hours: Option<Vec<String>>,
    weekdays_only: bool,
    unknown: bool,
    per_request: Option<String>,
    long: Option<Long>,
    tiers: BTreeMap<String, Tier>
});

pub fn dated(price: &Price) -> Result<String> {
    let from = price.from.as_deref().map_or(Ok(0), midnight)?;
    let hours = price.hours.as_ref().map(|spans| hours(spans, price.weekdays_only)).transpose()?;
    let hours = hours.map_or("None".to_owned(), |hours| format!("Some({hours})"));
    if price.unknown {
        return Ok(format!("DatedPrice {{ from: {from}, hours: {hours}, price: None }}"));
    }
    let standard = tariff(&price.rates()?, price.long.as_ref())?;
    let mut tiers = String::new();
    for (name, tier) in &price.tiers {
        let tariff = tariff(&tier.rates()?, tier.long.as_ref()).map_err(|fault| format!("{name}: {fault}"))?;
        let _ = write!(tiers, "({name:?}, {tariff}), ");
    }
    let per_request = amount(price.per_request.as_deref().unwrap_or("0"), REQUEST_PLACES)?;
    let price = format!(
        "ModelPrice {{ standard: {standard}, tiers: &[{tiers}], per_request: {per_request}, per_search: None }}"
    );
    Ok(format!("DatedPrice {{ from: {from}, hours: {hours}, price: Some({price}) }}"))
}

fn tariff(rates: &str, long: Option<&Long>) -> Result<String> {
    let long = long.map(|long| {
        Ok::<_, String>(format!("&LongContextRates {{ above: {}, rates: {} }}", long.above, long.rates()?))
    });
    let long = long.transpose()?.map_or("None".to_owned(), |long| format!("Some({long})"));
    Ok(format!("TierRates {{ rates: {rates}, long: {long} }}"))
}

fn midnight(day: &str) -> Result<u64> {
    calendar::midnight(day).ok_or_else(|| format!("from: `{day}` is no day, such as 2026-12-01"))
}

fn hours(spans: &[String], weekdays_only: bool) -> Result<String> {
    let mut of_day = 0_u32;
    for span in spans {
        let hours = calendar::hours(span);
        of_day |= hours.ok_or_else(|| format!("hours: `{span}` is no span of whole hours, such as 01-04"))?;
    }
    Ok(format!("Hours {{ of_day: {of_day}, weekdays_only: {weekdays_only} }}"))
}

fn amount(text: &str, places: i32) -> Result<u64> {
    let fault = || format!("`{text}` is no amount in dollars, at least 0 and with at most {places} decimals");
    decimal::scaled(text, places).ok_or_else(fault)
}
