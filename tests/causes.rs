//! The table of causes, row by row: errors of providers as they come, read by the format that they come in.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

use std::collections::{BTreeMap, BTreeSet};

use llm_bridge::catalogue::causes::{StatedError, causes};
use llm_bridge::error::{Error, Statement};
use llm_bridge::formats::statement::StatedHeaders;
use llm_bridge::formats::summary::ResponseSummary;
use llm_bridge::formats::{ProviderFormat, provider_format};
use llm_bridge::gateway::{Failure, FailureStage};
use llm_bridge::policy::failure::{FailedCall, FailureScope};
use llm_bridge::wire::date::read_time;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    host: Option<String>,
    status: u16,
    #[serde(default = "usual_format")]
    format: String,
    #[serde(default)]
    in_success: bool,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: String,
    class: String,
    scope: String,
    wait: Option<u64>,
}

fn usual_format() -> String {
    "openai".to_owned()
}

fn cases() -> Vec<Case> {
    serde_yaml::from_str(include_str!("fixtures/causes.yaml")).unwrap()
}

impl Case {
    /// The error, as the format reads it.
    fn error(&self) -> Error {
        let format: &ProviderFormat = provider_format(&self.format).unwrap();
        if self.in_success {
            return ResponseSummary::of_events(|sink| (format.whole)(self.body.as_bytes(), sink)).error.unwrap();
        }
        let headers = StatedHeaders::of(|name| self.headers.get(name).cloned());
        headers.add_to((format.refusal)(self.status, self.body.as_bytes()))
    }

    fn failure(&self) -> Failure {
        let now = read_time("2026-11-27T12:00:00Z").unwrap();
        Failure::of_call(self.error(), FailureStage::AwaitingHead, FailedCall { host: self.host.as_deref(), now })
    }
}

#[test]
fn each_error_has_its_cause() {
    let mut faults = String::new();
    for case in cases() {
        let cause = case.failure().cause;
        let found = (cause.class.name(), cause.scope.name(), cause.wait.map(|wait| wait.stated()));
        let expected = (case.class.as_str(), case.scope.as_str(), case.wait);
        if found != expected {
            faults += &format!("\n{found:?} instead of {expected:?}: {} {}", case.status, case.body);
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn each_row_has_an_error() {
    let mut met = BTreeSet::new();
    for case in cases() {
        let error = case.error();
        let otherwise = Statement {
            status: error.status(),
            words: vec![error.code().unwrap_or_default().to_lowercase()],
            ..Statement::default()
        };
        met.extend(row_of(case.host.as_deref(), error.statement().unwrap_or(&otherwise)));
    }
    let missed: Vec<_> = causes().iter().enumerate().filter(|(index, _)| !met.contains(index)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

/// The row that counts for an error.
fn row_of(host: Option<&str>, statement: &Statement) -> Option<usize> {
    let Statement { status, words, texts, .. } = statement;
    causes().iter().position(|row| row.holds(StatedError { host, status: *status, words, texts }))
}

/// A text that fits a pattern.
fn fitting(pattern: &str) -> String {
    pattern.replace('*', "7")
}

#[test]
fn no_pattern_is_hidden_by_an_earlier_row() {
    for (index, row) in causes().iter().enumerate() {
        let patterns = |patterns: &[&str]| match patterns {
            [] => vec![vec![]],
            some => some.iter().map(|pattern| vec![fitting(pattern)]).collect(),
        };
        let host = row.hosts.first().copied();
        let statuses = row.statuses.iter().flat_map(|(first, last)| [*first, *last]);
        let statuses: Vec<u16> = if row.statuses.is_empty() { vec![418] } else { statuses.collect() };
        // Of a range of statuses, some are rows of their own.
        let statuses = if row.has_words() { statuses } else { vec![statuses[statuses.len() - 1]] };
        for status in statuses {
            for (words, texts) in patterns(row.words)
                .iter()
                .flat_map(|words| patterns(row.texts).into_iter().map(move |texts| (words, texts)))
            {
                let statement = Statement { status, words: words.clone(), texts, ..Statement::default() };
                let status_is_own = !row.statuses.is_empty() || row.has_words();
                let statement = Statement { status: if status_is_own { status } else { 302 }, ..statement };
                assert_eq!(row_of(host, &statement), Some(index), "{statement:?} {row:?}");
            }
        }
    }
}

#[test]
fn a_caller_whose_words_are_quoted_brings_no_key_down() {
    let hosts: BTreeSet<Option<&str>> =
        causes().iter().flat_map(|row| row.hosts.iter().copied().map(Some)).chain([None]).collect();
    let quotes = causes().iter().flat_map(|row| row.texts.iter().chain(row.words)).map(|pattern| fitting(pattern));
    for quote in quotes {
        for (status, host) in
            [400, 403, 404, 413, 422].into_iter().flat_map(|status| hosts.iter().map(move |host| (status, *host)))
        {
            let fields = serde_json::json!({ "type": quote, "code": quote, "message": quote });
            let body = serde_json::json!({
                "error": {
                    "message": format!("Invalid value: '{quote}'. Supported values are: 'user'."),
                    "type": "invalid_request_error",
                    "param": quote,
                    "input": fields,
                    "loc": [quote, fields],
                },
                "body": fields,
            });
            let error = (provider_format("openai").unwrap().refusal)(status, body.to_string().as_bytes());
            let call = FailedCall { host, now: 0 };
            let cause = Failure::of_call(error, FailureStage::AwaitingHead, call).cause;
            let concerned = [FailureScope::Request, FailureScope::Model, FailureScope::Here];
            assert!(concerned.contains(&cause.scope), "{cause:?}: {status} {host:?} {body}");
        }
    }
}
