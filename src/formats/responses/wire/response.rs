//! The JSON of a response: its usage, and the object around its items.

use serde::Serialize;

use super::super::errors::failure_code;
use crate::canonical::Usage;
use crate::error::Error;
use crate::wire::json::quote;

#[derive(Serialize)]
struct UsageBody {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

/// Writes the usage. Clients demand all of its fields.
fn usage(usage: &Usage) -> String {
    let body = UsageBody {
        input_tokens: usage.prompt(),
        input_tokens_details: InputDetails { cached_tokens: usage.cache_read, cache_write_tokens: usage.cache_write },
        output_tokens: usage.output,
        output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
        total_tokens: usage.total(),
    };
    serde_json::to_string(&body).unwrap_or_default()
}

/// How a response stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status<'e> {
    InProgress,
    Completed,
    /// The reason.
    Incomplete(&'static str),
    Failed(&'e Error),
}

impl Status<'_> {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(_) => "failed",
        }
    }
}

/// A response without its items.
pub(crate) struct ResponseFields<'r> {
    pub(crate) id: &'r str,
    pub(crate) created: u64,
    pub(crate) completed: Option<u64>,
    pub(crate) model: &'r str,
    pub(crate) tier: Option<&'r str>,
    /// Members that repeat the request's settings, each followed by a comma.
    pub(crate) settings: &'r str,
    /// Whether it is kept for later requests.
    pub(crate) is_kept: bool,
    pub(crate) usage: &'r Usage,
}

impl ResponseFields<'_> {
    /// Writes the response with its items, each as JSON.
    pub(crate) fn write(&self, status: Status<'_>, output: &[String]) -> String {
        let error = match status {
            Status::Failed(error) => {
                format!("{{\"code\":{},\"message\":{}}}", quote(failure_code(error)), quote(error.message()))
            }
            _ => "null".to_owned(),
        };
        let incomplete = match status {
            Status::Incomplete(reason) => format!("{{\"reason\":{}}}", quote(reason)),
            _ => "null".to_owned(),
        };
        let completed = self.completed.map_or_else(|| "null".to_owned(), |seconds| seconds.to_string());
        let usage = if matches!(status, Status::InProgress) { "null".to_owned() } else { usage(self.usage) };
        format!(
            "{{\"id\":{},\"object\":\"response\",\"created_at\":{},\"status\":\"{}\",\"completed_at\":{completed},\
             \"error\":{error},\"incomplete_details\":{incomplete},\"model\":{},{}\"store\":{},\
             \"service_tier\":{},\"output\":[{}],\"usage\":{usage}}}",
            quote(self.id),
            self.created,
            status.word(),
            quote(self.model),
            self.settings,
            self.is_kept,
            quote(self.tier.unwrap_or("default")),
            output.join(","),
        )
    }
}
