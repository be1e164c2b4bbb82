//! Checks configuration files. Faults are written to standard error as `file:line: path: message`. With
//! `--explain MODEL`, shows what the gateway knows of a model, and where from.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command-line program talks to its terminal")]

use std::process::ExitCode;

use llm_bridge::catalogue::{self, OperatorFacts};
use llm_bridge::config::{Config, Problem};
use llm_bridge::formats::KINDS;
use llm_bridge::policy::routing;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, model, file] = files.as_slice()
        && flag == "--explain"
    {
        return explain(file, model);
    }
    if files.is_empty() {
        eprintln!("usage: llm-bridge-check [--explain PROVIDER/MODEL] FILE.yaml …");
        return ExitCode::from(2);
    }
    let sound = files.iter().filter(|file| check(file)).count();
    if sound == files.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(file: &str) -> bool {
    let Some(config) = read(file) else { return false };
    config.notes.iter().for_each(|note| eprintln!("{}", spell(file, note, "note: ")));
    let models: usize = config.providers.iter().map(|provider| provider.models.len()).sum();
    println!("{file}: fine ({} providers, {models} models)", config.providers.len());
    true
}

fn read(file: &str) -> Option<Config> {
    let text = std::fs::read_to_string(file).map_err(|error| eprintln!("{file}: {error}")).ok()?;
    let tell = |faults: Vec<Problem>| faults.iter().for_each(|fault| eprintln!("{}", spell(file, fault, "")));
    Config::read(&text, KINDS).map_err(tell).ok()
}

/// Shows each field that is known of a model, with its value and the row that it comes from.
fn explain(file: &str, name: &str) -> ExitCode {
    let Some(config) = read(file) else { return ExitCode::FAILURE };
    let target = match routing::resolve(&config, name) {
        Ok(target) => target,
        Err(error) => {
            eprintln!("{}", error.message());
            return ExitCode::FAILURE;
        }
    };
    let (provider, model) = (target.provider, target.model);
    let host = provider.host.map_or("none", |host| host.name);
    println!("{}/{}, format {}, host of the catalogue: {host}", provider.name, target.upstream, provider.adapter);
    let operator = OperatorFacts { provider: &provider.facts, model: &model.facts };
    for one in catalogue::explain(provider.adapter, provider.host, &target.upstream, operator) {
        let source = one.source.map_or(String::new(), |source| {
            format!(" ({}, {}, {:?})", source.name, source.date, source.evidence).to_lowercase()
        });
        println!("  {:28} {:48} {}{source}", one.field.name, one.spelling(), one.origin);
    }
    ExitCode::SUCCESS
}

fn spell(file: &str, problem: &Problem, prefix: &str) -> String {
    match problem.path.as_str() {
        "" => format!("{file}:{}: {prefix}{}", problem.line, problem.message),
        path => format!("{file}:{}: {prefix}{path}: {}", problem.line, problem.message),
    }
}
