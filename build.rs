//! Turns `configs/catalogue.yaml` into static Rust, so that no Worker ever parses a price. A faulty catalogue fails the build, and the
//! message names the row. It knows no provider and no model: those are the file's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;

#[path = "src/config/decimal.rs"]
mod decimal;

const CATALOGUE: &str = "configs/catalogue.yaml";

/// Dollars per million tokens in pico-dollars per token, and dollars per request in nano-dollars.
const RATE_PLACES: i32 = 6;
const REQUEST_PLACES: i32 = 9;

/// No model answers faster, in tokens per second: a number above is a slip.
const FASTEST: u64 = 10_000;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={CATALOGUE}");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            println!("cargo::error={CATALOGUE}: {fault}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    providers: BTreeMap<String, Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a section without source and date is a fault, though only people read them")]
struct Section {
    hosts: Vec<String>,
    source: String,
    date: String,
    /// The names of the answer's limit that its hosts honour.
    limit_fields: Option<Vec<String>>,
    /// Whether its models think before they answer, but for those whose row says otherwise.
    #[serde(default)]
    thinks: bool,
    models: BTreeMap<String, Row>,
}

/// A mapping with prices and what else it may hold. Amounts are text, for a float would not be exact.
macro_rules! priced {
    ($name:ident { $($field:ident: $kind:ty),* }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            input: String,
            cached_input: Option<String>,
            cache_write: Option<String>,
            cache_write_1h: Option<String>,
            output: String,
            reasoning: Option<String>,
            $($field: $kind),*
        }

        impl $name {
            /// `Rates { … }`: what has no price of its own costs what the whole does.
            fn rates(&self) -> Result<String> {
                let rate = |own: &Option<String>, whole: &str| amount(own.as_deref().unwrap_or(whole), RATE_PLACES);
                let write = self.cache_write.as_deref().unwrap_or(&self.input);
                Ok(format!(
                    "Rates {{ input: {}, cached_input: {}, cache_write: {}, cache_write_1h: {}, output: {}, reasoning: {} }}",
                    amount(&self.input, RATE_PLACES)?,
                    rate(&self.cached_input, &self.input)?,
                    amount(write, RATE_PLACES)?,
                    rate(&self.cache_write_1h, write)?,
                    amount(&self.output, RATE_PLACES)?,
                    rate(&self.reasoning, &self.output)?,
                ))
            }
        }
    };
}

priced!(Long { above: u64 });
priced!(Tier { long: Option<Long> });
priced!(Row {
    per_request: Option<String>,
    context: Option<u64>,
    max_output: Option<u64>,
    encoding: Option<Encoding>,
    limit_fields: Option<Vec<String>>,
    thinks: Option<bool>,
    tokens_per_second: Option<u64>,
    aliases: Option<Vec<String>>,
    long: Option<Long>,
    tiers: Option<BTreeMap<String, Tier>>
});

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    O200k,
    Cl100k,
}

fn build() -> Result<()> {
    let text = std::fs::read_to_string(CATALOGUE).map_err(|error| error.to_string())?;
    // A value refuses keys that stand twice; a map would take the last.
    serde_yaml::from_str::<serde_yaml::Value>(&text).map_err(|error| error.to_string())?;
    let file: File = serde_yaml::from_str(&text).map_err(|error| error.to_string())?;
    let names: Vec<&String> = file.providers.keys().collect();
    if names.iter().any(|name| *name == "none") {
        return Err("providers.none: `none` is the word for no catalogue".to_owned());
    }
    write("catalogue_names.rs", &format!("&{names:?}"))?;
    write("catalogue.rs", &catalogue(&file)?)
}

fn catalogue(file: &File) -> Result<String> {
    let (mut rows, mut sections) = (String::new(), String::new());
    let mut hosts = BTreeMap::new();
    for (provider, section) in &file.providers {
        for host in &section.hosts {
            if let Some(other) = hosts.insert(host, provider) {
                return Err(format!("providers.{provider}: {host} is also {other}'s"));
            }
        }
        let mut names = BTreeMap::new();
        for (model, row) in &section.models {
            let fault = |fault: String| format!("providers.{provider}.models[\"{model}\"]: {fault}");
            let item = format!("ROW_{}", rows.lines().count());
            let card = card(row, section).map_err(fault)?;
            line(&mut rows, format_args!("static {item}: ModelCard = {card};"));
            for name in row.aliases.iter().flatten().chain([model]) {
                if names.insert(name, item.clone()).is_some() {
                    return Err(fault(format!("`{name}` stands here twice")));
                }
            }
        }
        let rows: Vec<String> = names.iter().map(|(name, item)| format!("({name:?}, &{item})")).collect();
        let (hosts, rows) = (&section.hosts, rows.join(", "));
        line(&mut sections, format_args!("Section {{ name: {provider:?}, hosts: &{hosts:?}, rows: &[{rows}] }},"));
    }
    Ok(format!("{rows}static SECTIONS: &[Section] = &[\n{sections}];\n"))
}

fn card(row: &Row, section: &Section) -> Result<String> {
    let standard = tariff(&row.rates()?, row.long.as_ref())?;
    let mut tiers = String::new();
    for (name, tier) in row.tiers.iter().flatten() {
        let tariff = tariff(&tier.rates()?, tier.long.as_ref()).map_err(|fault| format!("{name}: {fault}"))?;
        line(&mut tiers, format_args!("({name:?}, {tariff}),"));
    }
    let per_request = amount(row.per_request.as_deref().unwrap_or("0"), REQUEST_PLACES)?;
    let tiers = tiers.replace('\n', " ");
    let price = format!("ModelPrice {{ standard: {standard}, tiers: &[{tiers}], per_request: {per_request} }}");
    let encoding = row.encoding.as_ref().map_or("None".to_owned(), |name| format!("Some(CardEncoding::{name:?})"));
    let (context, max_output, thinks) = (row.context, row.max_output, row.thinks.unwrap_or(section.thinks));
    let pace = row.tokens_per_second;
    if pace.is_some_and(|pace| !(1..=FASTEST).contains(&pace)) {
        return Err(format!("tokens_per_second: expected a whole number from 1 to {FASTEST}"));
    }
    let limit_fields = row.limit_fields.as_ref().or(section.limit_fields.as_ref()).cloned().unwrap_or_default();
    Ok(format!(
        "ModelCard {{ price: Some({price}), context: {context:?}, max_output: {max_output:?}, encoding: {encoding}, \
         limit_fields: &{limit_fields:?}, thinks: {thinks}, tokens_per_second: {pace:?} }}"
    ))
}

fn tariff(rates: &str, long: Option<&Long>) -> Result<String> {
    let long = long.map(|long| {
        Ok::<_, String>(format!("&LongContextRates {{ above: {}, rates: {} }}", long.above, long.rates()?))
    });
    let long = long.transpose()?.map_or("None".to_owned(), |long| format!("Some({long})"));
    Ok(format!("TierRates {{ rates: {rates}, long: {long} }}"))
}

fn amount(text: &str, places: i32) -> Result<u64> {
    let fault = || format!("`{text}` is no amount in dollars, at least 0 and with at most {places} decimals");
    decimal::scaled(text, places).ok_or_else(fault)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A string takes whatever is written to it.
    let _ = writeln!(out, "{text}");
}

fn write(name: &str, text: &str) -> Result<()> {
    let folder = std::env::var("OUT_DIR").map_err(|error| error.to_string())?;
    std::fs::write(Path::new(&folder).join(name), text).map_err(|error| error.to_string())
}
