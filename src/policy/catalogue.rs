//! The prices that the gateway was built with, as static data: `build.rs` makes them of `configs/catalogue.yaml`. It knows no sums.

use super::model_card::{CardEncoding, LongContextRates, ModelCard, ModelPrice, TierRates};
use crate::config::{Catalogue, Provider, Rates};

/// The models of one provider.
struct Section {
    name: &'static str,
    hosts: &'static [&'static str],
    /// Names and aliases, sorted.
    rows: &'static [(&'static str, &'static ModelCard)],
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// What may end a model's name without another price: a day, or the word for the newest. `#` is a digit.
const SUFFIXES: &[&str] = &["-####-##-##", "-########", "-latest"];

/// The row of a provider's model: by its exact name, or else by its name without a date.
pub(super) fn find(provider: &Provider, upstream: &str) -> Option<&'static ModelCard> {
    let section = section(provider)?;
    section.row(upstream).or_else(|| section.row(undated(upstream)?))
}

fn section(provider: &Provider) -> Option<&'static Section> {
    let host = provider.address.as_ref().map(|address| address.host());
    SECTIONS.iter().find(|section| match provider.catalogue {
        Catalogue::ByHost => section.hosts.iter().any(|own| host.is_some_and(|host| own.eq_ignore_ascii_case(host))),
        Catalogue::Named(name) => section.name == name,
        Catalogue::Nothing => false,
    })
}

impl Section {
    fn row(&self, name: &str) -> Option<&'static ModelCard> {
        let at = self.rows.binary_search_by(|(row, _)| (*row).cmp(name)).ok()?;
        self.rows.get(at).map(|(_, card)| *card)
    }
}

fn undated(name: &str) -> Option<&str> {
    let without = |ending: &&str| {
        let (head, tail) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
        let fits = |(own, pattern): (u8, u8)| own == pattern || pattern == b'#' && own.is_ascii_digit();
        tail.bytes().zip(ending.bytes()).all(fits).then_some(head)
    };
    SUFFIXES.iter().find_map(without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CATALOGUES;

    #[test]
    fn a_date_is_no_part_of_a_name() {
        assert_eq!(undated("m-2025-08-07"), Some("m"));
        assert_eq!(undated("m-20250807"), Some("m"));
        assert_eq!(undated("m-latest"), Some("m"));
        for own in ["m", "m-0613", "m-2025-8-07", "m-2025080é", "é", "latest", ""] {
            assert_eq!(undated(own), None, "{own}");
        }
    }

    #[test]
    fn rows_are_sorted_and_sections_are_those_that_a_file_may_name() {
        let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
        assert_eq!(names, CATALOGUES);
        for section in SECTIONS {
            assert!(section.rows.is_sorted_by(|a, b| a.0 < b.0), "{}", section.name);
        }
    }

    #[test]
    fn no_more_tokens_cost_less() {
        let no_less = |a: Rates, b: Rates| {
            a.input <= b.input
                && a.cached_input <= b.cached_input
                && a.cache_write <= b.cache_write
                && a.cache_write_1h <= b.cache_write_1h
                && a.output <= b.output
        };
        for (name, card) in SECTIONS.iter().flat_map(|section| section.rows) {
            let price = card.price.unwrap();
            for tariff in price.tiers.iter().map(|(_, tariff)| tariff).chain([&price.standard]) {
                assert!(tariff.long.is_none_or(|long| no_less(tariff.rates, long.rates)), "{name}");
            }
        }
    }
}
