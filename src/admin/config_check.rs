//! Checks a configuration that is not in use: what `make check-config` says of a file, and what the gateway
//! would say at its start.

use serde::Serialize;

use super::json_response::json;
use crate::config::{Config, Problem};
use crate::error::{Error, Result};
use crate::formats::KINDS;
use crate::gateway::{Platform, Response};

#[derive(Serialize)]
struct CheckView<'c> {
    object: &'static str,
    is_sound: bool,
    faults: Vec<ProblemView<'c>>,
    notes: Vec<ProblemView<'c>>,
    providers: usize,
    models: usize,
}

#[derive(Serialize)]
struct ProblemView<'c> {
    /// `None` if it has no line.
    line: Option<usize>,
    path: &'c str,
    message: &'c str,
}

/// Checks the text of a file. Nothing is changed or kept.
///
/// # Errors
/// 400 if the body is not text.
pub fn check<P: Platform>(body: &[u8]) -> Result<Response<P>> {
    let text = str::from_utf8(body)
        .map_err(|_| Error::caller(400, "invalid_body", "The body must be the text of a config.yaml, in UTF-8."))?;
    let checked = Config::read(text, KINDS);
    let none = Vec::new();
    let (faults, notes) = match &checked {
        Ok(config) => (&none, &config.notes),
        Err(faults) => (faults, &none),
    };
    let config = checked.as_ref().ok();
    let models = |config: &Config| config.providers.iter().map(|provider| provider.models.len()).sum();
    let view = CheckView {
        object: "config_check",
        is_sound: config.is_some(),
        faults: faults.iter().map(problem).collect(),
        notes: notes.iter().map(problem).collect(),
        providers: config.map_or(0, |config| config.providers.len()),
        models: config.map_or(0, models),
    };
    Ok(json(200, &view))
}

fn problem(problem: &Problem) -> ProblemView<'_> {
    let line = Some(problem.line).filter(|line| *line > 0);
    ProblemView { line, path: &problem.path, message: &problem.message }
}
