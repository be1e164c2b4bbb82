//! Reads and checks the configuration file, section by section.

use std::cmp::Reverse;

use serde_yaml::Value;

use super::address::Address;
use super::admin::AdminSettings;
use super::alerting::Alerting;
use super::cors::Cors;
use super::dashboard;
use super::egress::EgressReader;
use super::facts;
use super::format_kind::FormatKind;
use super::keys::KeySource;
use super::logging::Logging;
use super::near;
use super::params::Params;
use super::price::{self, Catalogue};
use super::provider::{EchoOptions, FitScope, Model, Provider, without_hint};
use super::proxies::{ProviderProxy, ProxySettings};
use super::read_routes::OwnNames;
use super::regions::RegionSettings;
use super::reporting::Reporting;
use super::settings::{Accounting, Auth, BODY_COPIES, Config};
use super::stream::{Clocks, PLANS, Plan, Streaming};
use super::telemetry::Telemetry;
use super::vault::Vault;
use super::websocket::Websocket;
use super::yaml::{Node, Problem, Report, Table};
use crate::catalogue;
use crate::catalogue::field;

const DEFAULT_MAX_BODY: usize = 20 << 20;
const DEFAULT_MEMORY: usize = 64 << 20;
const DEFAULT_ANSWER: usize = 16 << 20;
/// Stands for every model that is not listed.
const ANY: &str = "*";

impl Config {
    /// Reads and checks a file. `adapters` are the wire formats that a provider's row may name; the first is
    /// the default.
    ///
    /// # Errors
    /// All faults, in the order of the file.
    pub fn read(text: &str, adapters: &[FormatKind]) -> Result<Self, Vec<Problem>> {
        let value = parse(text).map_err(|problem| vec![problem])?;
        let report = Report::new(text);
        let config = config(&value, text, &report, adapters);
        let (faults, notes) = report.take();
        match config {
            Some(config) if faults.is_empty() => Ok(Self { notes, ..config }),
            _ => Err(faults),
        }
    }
}

/// Parses the file as YAML and resolves anchors and merge keys.
fn parse(text: &str) -> Result<Value, Problem> {
    let broken = |error: serde_yaml::Error| {
        let line = error.location().map_or(0, |place| place.line());
        Problem { line, path: String::new(), message: format!("this is not YAML: {error}") }
    };
    let mut value: Value = serde_yaml::from_str(text).map_err(broken)?;
    value.apply_merge().map_err(broken)?;
    Ok(value)
}

const SECTIONS: &[&str] = &[
    "providers",
    "default_provider",
    "routes",
    "aliases",
    "auth",
    "cors",
    "limits",
    "accounting",
    "reporting",
    "admin",
    "websocket",
    "vault",
    "proxy",
    "regions",
    "logging",
    "telemetry",
    "alerts",
    "dashboard",
    "plan",
];

/// Reads the whole file. Faults go to the report.
fn config(value: &Value, text: &str, report: &Report<'_>, adapters: &[FormatKind]) -> Option<Config> {
    let table = Node::root(value, report).table(SECTIONS)?;
    let providers = providers(&table, adapters);
    let limits = Limits::read(table.at("limits"));
    let default_provider = default_provider(&table, &providers).unwrap_or(0);
    let names = OwnNames::read(&table, &providers, default_provider);
    let Telemetry { otlp, metrics } = table.at("telemetry").and_then(|node| Telemetry::read(&node)).unwrap_or_default();
    let logging = table.at("logging").and_then(|node| Logging::read(&node)).unwrap_or_default();
    Some(Config {
        default_provider,
        providers,
        routes: names.routes,
        aliases: names.aliases,
        auth: table.at("auth").and_then(|node| node.choice(AUTH)).unwrap_or(Auth::Keys),
        cors: table.at("cors").and_then(|node| Cors::read(&node)).unwrap_or(Cors::Any),
        max_body_bytes: limits.max_body_bytes,
        memory_bytes: limits.memory_bytes,
        max_answer_bytes: limits.max_answer_bytes,
        accounting: table.at("accounting").and_then(|node| accounting(&node)).unwrap_or_default(),
        reporting: table.at("reporting").and_then(|node| Reporting::read(&node)).unwrap_or_default(),
        admin: table.at("admin").and_then(|node| AdminSettings::read(&node)).unwrap_or_default(),
        dashboard: dashboard::read(&table, text),
        websocket: table.at("websocket").and_then(|node| Websocket::read(&node)).unwrap_or_default(),
        vault: table.at("vault").and_then(|node| Vault::read(&node)).unwrap_or_default(),
        proxy: table.at("proxy").and_then(|node| ProxySettings::read(&node)).unwrap_or_default(),
        regions: table.at("regions").and_then(|node| RegionSettings::read(&node)).unwrap_or_default(),
        logging: Logging { exported: otlp.as_ref().is_some_and(|otlp| otlp.logs), ..logging },
        otlp,
        metrics,
        alerts: table.at("alerts").and_then(|node| Alerting::read(&node)).unwrap_or_default(),
        notes: Vec::new(),
    })
}

/// `limits` in the file.
struct Limits {
    max_body_bytes: usize,
    memory_bytes: usize,
    max_answer_bytes: usize,
}

impl Limits {
    fn read(node: Option<Node<'_>>) -> Self {
        let table = node.and_then(|node| node.table(&["max_body_bytes", "memory_bytes", "max_answer_bytes"]));
        let node = |key: &str| table.as_ref().and_then(|table| table.at(key));
        let bytes = |key: &str, default: usize| {
            let bytes = node(key).and_then(|node| node.count(1));
            bytes.map_or(default, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
        };
        let limits = Self {
            max_body_bytes: bytes("max_body_bytes", DEFAULT_MAX_BODY),
            memory_bytes: bytes("memory_bytes", DEFAULT_MEMORY),
            max_answer_bytes: bytes("max_answer_bytes", DEFAULT_ANSWER),
        };
        let always_fits = limits.memory_bytes / BODY_COPIES;
        if let Some(node) = node("memory_bytes")
            && limits.max_body_bytes > always_fits
        {
            node.note(format!(
                "bodies over {always_fits} bytes are accepted only while other requests hold little memory"
            ));
        }
        limits
    }
}

fn accounting(node: &Node<'_>) -> Option<Accounting> {
    let table = node.table(&["receipts", "keep_receipts_days", "keep_usage_days"])?;
    let default = Accounting::default();
    let days = |key: &str, least| table.at(key).and_then(|node| node.count(least));
    Some(Accounting {
        receipts: table.at("receipts").and_then(|node| node.flag()).unwrap_or(default.receipts),
        keep_receipts_days: days("keep_receipts_days", 7).unwrap_or(default.keep_receipts_days),
        keep_usage_days: days("keep_usage_days", 7).unwrap_or(default.keep_usage_days),
    })
}

pub(super) const AUTH: &[(&str, Auth)] = &[("keys", Auth::Keys), ("none", Auth::NoneOnLoopback)];

fn providers(table: &Table<'_>, adapters: &[FormatKind]) -> Vec<Provider> {
    let Some(node) = table.at("providers") else {
        table.node().fault("`providers` is missing: at least one provider is needed");
        return Vec::new();
    };
    let Some(entries) = node.entries() else { return Vec::new() };
    if entries.is_empty() {
        node.fault("at least one provider is needed");
    }
    let plan = table.at("plan").and_then(|node| node.choice(PLANS)).unwrap_or_default();
    entries.into_iter().filter_map(|(name, node)| provider(name, &node, adapters, plan)).collect()
}

/// The index of the provider that `default_provider` names.
fn default_provider(table: &Table<'_>, providers: &[Provider]) -> Option<usize> {
    let node = table.at("default_provider")?;
    let name = node.text()?;
    let written = table.at("providers").and_then(|node| node.entries()).unwrap_or_default();
    let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
    if !names.contains(&name.as_str()) {
        node.fault(format!("no provider is named `{name}`{}; known: {}", near::hint(&name, &names), names.join(", ")));
    }
    providers.iter().position(|provider| provider.name == name)
}

const PROVIDER_KEYS: &[&str] = &[
    "adapter",
    "base_url",
    "requires_proxy",
    "proxy",
    "binding",
    "region",
    "api_key",
    "api_key_env",
    "keys",
    "headers",
    "timeout",
    "clocks",
    "relay",
    "stream_usage",
    "keep_alive",
    "on_disconnect",
    "catalogue",
    "fit",
    "expose_limits",
    "models",
];

/// The values of `fit`.
pub(super) const FITS: &[(&str, FitScope)] =
    &[("translated", FitScope::Translated), ("always", FitScope::Always), ("never", FitScope::Never)];

fn provider(name: String, node: &Node<'_>, adapters: &[FormatKind], plan: Plan) -> Option<Provider> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        node.fault("expected a provider's name of letters, digits, `-`, `_` and `.`");
    }
    let table = node.table(&facts::keys(PROVIDER_KEYS, &[field::Table::Hosts]))?;
    let adapter = adapter(&table, adapters)?;
    let address = Address::read(&table, adapter, adapters);
    let proxy = ProviderProxy::read(&table, adapter.remote);
    let clocks = Clocks::default().read(&table);
    let egress = EgressReader { table: &table, proxy: &proxy, is_remote: adapter.remote };
    let (mut models, mut patterns) = models(egress, clocks, adapter.protected_fields);
    if let Some(names) = table.at("limit_fields").and_then(|node| limit_fields(&node)) {
        let unset = models.iter_mut().chain(&mut patterns).filter(|model| model.limit_fields.is_empty());
        unset.for_each(|model| model.limit_fields.clone_from(&names));
    }
    let key = if adapter.remote { KeySource::read(&name, &table) } else { KeySource::Keyless };
    let headers = table.at("headers").and_then(|node| headers(&node)).unwrap_or_default();
    let (adapter, streaming, catalogue) = (adapter.name, Streaming::read(&table, plan), Catalogue::read(&table));
    let address = address?;
    let host = catalogue.host(address.as_ref());
    let facts = facts::read(&table, &[field::Table::Hosts]);
    let fit = table.at("fit").and_then(|node| node.choice(FITS)).unwrap_or_default();
    let egress = egress.provider().unwrap_or_default();
    let exposes_limits = table.at("expose_limits").and_then(|node| node.flag()).unwrap_or(false);
    Some(Provider {
        name,
        adapter,
        address,
        key,
        proxy,
        headers,
        streaming,
        catalogue,
        host,
        models,
        patterns,
        facts,
        fit,
        egress,
        exposes_limits,
    })
}

fn adapter(table: &Table<'_>, adapters: &[FormatKind]) -> Option<FormatKind> {
    let Some(node) = table.at("adapter") else { return adapters.first().copied() };
    let choices: Vec<(&str, FormatKind)> = adapters.iter().map(|kind| (kind.name, *kind)).collect();
    node.choice(&choices)
}

/// Headers that the gateway sets itself, because they belong to the connection or hold the key.
const OWN_HEADERS: &[&str] =
    &["authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"];

fn headers(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    let header = |(name, node): (String, Node<'_>)| {
        let name = name.to_ascii_lowercase();
        let value = node.text()?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            node.fault("expected the name of an HTTP header");
        } else if OWN_HEADERS.contains(&name.as_str()) {
            node.fault("the gateway sets this header itself");
        } else if value.chars().any(|c| !matches!(c, ' '..='~')) {
            node.fault("expected a header's value in printable ASCII");
        }
        Some((name, value))
    };
    Some(node.entries()?.into_iter().filter_map(header).collect())
}

fn models(egress: EgressReader<'_>, clocks: Clocks, protected: &[&str]) -> (Vec<Model>, Vec<Model>) {
    let Some(node) = egress.table.at("models") else {
        egress.table.node().fault("`models` is missing: list the provider's models, or write models: \"*\" for any");
        return (Vec::new(), Vec::new());
    };
    if node.word() == Some(ANY) {
        return (Vec::new(), vec![plain_model(ANY.to_owned(), clocks)]);
    }
    let entries = node.entries().unwrap_or_default();
    let models = entries.into_iter().filter_map(|(name, node)| model((name, &node), clocks, protected, egress));
    let (mut patterns, listed): (Vec<Model>, Vec<Model>) = models.partition(Model::is_pattern);
    patterns.sort_by_key(|model| Reverse(catalogue::rank(&model.name)));
    (listed, patterns)
}

fn plain_model(name: String, clocks: Clocks) -> Model {
    let upstream = without_hint(&name).unwrap_or_else(|| name.clone());
    let (params, demo) = (Params::default(), EchoOptions::default());
    Model {
        name,
        upstream,
        max_tokens: None,
        prices: Vec::new(),
        facts: Vec::new(),
        limit_fields: Vec::new(),
        service_tier: None,
        strict: false,
        clocks,
        params,
        echo: demo,
        egress: None,
    }
}

const MODEL_KEYS: &[&str] = &[
    "max_tokens",
    "price",
    "limit_fields",
    "service_tier",
    "strict",
    "timeout",
    "clocks",
    "param_config",
    "echo",
    "region",
];

/// The catalogue's fields that may stand in a model's row: also those of hosts, as exceptions.
pub(super) const MODEL_TABLES: &[field::Table] = &[field::Table::Models, field::Table::Hosts];

fn model(
    (name, node): (String, &Node<'_>),
    clocks: Clocks,
    protected: &[&str],
    egress: EgressReader<'_>,
) -> Option<Model> {
    let mut model = plain_model(name, clocks);
    if model.upstream.is_empty() {
        node.fault("expected the name of a model before `<`");
    }
    if node.is_null() {
        return Some(model);
    }
    let table = node.table(&facts::keys(MODEL_KEYS, MODEL_TABLES))?;
    model.max_tokens = table.at("max_tokens").and_then(|node| node.count(1));
    model.facts = facts::read(&table, MODEL_TABLES);
    model.limit_fields = table.at("limit_fields").and_then(|node| limit_fields(&node)).unwrap_or_default();
    model.service_tier = table.at("service_tier").and_then(|node| identifier("tier", &node));
    model.strict = table.at("strict").and_then(|node| node.flag()).unwrap_or(false);
    model.prices = table.at("price").map(|node| price::read(&node)).unwrap_or_default();
    model.clocks = clocks.read(&table);
    model.params = table.at("param_config").and_then(|node| Params::read(&node, protected)).unwrap_or_default();
    model.echo = table.at("echo").and_then(|node| EchoOptions::read(&node)).unwrap_or_default();
    model.egress = egress.model(&table);
    Some(model)
}

fn limit_fields(node: &Node<'_>) -> Option<Vec<String>> {
    let items = node.list()?;
    if items.is_empty() {
        node.fault("name at least one field, such as max_tokens; leave it out for those that the catalogue names");
    }
    Some(items.iter().filter_map(|item| identifier("field", item)).collect())
}

/// Reads the name of a field or tier.
fn identifier(what: &str, node: &Node<'_>) -> Option<String> {
    let word = node.text()?;
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        node.fault(format!("expected the name of a {what}: letters, digits, `_` and `-`"));
    }
    Some(word)
}
