//! A JSON Schema of the configuration file, for editors. It gives the type of each value. Only the readers of
//! this folder check the rest: names that exist, values that fit each other. `tests/schema.rs` compares the
//! schema with the readers, key by key.

use serde_json::{Map, Value, json};

use super::format_kind::FormatKind;
use super::schema_shapes::{
    any, any_of, choice, count, count_to, dollars, fact, flag, full_table, list, map, named_map, nullable, seconds,
    table, text, word, yes,
};
use super::{facts, logging, price, read, read_routes, regions, stream};
use crate::catalogue::{self, field};
use crate::config::{Needs, OnDisconnect, Recover, Sticky, Strategy};

/// The schema. `adapters` are the wire formats that a provider's row may name.
pub fn schema(adapters: &[FormatKind]) -> Value {
    let mut root = table(&[
        ("providers", named_map("^[A-Za-z0-9._-]+$", provider(adapters))),
        ("default_provider", text()),
        ("routes", named_map(ROUTE_NAME, route())),
        ("aliases", named_map(ROUTE_NAME, text())),
        ("auth", choice(read::AUTH)),
        ("cors", table(&[("origins", origins())])),
        ("limits", counts(&["max_body_bytes", "memory_bytes", "max_answer_bytes"], 1)),
        ("accounting", accounting()),
        ("reporting", reporting()),
        ("admin", admin()),
        ("websocket", websocket()),
        ("vault", table(&[("enabled", flag()), ("keep_seconds", seconds())])),
        ("proxy", proxy()),
        ("regions", table(&[("trace", text()), ("avoid", list(text()))])),
        ("logging", logging()),
        ("telemetry", telemetry()),
        ("alerts", alerts()),
        ("dashboard", flag()),
        ("plan", choice(stream::PLANS)),
    ]);
    require(&mut root, &["providers"]);
    if let Some(fields) = root.as_object_mut() {
        fields.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        fields.insert("title".to_owned(), json!("The configuration of LLM Bridge"));
    }
    root
}

const ROUTE_NAME: &str = "^[A-Za-z0-9._:/@<>-]+$";

/// Demands keys of a table: they cannot be null either, because that counts as absent.
fn require(table: &mut Value, keys: &[&str]) {
    for key in keys {
        if let Some(property) = table.pointer_mut(&format!("/properties/{key}")) {
            super::schema_shapes::without_null(property);
        }
    }
    if let Some(table) = table.as_object_mut() {
        table.insert("required".to_owned(), json!(keys));
    }
}

fn required(mut table: Value, keys: &[&str]) -> Value {
    require(&mut table, keys);
    table
}

/// Demands keys of a table, unless another key has such a value.
fn require_unless(table: &mut Value, (key, value): (&str, Value), keys: &[&str]) {
    let present: Map<String, Value> =
        keys.iter().map(|key| ((*key).to_owned(), json!({ "not": { "type": "null" } }))).collect();
    if let Some(table) = table.as_object_mut() {
        table.insert("if".to_owned(), json!({ "required": [key], "properties": { key: value } }));
        table.insert("else".to_owned(), json!({ "required": keys, "properties": present }));
    }
}

/// A table of whole numbers.
fn counts(keys: &[&'static str], least: u64) -> Value {
    let rows: Vec<(&str, Value)> = keys.iter().map(|key| (*key, count(least))).collect();
    table(&rows)
}

fn origins() -> Value {
    any_of(vec![word("*"), list(text())])
}

fn provider(adapters: &[FormatKind]) -> Value {
    let hosts = catalogue::hosts().iter().map(|host| host.name).chain(["none"]);
    let mut rows = vec![
        ("adapter", choice(&adapters.iter().map(|kind| (kind.name, ())).collect::<Vec<_>>())),
        ("base_url", text()),
        ("requires_proxy", flag()),
        ("proxy", text()),
        ("binding", text()),
        ("region", region()),
        ("api_key", text()),
        ("api_key_env", text()),
        ("keys", keys()),
        ("headers", map(text())),
        ("timeout", seconds()),
        ("clocks", clocks()),
        ("relay", choice(stream::RELAYS)),
        ("stream_usage", choice(stream::USAGES)),
        ("keep_alive", json!({ "type": "number", "minimum": 0, "maximum": 86_400 })),
        ("on_disconnect", choice(&OnDisconnect::WORDS)),
        ("catalogue", choice(&hosts.map(|name| (name, ())).collect::<Vec<_>>())),
        ("fit", choice(read::FITS)),
        ("expose_limits", flag()),
        ("models", any_of(vec![word("*"), map(nullable(model()))])),
    ];
    add_facts(&mut rows, &[field::Table::Hosts]);
    let mut provider = required(table(&rows), &["models"]);
    let local = adapters.iter().filter(|kind| !kind.remote).map(|kind| (kind.name, ()));
    // A provider without an address: its adapter writes the responses itself.
    require_unless(&mut provider, ("adapter", choice(&local.collect::<Vec<_>>())), &["base_url"]);
    provider
}

/// Adds the fields of the catalogue that a row may state.
fn add_facts(rows: &mut Vec<(&'static str, Value)>, tables: &[field::Table]) {
    let stated = facts::fields(tables).filter(|row| !rows.iter().any(|(name, _)| *name == row.name));
    let stated: Vec<(&str, Value)> = stated.map(|row| (row.name, fact(row.kind))).collect();
    rows.extend(stated);
}

fn region() -> Value {
    let regions = choice(regions::REGIONS);
    let fallback = required(table(&[("fallback", regions.clone())]), &["fallback"]);
    any_of(vec![regions, word("none"), fallback])
}

fn keys() -> Value {
    let row = required(table(&[("env", text()), ("account", text()), ("weight", count_to(1, 1_000))]), &["env"]);
    let mut keys = list(any_of(vec![json!({ "type": "string" }), row]));
    at_least_one(&mut keys);
    keys
}

fn at_least_one(list: &mut Value) {
    if let Some(list) = list.as_object_mut() {
        list.insert("minItems".to_owned(), json!(1));
    }
}

fn clocks() -> Value {
    table(&["connect", "first_token", "idle", "total"].map(|key| (key, seconds())))
}

fn model() -> Value {
    let echo = counts(&["first_delay_ms", "delay_ms", "words"], 0);
    let params = table(&[
        ("update_params", map(any())),
        ("add_params", map(any())),
        ("rename_params", map(text())),
        ("delete_params", list(text())),
    ]);
    let mut fields = list(text());
    at_least_one(&mut fields);
    let mut rows = vec![
        ("max_tokens", count(1)),
        ("price", model_price()),
        ("limit_fields", fields),
        ("service_tier", text()),
        ("strict", flag()),
        ("timeout", seconds()),
        ("clocks", clocks()),
        ("param_config", params),
        ("echo", echo),
        ("region", region()),
    ];
    add_facts(&mut rows, read::MODEL_TABLES);
    table(&rows)
}

fn model_price() -> Value {
    let rates = || price::RATE_KEYS.iter().map(|key| (*key, dollars(6))).collect::<Vec<_>>();
    let with = |more: Vec<(&'static str, Value)>| table(&[rates(), more].concat());
    let long = required(with(vec![("above", count(1))]), &["above", "input", "output"]);
    let tier = required(with(vec![("long", long.clone())]), &["input", "output"]);
    let own = vec![("per_request", dollars(9)), ("long", long), ("tiers", map(tier))];
    let dated = vec![("from", text()), ("hours", list(text())), ("weekdays_only", flag()), ("unknown", flag())];
    let price = required(with(own.clone()), &["input", "output"]);
    let mut entry = with([own, dated].concat());
    require_unless(&mut entry, ("unknown", yes()), &["input", "output"]);
    any_of(vec![price, list(entry)])
}

fn route() -> Value {
    let when = table(&[("max_input_tokens", count(1)), ("needs", list(choice(&Needs::WORDS)))]);
    let target = required(table(&[("model", text()), ("weight", count_to(0, 1_000)), ("when", when)]), &["model"]);
    let mut targets = list(any_of(vec![json!({ "type": "string" }), target]));
    at_least_one(&mut targets);
    let route = table(&[
        ("strategy", choice(&Strategy::WORDS)),
        ("targets", targets.clone()),
        ("attempts", count_to(1, read_routes::MAX_ATTEMPTS)),
        ("first_token", seconds()),
        ("idle", seconds()),
        ("on_content_filter", choice(read_routes::ON_CONTENT_FILTER)),
        ("sticky", choice(&Sticky::WORDS)),
        ("recover", choice(&Recover::WORDS)),
        ("hold", seconds()),
        ("continue_with", text()),
    ]);
    any_of(vec![targets, required(route, &["targets"])])
}

fn accounting() -> Value {
    table(&[("receipts", flag()), ("keep_receipts_days", count(7)), ("keep_usage_days", count(7))])
}

fn reporting() -> Value {
    table(&[
        ("enabled", flag()),
        ("timezone", text()),
        ("tags", list(text())),
        ("keep_requests_days", count(1)),
        ("keep_sums_days", count(1)),
    ])
}

fn admin() -> Value {
    let access =
        table(&[("team_domain", text()), ("audience", text()), ("writers", list(text())), ("readers", list(text()))]);
    table(&[("keep_audit_days", count(1)), ("access", required(access, &["team_domain", "audience"]))])
}

fn websocket() -> Value {
    table(&[
        ("enabled", flag()),
        ("origins", origins()),
        ("idle_seconds", seconds()),
        ("resume_seconds", seconds()),
        ("buffer_bytes", count(16 << 10)),
        ("max_requests", count(1)),
        ("key_seconds", seconds()),
        ("max_without_key", count(0)),
    ])
}

fn proxy() -> Value {
    let hosts = any_of(vec![text(), list(text())]);
    table(&[("http", text()), ("https", text()), ("no_proxy", hosts), ("ca", text())])
}

fn logging() -> Value {
    let file = table(&[
        ("path", text()),
        ("max_size", count(0)),
        ("backup_count", count_to(0, 10_000)),
        ("keep_days", count(1)),
    ]);
    let output = table(&[("console", flag()), ("file", required(file, &["path"]))]);
    let fields: Vec<(&str, Value)> = logging::field_names().map(|name| (name, flag())).collect();
    table(&[
        ("format", choice(logging::FORMATS)),
        ("level", choice(logging::LEVELS)),
        ("output", output),
        ("fields", full_table(&fields)),
    ])
}

fn telemetry() -> Value {
    let otlp = table(&[
        ("endpoint", text()),
        ("headers_env", text()),
        ("traces", flag()),
        ("logs", flag()),
        ("metrics", flag()),
        ("format", choice(super::otlp::FORMATS)),
        ("export_unsampled", flag()),
        ("send_trace_context", flag()),
        ("service_name", text()),
    ]);
    let metrics = table(&[("key_label", flag()), ("max_samples", count_to(1_000, 50_000))]);
    table(&[("otlp", required(otlp, &["endpoint"])), ("metrics", metrics)])
}

fn alerts() -> Value {
    let rate = table(&[("percent", count_to(1, 100)), ("min_requests", count(1)), ("minutes", count_to(1, 1_440))]);
    let mut budget = list(count_to(1, super::MAX_BUDGET_PERCENT));
    if let Some(budget) = budget.as_object_mut() {
        budget.insert("maxItems".to_owned(), json!(super::MAX_THRESHOLDS));
    }
    table(&[
        ("budget", budget),
        ("target", table(&[("down_seconds", seconds()), ("back_seconds", seconds())])),
        ("error_rate", any_of(vec![json!({ "const": false }), rate])),
        ("spend_per_hour", dollars(9)),
        ("store_percent", count_to(1, 100)),
        ("per_hour", count_to(1, 1_000)),
        ("allow_private_addresses", flag()),
    ])
}

/// Says in the schema what the documentation says of each key. `page` is the text of
/// `docs/configuration.md`. Returns the keys there that the schema does not have.
pub fn describe(schema: &mut Value, page: &str) -> Vec<String> {
    let (mut prefix, mut unknown) = ("", Vec::new());
    for line in page.lines() {
        match line {
            "## A provider" => prefix = "providers.*.",
            "## A model" => prefix = "providers.*.models.*.",
            heading if heading.starts_with("## ") => prefix = "",
            _ => {}
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [names, _, usual, meaning] = cells.as_slice() else { continue };
        let usual = if usual.starts_with("required") || usual.is_empty() {
            String::new()
        } else {
            format!(" Default: {usual}.")
        };
        for name in names.split('`').skip(1).step_by(2) {
            match find(schema, &format!("{prefix}{name}")) {
                Some(place) => {
                    drop(place.insert("description".to_owned(), json!(plain(&format!("{meaning}.{usual}")))))
                }
                None => unknown.push(format!("{prefix}{name}")),
            }
        }
    }
    unknown
}

/// The schema of a key, by its path; `*` stands for any name.
fn find<'s>(schema: &'s mut Value, path: &str) -> Option<&'s mut Map<String, Value>> {
    let mut here = schema;
    for step in path.split('.') {
        // Of alternatives, the one with keys: the others are words, lists or nothing.
        if here.get("anyOf").is_some() {
            let mut ways = here.get_mut("anyOf")?.as_array_mut()?.iter_mut();
            here = ways.find(|way| way.get("properties").or_else(|| way.get("additionalProperties")).is_some())?;
        }
        let key = if step == "*" { "additionalProperties" } else { "properties" };
        here = here.get_mut(key)?;
        if step != "*" {
            here = here.get_mut(step)?;
        }
    }
    here.as_object_mut()
}

/// Text without the addresses of its links.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out.replace('[', "")
}
