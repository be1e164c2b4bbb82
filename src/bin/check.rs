//! Checks configuration files. Faults are written to standard error as `file:line: path: message`. With
//! `--deploy`, also says what a deployed Worker cannot reach. With `--explain MODEL`, shows what the gateway
//! knows of a model, and where from. With `--schema`, writes the JSON Schema of configuration files.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command-line program talks to its terminal")]

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use llm_bridge::catalogue::price::{ModelPrice, Rates, TierRates};
use llm_bridge::catalogue::{self, OperatorFacts, Source};
use llm_bridge::config::{self, Config, Millis, Problem, decimal};
use llm_bridge::formats::{self, KINDS};
use llm_bridge::policy::model_card::ModelCard;
use llm_bridge::policy::routing::{self, Target};
use llm_bridge::provider::{Proxies, private_proxies};

/// The names of IANA's time zones, on each line before the first space. The runtime may know newer ones.
const ZONES: &str = include_str!("../../tests/fixtures/zones.txt");

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, model, file] = files.as_slice()
        && flag == "--explain"
    {
        return explain(file, model);
    }
    if files == ["--schema"] {
        return print_schema();
    }
    let (is_deployed, files) = match files.as_slice() {
        [flag, files @ ..] if flag == "--deploy" => (true, files),
        files => (false, files),
    };
    if files.is_empty() {
        eprintln!("usage: llm-bridge-check [--deploy] [--explain PROVIDER/MODEL] FILE.yaml … | --schema");
        return ExitCode::from(2);
    }
    let sound = files.iter().filter(|file| check(file, is_deployed)).count();
    if sound == files.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the JSON Schema of the configuration to standard output.
fn print_schema() -> ExitCode {
    let mut schema = config::schema(KINDS);
    config::describe(&mut schema, include_str!("../../docs/configuration.md"));
    println!("{schema:#}");
    ExitCode::SUCCESS
}

fn check(file: &str, is_deployed: bool) -> bool {
    let Some(config) = read(file) else { return false };
    let private = if is_deployed { private_proxies(&config) } else { Vec::new() };
    // The secrets are not known here: what the file lacks may be in them.
    let missing = Proxies::open(&config, &|_| None).err().unwrap_or_default();
    let notes = config.notes.iter().chain(&private).chain(&missing);
    notes.for_each(|note| eprintln!("{}", spell(file, note, "note: ")));
    let zone = &config.reporting.timezone;
    if !ZONES.lines().filter_map(|line| line.split(' ').next()).any(|names| names.split(',').any(|name| name == zone)) {
        eprintln!("{file}: note: reporting.timezone: no zone of IANA's database is known to be named `{zone}`");
    }
    let models: usize = config.providers.iter().map(|provider| provider.models.len()).sum();
    println!("{file}: fine ({} providers, {models} models)", config.providers.len());
    true
}

fn read(file: &str) -> Option<Config> {
    let text = std::fs::read_to_string(file).map_err(|error| eprintln!("{file}: {error}")).ok()?;
    let tell = |faults: Vec<Problem>| faults.iter().for_each(|fault| eprintln!("{}", spell(file, fault, "")));
    Config::read(&text, KINDS).map_err(tell).ok()
}

/// Shows each field that is known of a model, or of each target of a route.
fn explain(file: &str, name: &str) -> ExitCode {
    let Some(config) = read(file) else { return ExitCode::FAILURE };
    match routing::resolve(&config, name) {
        Ok(route) => {
            route.candidates.iter().for_each(|candidate| explain_target(&candidate.target));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", error.message());
            ExitCode::FAILURE
        }
    }
}

/// Shows each field that is known of a model, with its value and the row that it comes from.
fn explain_target(target: &Target<'_>) {
    let (provider, model) = (target.provider, target.model);
    let host = provider.host.map_or("none", |host| host.name);
    println!("{}/{}, format {}, host of the catalogue: {host}", provider.name, target.upstream, provider.adapter);
    let operator = OperatorFacts { provider: &provider.facts, model: &model.facts };
    for one in catalogue::explain(provider.adapter, provider.host, &target.upstream, operator) {
        println!("  {:28} {:48} {}{}", one.field.name, one.spelling(), one.origin, read_at(one.source));
    }
    explain_price(target);
}

/// Shows the present price of a model with the row that it comes from, and the parameters that it takes.
fn explain_price(target: &Target<'_>) {
    let Target { provider, model, upstream, .. } = target;
    #[expect(clippy::disallowed_methods, reason = "the checker runs on the operator's machine")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now = Millis::try_from(now).unwrap_or(Millis::MAX);
    let price = ModelCard::of(provider, model, upstream, now).price;
    let row = catalogue::price_row(provider.adapter, provider.host, upstream, &model.prices, now);
    if let Some(row) = row {
        let lines = price.map_or_else(|| vec!["unknown".to_owned()], price_lines);
        let origin = format!("{}{}", row.origin, read_at(row.source));
        println!("  {:28} dollars per million tokens, at present: {origin}", "price");
        lines.iter().for_each(|line| println!("    {line}"));
    }
    let parameters = formats::describe(provider, model, upstream, price, now).parameters;
    if !parameters.is_empty() {
        println!("  {:28} {}", "parameters of a chat", parameters.join(", "));
    }
}

fn price_lines(price: ModelPrice) -> Vec<String> {
    let mut lines = tier_lines("", &price.standard);
    lines.extend(price.tiers.iter().flat_map(|(name, tier)| tier_lines(&format!("{name}: "), tier)));
    if price.per_request > 0 {
        lines.push(format!("per_request {}", decimal::text(price.per_request, 9)));
    }
    lines
}

fn tier_lines(name: &str, tier: &TierRates) -> Vec<String> {
    let usual = format!("{name}{}", rates_line(tier.rates));
    let long = tier.long.map(|long| format!("{name}prompts above {}: {}", long.above, rates_line(long.rates)));
    [Some(usual), long].into_iter().flatten().collect()
}

fn rates_line(rates: Rates) -> String {
    let rates = [
        ("input", rates.input),
        ("cached_input", rates.cached_input),
        ("cache_write", rates.cache_write),
        ("cache_write_1h", rates.cache_write_1h),
        ("output", rates.output),
        ("reasoning", rates.reasoning),
    ];
    rates.map(|(name, rate)| format!("{name} {}", decimal::text(rate, 6))).join(", ")
}

fn read_at(source: Option<&Source>) -> String {
    source.map_or(String::new(), |source| {
        format!(" ({}, {}, {:?})", source.name, source.date, source.evidence).to_lowercase()
    })
}

fn spell(file: &str, problem: &Problem, prefix: &str) -> String {
    let line = if problem.line > 0 { format!(":{}", problem.line) } else { String::new() };
    match problem.path.as_str() {
        "" => format!("{file}{line}: {prefix}{}", problem.message),
        path => format!("{file}{line}: {prefix}{path}: {}", problem.message),
    }
}
