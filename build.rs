//! Turns `configs/catalogue.yaml` into static Rust, so that no Worker parses it. A faulty catalogue fails the
//! build, and the message names the row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Value as Yaml;

#[path = "src/catalogue/calendar.rs"]
mod calendar;
#[path = "src/config/decimal.rs"]
#[allow(dead_code, reason = "the gateway uses all of it")]
mod decimal;
#[path = "src/catalogue/field.rs"]
#[allow(dead_code, reason = "the gateway uses all of it")]
mod field;
#[path = "src/catalogue/pattern.rs"]
#[allow(dead_code, reason = "the gateway uses all of it")]
mod pattern;

use field::{Efforts, Fit, Kind, Table, Value};
use pattern::{is_pattern, rank};

const CATALOGUE: &str = "configs/catalogue.yaml";

/// Dollars per million tokens are kept in pico-dollars per token, and dollars per request in nano-dollars.
const RATE_PLACES: i32 = 6;
const REQUEST_PLACES: i32 = 9;

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
    sources: BTreeMap<String, Source>,
    auth: BTreeMap<String, Auth>,
    formats: BTreeMap<String, Format>,
    hosts: BTreeMap<String, Host>,
    models: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    name: String,
    date: String,
    #[serde(default)]
    evidence: Evidence,
}

#[derive(Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Evidence {
    #[default]
    Documented,
    Reported,
    Guessed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    #[serde(default)]
    header: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    query: String,
}

#[derive(Deserialize)]
struct Format {
    auth: Option<String>,
    source: String,
    #[serde(flatten)]
    fields: BTreeMap<String, Yaml>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(default)]
    addresses: Vec<String>,
    extends: Option<String>,
    auth: Option<String>,
    source: String,
    /// Where its models were read, if elsewhere.
    models_source: Option<String>,
    #[serde(default)]
    models: BTreeMap<String, Row>,
    #[serde(flatten)]
    fields: BTreeMap<String, Yaml>,
}

#[derive(Deserialize)]
struct Row {
    source: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    price: Prices,
    #[serde(flatten)]
    fields: BTreeMap<String, Yaml>,
}

/// One price, or a list of prices. Amounts are read as text, because a float would not be exact; so this is
/// read without a detour over a value.
#[derive(Default)]
struct Prices(Vec<Price>);

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
        struct $name {
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

fn build() -> Result<()> {
    let text = std::fs::read_to_string(CATALOGUE).map_err(|error| error.to_string())?;
    // A value refuses keys that stand twice; a map would take the last.
    serde_yaml::from_str::<Yaml>(&text).map_err(|error| error.to_string())?;
    let file: File = serde_yaml::from_str(&text).map_err(|error| error.to_string())?;
    let mut out = Writer { sources: &file.sources, text: String::new(), rows: 0, used: BTreeSet::new() };
    for (name, source) in &file.sources {
        let (Source { name: title, date, evidence }, item) = (source, item("SOURCE", name));
        let text = format!(
            "static {item}: Source = Source {{ name: {title:?}, date: {date:?}, evidence: Evidence::{evidence:?} }};"
        );
        out.line(&text);
    }
    out.auth(&file.auth);
    let formats = out.formats(&file.formats, &file.auth)?;
    let families = out.families(&file.models)?;
    let hosts = out.hosts(&file.hosts, &file.auth)?;
    if let Some(unused) = file.sources.keys().find(|name| !out.used.contains(*name)) {
        return Err(format!("sources.{unused}: no row refers to it"));
    }
    out.line(&format!("static FORMATS: &[Format] = &[{formats}];"));
    out.line(&format!("static FAMILIES: &[(&str, &Row)] = &[{families}];"));
    out.line(&format!("static HOSTS: &[Host] = &[{hosts}];"));
    let folder = std::env::var("OUT_DIR").map_err(|error| error.to_string())?;
    std::fs::write(Path::new(&folder).join("catalogue.rs"), out.text).map_err(|error| error.to_string())
}

struct Writer<'f> {
    sources: &'f BTreeMap<String, Source>,
    text: String,
    rows: usize,
    /// The sources that a row refers to.
    used: BTreeSet<String>,
}

impl Writer<'_> {
    fn line(&mut self, text: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{text}");
    }

    fn auth(&mut self, rows: &BTreeMap<String, Auth>) {
        for (name, Auth { header, prefix, query }) in rows {
            let fields = format!("name: {name:?}, header: {header:?}, prefix: {prefix:?}, query: {query:?}");
            self.line(&format!("static {}: Auth = Auth {{ {fields} }};", item("AUTH", name)));
        }
        let items: Vec<String> = rows.keys().map(|name| format!("&{}", item("AUTH", name))).collect();
        self.line(&format!("static AUTH: &[&Auth] = &[{}];", items.join(", ")));
    }

    /// Writes the formats; returns the items of their table.
    fn formats(&mut self, formats: &BTreeMap<String, Format>, auth: &BTreeMap<String, Auth>) -> Result<String> {
        let mut text = String::new();
        for (name, format) in formats {
            let fault = |fault: String| format!("formats.{name}: {fault}");
            let item = self.fields(&format.fields, &[Table::Hosts], &format.source).map_err(fault)?;
            let scheme = scheme(format.auth.as_ref(), auth).map_err(fault)?;
            let _ = writeln!(text, "Format {{ name: {name:?}, auth: {scheme}, row: &{item} }},");
        }
        Ok(text)
    }

    /// Writes families by pattern; returns the items of their table, those that fix more characters later.
    fn families(&mut self, rows: &BTreeMap<String, Row>) -> Result<String> {
        let mut items = Vec::new();
        for (pattern, row) in rows {
            let fault = |fault: String| format!("models[\"{pattern}\"]: {fault}");
            let source = row.source.as_ref().ok_or_else(|| fault("`source` is missing".to_owned()))?;
            if !row.price.0.is_empty() {
                return Err(fault("a price belongs to a model at a host".to_owned()));
            }
            let item = self.row(row, &[Table::Models], source).map_err(fault)?;
            items.extend(row.aliases.iter().chain([pattern]).map(|name| (name.clone(), item.clone())));
        }
        sorted(items, "models")
    }

    fn hosts(&mut self, hosts: &BTreeMap<String, Host>, auth: &BTreeMap<String, Auth>) -> Result<String> {
        let (mut own, mut addresses, mut text) = (BTreeMap::new(), BTreeMap::new(), String::new());
        for (name, host) in hosts {
            let item = self.fields(&host.fields, &[Table::Hosts], &host.source);
            let item = item.map_err(|fault| format!("hosts.{name}: {fault}"))?;
            own.insert(name, item);
        }
        for (name, host) in hosts {
            let fault = |fault: String| format!("hosts.{name}: {fault}");
            if name == "none" {
                return Err(fault("`none` is the word for no host".to_owned()));
            }
            for address in &host.addresses {
                if let Some(other) = addresses.insert(address, name) {
                    return Err(fault(format!("{address} is also an address of {other}")));
                }
            }
            let scheme = scheme(host.auth.as_ref(), auth).map_err(fault)?;
            let rows: Vec<String> = chain(hosts, name)?.iter().filter_map(|name| own.get(name)).cloned().collect();
            let (patterns, names) = self.models(name, host)?;
            let (addresses, rows) = (&host.addresses, rows.join(", &"));
            let _ = writeln!(
                text,
                "Host {{ name: {name:?}, addresses: &{addresses:?}, auth: {scheme}, rows: &[&{rows}], \
                 patterns: &[{patterns}], names: &[{names}] }},"
            );
        }
        Ok(text)
    }

    /// The models of a host: by pattern, and by name.
    fn models(&mut self, name: &str, host: &Host) -> Result<(String, String)> {
        let (mut patterns, mut names) = (Vec::new(), BTreeMap::new());
        for (model, row) in &host.models {
            let fault = |fault: String| format!("hosts.{name}.models[\"{model}\"]: {fault}");
            let source = row.source.as_ref().or(host.models_source.as_ref()).unwrap_or(&host.source);
            let item = self.row(row, &[Table::Models, Table::Hosts], source).map_err(fault)?;
            for name in row.aliases.iter().chain([model]) {
                if is_pattern(name) {
                    patterns.push((name.clone(), item.clone()));
                } else if names.insert(name.clone(), item.clone()).is_some() {
                    return Err(fault(format!("`{name}` stands here twice")));
                }
            }
        }
        let names: Vec<String> = names.iter().map(|(name, item)| format!("({name:?}, &{item})")).collect();
        Ok((sorted(patterns, name)?, names.join(", ")))
    }

    /// Writes a row that has fields only, and returns its item's name.
    fn fields(&mut self, fields: &BTreeMap<String, Yaml>, tables: &[Table], source: &str) -> Result<String> {
        let row = Row { source: None, aliases: vec![], price: Prices::default(), fields: fields.clone() };
        self.row(&row, tables, source)
    }

    /// Writes a row, and returns its item's name.
    fn row(&mut self, row: &Row, tables: &[Table], source: &str) -> Result<String> {
        let evidence = self.sources.get(source).ok_or_else(|| format!("sources.{source} does not exist"))?.evidence;
        self.used.insert(source.to_owned());
        let mut facts = Vec::new();
        for (name, yaml) in &row.fields {
            let fault = |fault: String| format!("{name}: {fault}");
            let known = field::find(name).filter(|known| tables.contains(&known.table));
            let known = known.ok_or_else(|| fault("no field of this table".to_owned()))?;
            let value = match known.kind {
                Kind::Names => names(yaml).map(|names| format!("Value::Names(&{names:?})")),
                kind => field::read(kind, yaml).and_then(|value| spelled(value, evidence)),
            };
            facts.push(format!("Fact {{ field: Field::{:?}, value: {} }}", known.field, value.map_err(fault)?));
        }
        let prices = row.price.0.iter().map(dated).collect::<Result<Vec<_>>>()?.join(", ");
        let item = format!("ROW_{}", self.rows);
        self.rows += 1;
        let (facts, source) = (facts.join(", "), self::item("SOURCE", source));
        self.line(&format!(
            "static {item}: Row = Row {{ facts: &[{facts}], prices: &[{prices}], source: &{source} }};"
        ));
        Ok(item)
    }
}

/// The expression for a row of `auth`, by its name.
fn scheme(name: Option<&String>, auth: &BTreeMap<String, Auth>) -> Result<String> {
    match name {
        Some(name) if !auth.contains_key(name) => Err(format!("auth.{name} does not exist")),
        Some(name) => Ok(format!("Some(&{})", item("AUTH", name))),
        None => Ok("None".to_owned()),
    }
}

fn item(table: &str, name: &str) -> String {
    format!("{table}_{}", name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// Patterns with their rows, those that fix more characters later.
fn sorted(mut items: Vec<(String, String)>, path: &str) -> Result<String> {
    items.sort_by(|(a, _), (b, _)| (rank(a), a).cmp(&(rank(b), b)));
    if let Some(pair) = items.windows(2).find(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
        return Err(format!("{path}: `{}` stands here twice", pair.first().map_or("", |(name, _)| name)));
    }
    Ok(items.iter().map(|(name, item)| format!("({name:?}, &{item})")).collect::<Vec<_>>().join(", "))
}

/// A host and those that it extends, the first of them first.
fn chain<'h>(hosts: &'h BTreeMap<String, Host>, name: &'h String) -> Result<Vec<&'h String>> {
    let mut names = vec![name];
    let mut at = hosts.get(name).and_then(|host| host.extends.as_ref());
    while let Some(next) = at {
        if names.contains(&next) || !hosts.contains_key(next) {
            return Err(format!("hosts.{name}: cannot extend {next}"));
        }
        names.insert(0, next);
        at = hosts.get(next).and_then(|host| host.extends.as_ref());
    }
    Ok(names)
}

fn names(yaml: &Yaml) -> Result<Vec<&str>> {
    let list = yaml.as_sequence().ok_or("expected a list of names")?;
    list.iter().map(|name| name.as_str().ok_or_else(|| "expected a list of names".to_owned())).collect()
}

/// A value as an expression. A guess may remove nothing from a request.
fn spelled(value: Value, evidence: Evidence) -> Result<String> {
    let Value::Fit(fit) = value else { return Ok(format!("Value::{value:?}")) };
    if evidence == Evidence::Guessed && fit.removes() {
        return Err("a guess may remove nothing from a request".to_owned());
    }
    Ok(match fit {
        Fit::NearestOf(Efforts(set)) => format!("Value::Fit(Fit::NearestOf(Efforts({set})))"),
        fit => format!("Value::Fit(Fit::{fit:?})"),
    })
}

fn dated(price: &Price) -> Result<String> {
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
