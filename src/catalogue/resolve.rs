//! Finds the rows that apply to a model at a provider, and merges them field by field. Of two rows that know
//! a field, the later one counts: format, family, host, model at a host; the operator's rows come after them.

use std::fmt;

use super::facts::Facts;
use super::pattern;
use super::price::DatedPrice;
use super::rows::{self, Auth, Host, Row};

/// What may end a model's name without another price: a day, or the word for the newest. `#` is a digit.
const ENDINGS: &[&str] = &["-####-##-##", "-########", "-latest"];

/// What applies to one model at one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Its facts.
    pub facts: Facts,
    /// Its prices; empty if there are none.
    pub prices: &'static [DatedPrice],
}

/// The row that a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Of a format, by its name.
    Format(&'static str),
    /// Of a family of models, by its pattern.
    Family(&'static str),
    /// Of a host, by its name.
    Host(&'static str),
    /// Of a model at a host, by the row's name or pattern.
    HostModel(&'static str),
    /// The operator's, of the provider.
    Provider,
    /// The operator's, of the model.
    Model,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(name) => write!(f, "the format {name}"),
            Self::Family(pattern) => write!(f, "the family {pattern}"),
            Self::Host(name) => write!(f, "the host {name}"),
            Self::HostModel(pattern) => write!(f, "the model {pattern} at its host"),
            Self::Provider => f.write_str("your provider's row"),
            Self::Model => f.write_str("your model's row"),
        }
    }
}

/// The host of a name.
pub fn host_named(name: &str) -> Option<&'static Host> {
    let hosts = rows::hosts();
    let at = hosts.binary_search_by(|host| host.name.cmp(name)).ok()?;
    hosts.get(at)
}

/// The host at an address: `host` is a host's name without its port, `path` the path of the API's root.
pub fn host_at(host: &str, path: &str) -> Option<&'static Host> {
    let fits = |address: &str| match address.split_once('/') {
        Some(_) => pattern::matches(address, &[host, path].concat()),
        None => pattern::matches(address, host),
    };
    rows::hosts().iter().find(|known| known.addresses.iter().any(|address| fits(address)))
}

/// How the key is sent to a provider: as its host wants it, or else as is usual in its format.
pub fn auth_of(format: &str, host: Option<&'static Host>) -> Option<&'static Auth> {
    host.and_then(|host| host.auth).or_else(|| rows::format(format)?.auth)
}

/// What applies to a model, by its provider's name for it.
pub fn resolve(format: &str, host: Option<&'static Host>, model: &str) -> Resolved {
    let mut resolved = Resolved::default();
    each_row(format, host, model, &mut |_, row| {
        resolved.facts.overlay(row.facts);
        if !row.prices.is_empty() {
            resolved.prices = row.prices;
        }
    });
    resolved
}

/// What is known of a model by its name alone.
pub fn family(model: &str) -> Facts {
    let mut facts = Facts::default();
    each_family(model, &mut |_, row| facts.overlay(row.facts));
    facts
}

/// The rows that apply to a model, each before those that precede it.
pub fn each_row(format: &str, host: Option<&'static Host>, model: &str, each: &mut dyn FnMut(Origin, &'static Row)) {
    if let Some(format) = rows::format(format) {
        each(Origin::Format(format.name), format.row);
    }
    each_family(model, each);
    let Some(host) = host else { return };
    host.rows.iter().for_each(|row| each(Origin::Host(host.name), row));
    for (pattern, row) in host.patterns.iter().filter(|(pattern, _)| pattern::matches(pattern, model)) {
        each(Origin::HostModel(pattern), row);
    }
    if let Some((name, row)) = named(host, model) {
        each(Origin::HostModel(name), row);
    }
}

fn each_family(model: &str, each: &mut dyn FnMut(Origin, &'static Row)) {
    let name = base_name(model);
    for (pattern, row) in rows::families().iter().filter(|(pattern, _)| pattern::matches(pattern, name)) {
        each(Origin::Family(pattern), row);
    }
}

/// A model's name without its maker's and without what makes it a tuned one: `gpt-4o` of `ft:gpt-4o:org::id`
/// and of `openai/gpt-4o`.
pub(super) fn base_name(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let tuned = name.split_at_checked(3).filter(|(start, _)| start.eq_ignore_ascii_case("ft:"));
    tuned.map_or(name, |(_, base)| base.split(':').next().unwrap_or(base))
}

/// The row of a name, or else of the name without a date.
pub(super) fn named(host: &'static Host, model: &str) -> Option<(&'static str, &'static Row)> {
    let row = |name: &str| {
        let at = host.names.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
        host.names.get(at).copied()
    };
    row(model).or_else(|| row(undated(model)?))
}

fn undated(name: &str) -> Option<&str> {
    let without = |ending: &&str| {
        let (head, tail) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
        let fits = |(own, pattern): (u8, u8)| own == pattern || pattern == b'#' && own.is_ascii_digit();
        tail.bytes().zip(ending.bytes()).all(fits).then_some(head)
    };
    ENDINGS.iter().find_map(without)
}

#[cfg(test)]
mod tests {
    use super::super::field::{FIELDS, Field, Fit, Table, Value};
    use super::super::price::{self, Rates};
    use super::super::rows::{Evidence, Source, families, format, hosts};
    use super::*;

    fn facts(host: &str, model: &str) -> Facts {
        resolve("openai", host_named(host), model).facts
    }

    fn nearest(host: &str, model: &str, asked: &str) -> Option<&'static str> {
        match facts(host, model).fit(Field::ReasoningEffort) {
            Fit::NearestOf(efforts) => efforts.nearest(asked),
            _ => None,
        }
    }

    /// All rows, with a name that each applies to.
    fn rows() -> Vec<(&'static str, &'static Row)> {
        let at_hosts = hosts().iter().flat_map(|host| {
            let models = host.patterns.iter().chain(host.names).copied();
            host.rows.iter().map(|row| (host.name, *row)).chain(models)
        });
        families()
            .iter()
            .copied()
            .chain(format("openai").map(|format| (format.name, format.row)))
            .chain(at_hosts)
            .collect()
    }

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
    fn hosts_and_names_are_sorted() {
        assert!(hosts().is_sorted_by(|a, b| a.name < b.name));
        for host in hosts() {
            assert!(host.names.is_sorted_by(|a, b| a.0 < b.0), "{}", host.name);
        }
    }

    #[test]
    fn every_row_applies_to_its_own_names_and_says_where_it_was_read() {
        for (pattern, row) in families() {
            let name = pattern.replace('*', "x").replace('#', "7");
            let mut found = false;
            each_family(&name, &mut |_, other| found |= std::ptr::eq(other, *row));
            assert!(found, "{pattern}");
        }
        for host in hosts() {
            for (pattern, row) in host.patterns.iter().chain(host.names) {
                let name = pattern.replace('*', "x").replace('#', "7");
                let mut found = false;
                each_row("openai", Some(host), &name, &mut |_, other| found |= std::ptr::eq(other, *row));
                assert!(found, "{} {pattern}", host.name);
            }
        }
        for (name, row) in rows() {
            let Source { name: title, date, .. } = row.source;
            assert!(!title.is_empty() && date.len() == 10, "{name}");
        }
    }

    #[test]
    fn a_field_stands_in_its_own_table_only() {
        let table = |field: Field| FIELDS[field.index()].table;
        for (pattern, row) in families() {
            assert!(row.facts.iter().all(|fact| table(fact.field) == Table::Models), "{pattern}");
        }
        for host in hosts() {
            let facts = || host.rows.iter().flat_map(|row| row.facts);
            assert!(facts().all(|fact| table(fact.field) == Table::Hosts), "{}", host.name);
        }
        for (index, row) in FIELDS.iter().enumerate() {
            assert_eq!(row.field.index(), index, "{}", row.name);
        }
    }

    #[test]
    fn a_guess_removes_nothing() {
        for (name, row) in rows() {
            let removes = |value: Value| matches!(value, Value::Fit(fit) if fit.removes());
            let guessed = row.source.evidence == Evidence::Guessed;
            assert!(!guessed || !row.facts.iter().any(|fact| removes(fact.value)), "{name}");
        }
    }

    #[test]
    fn a_model_that_nobody_knows_is_taken_for_the_newest_of_its_family() {
        let newest = facts("openai", "gpt-9-x");
        assert_eq!(newest.names(Field::LimitFields), ["max_completion_tokens", "max_tokens"]);
        assert_eq!(newest.fit(Field::Temperature), Fit::Drop);
        assert_eq!(newest.fit(Field::Stop), Fit::Drop);
        assert_eq!(nearest("openai", "gpt-9-x", "max"), Some("xhigh"));
        assert!(newest.flag(Field::Thinks));
        assert_eq!(facts("vllm", "someone/GPT-9-X").word(Field::DemandedLimit), Some("max_completion_tokens"));
        let claude = facts("anthropic", "claude-opus-9");
        assert_eq!(claude.fit(Field::TopP), Fit::Drop);
        assert_eq!(claude.word(Field::Prefill), None);
        assert_eq!(facts("anthropic", "claude-sonnet-4-5").word(Field::Prefill), Some("assistant"));
        assert_eq!(facts("litellm", "claude-sonnet-4-5").word(Field::Prefill), None);
        assert_eq!(nearest("anthropic", "claude-opus-9", "xhigh"), Some("xhigh"));
        assert_eq!(nearest("google", "gemini-9-flash", "max"), Some("high"));
        assert_eq!(nearest("google", "gemini-9-pro", "none"), Some("low"));
        assert_eq!(nearest("xai", "grok-9", "none"), Some("low"));
    }

    #[test]
    fn old_families_are_exceptions() {
        for model in ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "llama-3.3-70b", "mistral-large-latest", "o1-mini"] {
            assert_eq!(facts("openai", model).fit(Field::ReasoningEffort), Fit::Drop, "{model}");
        }
        assert_eq!(facts("openai", "gpt-4o").fit(Field::Temperature), Fit::Keep);
        for (model, asked, sent) in [
            ("o3", "none", "low"),
            ("o3", "xhigh", "high"),
            ("gpt-5-mini", "none", "minimal"),
            ("gpt-5.1", "minimal", "none"),
            ("gpt-5.1", "max", "high"),
            ("gpt-5.2", "xhigh", "xhigh"),
            ("gpt-5-pro", "low", "high"),
            ("ft:gpt-5-mini:org::id", "max", "high"),
        ] {
            assert_eq!(nearest("openai", model, asked), Some(sent), "{model} {asked}");
        }
    }

    #[test]
    fn a_models_name_tells_how_it_reasons() {
        let (adaptive, budget) = ("adaptive", "budget");
        for (name, forms) in [
            ("claude-opus-4-7", [Some(true), Some(false)]),
            ("claude-fable-5-1", [Some(true), Some(false)]),
            ("anthropic/claude-sonnet-4.6", [Some(true), Some(true)]),
            ("anthropic.claude-opus-4-6-v1:0", [Some(true), Some(true)]),
            ("claude-sonnet-4-20250514", [Some(false), Some(true)]),
            ("claude-haiku-4-5-20251001", [Some(false), Some(true)]),
            ("claude-opus-4-1", [Some(false), Some(true)]),
            ("claude-3-7-sonnet-latest", [Some(false), Some(true)]),
            ("claude-3-5-haiku-latest", [Some(false), Some(false)]),
            ("gemini-2.5-pro", [Some(false), Some(true)]),
            ("gemini-2.0-flash", [Some(false), Some(false)]),
            ("models/gemini-3-flash-preview", [Some(false), Some(false)]),
            ("claude", [None, None]),
            ("mock", [None, None]),
        ] {
            let facts = family(name);
            assert_eq!([adaptive, budget].map(|form| facts.has(Field::Thinking, form)), forms, "{name}");
        }
    }

    #[test]
    fn the_more_exact_row_counts() {
        let effort = Field::ReasoningEffort;
        assert_eq!(
            facts("openrouter", "openai/gpt-5-mini").fit(effort),
            Fit::Keep,
            "a model at a host before its family"
        );
        assert_eq!(facts("deepseek", "x").fit(Field::ReasoningContent), Fit::Keep, "a host before a format");
        assert_eq!(facts("vllm", "x").fit(Field::ReasoningContent), Fit::Drop, "a format alone");
        assert_eq!(facts("zhipu", "glm-5.2").fit(Field::User), Fit::Hash(128), "a host's field for some of its models");
        assert_eq!(
            facts("moonshot-cn", "x").fit(Field::DeveloperRole),
            Fit::Rename("system"),
            "of the host that is extended"
        );
        let origin = |host: &str, model: &str, field: Field| {
            let mut found = None;
            each_row("openai", host_named(host), model, &mut |origin, row| {
                if row.facts.iter().any(|fact| fact.field == field) {
                    found = Some(origin);
                }
            });
            found
        };
        assert_eq!(origin("openrouter", "openai/gpt-5", effort), Some(Origin::HostModel("*")));
        assert_eq!(origin("openai", "gpt-5-2025-08-07", effort), Some(Origin::Family("gpt-5-*")));
        assert_eq!(origin("openai", "gpt-5", Field::User), Some(Origin::Host("openai")));
        assert_eq!(origin("openai", "gpt-5-2025-08-07", Field::Context), Some(Origin::HostModel("gpt-5")));
        assert_eq!(origin("vllm", "x", Field::ReasoningContent), Some(Origin::Format("openai")));
    }

    #[test]
    fn a_host_is_known_by_its_address() {
        let name = |host: &str, path: &str| host_at(host, path).map(|host| host.name);
        assert_eq!(name("API.OpenAI.com", "/v1"), Some("openai"));
        assert_eq!(name("my-resource.openai.azure.com", "/openai/v1"), Some("azure"));
        assert_eq!(name("proxy.example", "/openai/deployments/my-4o"), Some("azure"));
        assert_eq!(name("api.openai.com.example", "/v1"), None);
        assert_eq!(name("", ""), None);
    }

    #[test]
    fn a_price_is_that_of_its_day() {
        let day = |days: u64| days * 86_400_000;
        let input = |model: &str, now: u64| {
            let prices = resolve("gemini", host_named("google"), model).prices;
            price::at(prices, now).map(|price| price.standard.rates.input)
        };
        // 1 December 2026, and 1 January 2027.
        assert_eq!(input("gemini-4-argon", day(20_788) - 1), Some(2_000_000));
        assert_eq!(input("gemini-4-argon", day(20_788)), Some(4_000_000));
        assert_eq!(input("gemini-3.7-flash", day(20_819) - 1), Some(750_000));
        assert_eq!(input("gemini-3.7-flash", day(20_819)), Some(1_500_000));
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
        let mut priced = 0;
        for (name, row) in rows() {
            for price in row.prices.iter().filter_map(|dated| dated.price) {
                priced += 1;
                for tariff in price.tiers.iter().map(|(_, tariff)| tariff).chain([&price.standard]) {
                    assert!(tariff.long.is_none_or(|long| no_less(tariff.rates, long.rates)), "{name}");
                }
            }
        }
        assert!(priced > 100, "{priced}");
    }
}
