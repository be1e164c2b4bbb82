//! The catalogue: what hosts and models are, take and cost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use serde_yaml::Value as Yaml;

use crate::field::{self, Efforts, Fit, Kind, Table, Value};
use crate::pattern::{is_pattern, rank};
use crate::price::{Prices, dated};
use crate::source::{self, Evidence, Result, Source, item};

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
    /// The path of its API for chats.
    #[serde(default)]
    root: String,
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

/// Builds the table; returns the names of the hosts, each with those that extend it.
pub fn build(path: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let file: File = source::read(path)?;
    let mut out = Writer { sources: &file.sources, text: String::new(), rows: 0, used: BTreeSet::new() };
    out.auth(&file.auth);
    let formats = out.formats(&file.formats, &file.auth)?;
    let families = out.families(&file.models)?;
    let hosts = out.hosts(&file.hosts, &file.auth)?;
    let sources = source::statics(&file.sources, &out.used)?;
    out.line(&sources);
    out.line(&format!("static FORMATS: &[Format] = &[{formats}];"));
    out.line(&format!("static FAMILIES: &[(&str, &Row)] = &[{families}];"));
    out.line(&format!("static HOSTS: &[Host] = &[{hosts}];"));
    source::write("catalogue.rs", &out.text)?;
    let extends = |base: &String, name: &String| chain(&file.hosts, name).is_ok_and(|chain| chain.contains(&base));
    let family = |base: &String| file.hosts.keys().filter(|name| extends(base, name)).cloned().collect();
    Ok(file.hosts.keys().map(|base| (base.clone(), family(base))).collect())
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
            let (addresses, root, rows) = (&host.addresses, &host.root, rows.join(", &"));
            if !(root.is_empty() || root.starts_with('/') && !root.ends_with('/')) {
                return Err(fault(format!("root: {root} is no path such as /v1")));
            }
            let _ = writeln!(
                text,
                "Host {{ name: {name:?}, addresses: &{addresses:?}, root: {root:?}, auth: {scheme}, rows: &[&{rows}], \
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
