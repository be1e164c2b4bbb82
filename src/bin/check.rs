//! Checks configuration files. Faults are written to standard error as `file:line: path: message`.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command-line program talks to its terminal")]

use std::process::ExitCode;

use llm_bridge::config::{Config, Problem};
use llm_bridge::formats::KINDS;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: llm-bridge-check FILE.yaml …");
        return ExitCode::from(2);
    }
    let sound = files.iter().filter(|file| check(file)).count();
    if sound == files.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(file: &str) -> bool {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return false;
        }
    };
    match Config::read(&text, KINDS) {
        Ok(config) => {
            config.notes.iter().for_each(|note| eprintln!("{}", spell(file, note, "note: ")));
            let models: usize = config.providers.iter().map(|provider| provider.models.len()).sum();
            println!("{file}: fine ({} providers, {models} models)", config.providers.len());
            true
        }
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("{}", spell(file, fault, "")));
            false
        }
    }
}

fn spell(file: &str, problem: &Problem, prefix: &str) -> String {
    match problem.path.as_str() {
        "" => format!("{file}:{}: {prefix}{}", problem.line, problem.message),
        path => format!("{file}:{}: {prefix}{path}: {}", problem.line, problem.message),
    }
}
