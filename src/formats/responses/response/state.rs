//! What is known of a response besides its items, for whole responses and streams.

use super::super::request::{NamedTool, Repeated};
use super::super::wire::response::{ResponseFields, Status};
use crate::canonical::{FinishReason, ResponseEvent, Usage};
use crate::error::Error;
use crate::formats::client_format::ResponseHead;

/// What is known of a response so far.
pub(crate) struct ResponseState {
    id: String,
    created: u64,
    /// When it was completed, in seconds since 1970, once that is known.
    pub(crate) completed: Option<u64>,
    model: String,
    settings: String,
    is_kept: bool,
    usage: Usage,
    tier: Option<String>,
    finish: Option<FinishReason>,
    /// The items that are complete, as JSON.
    pub(crate) output: Vec<String>,
}

impl ResponseState {
    /// The state of a response that has not begun, and the tools whose calls come back otherwise than as
    /// functions.
    pub(crate) fn new(head: ResponseHead) -> (Self, Vec<NamedTool>) {
        let repeated: Repeated =
            head.repeated.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let state = Self {
            id: format!("resp_{:032x}", head.random),
            created: head.created,
            completed: head.completed,
            model: head.model,
            settings: repeated.settings,
            is_kept: head.is_kept,
            usage: Usage::default(),
            tier: None,
            finish: None,
            output: Vec::new(),
        };
        (state, repeated.tools)
    }

    pub(crate) fn update(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { model: Some(model), .. } => model.as_ref().clone_into(&mut self.model),
            ResponseEvent::Usage(usage) => self.usage = *usage,
            ResponseEvent::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            ResponseEvent::Finish { choice: 0, reason } => self.finish = Some(*reason),
            _ => {}
        }
    }

    /// How the response stands at its end.
    pub(crate) fn status<'e>(&self, failure: Option<&'e Error>) -> Status<'e> {
        match (failure, self.finish) {
            (Some(error), _) => Status::Failed(error),
            (None, Some(FinishReason::Length | FinishReason::Context | FinishReason::Paused)) => {
                Status::Incomplete("max_output_tokens")
            }
            (None, Some(FinishReason::Filtered)) => Status::Incomplete("content_filter"),
            (None, Some(FinishReason::Stop | FinishReason::Calls) | None) => Status::Completed,
        }
    }

    /// The response as JSON.
    pub(crate) fn write(&self, status: Status<'_>) -> String {
        let fields = ResponseFields {
            id: &self.id,
            created: self.created,
            completed: self.completed.filter(|_| matches!(status, Status::Completed)),
            model: &self.model,
            tier: self.tier.as_deref(),
            settings: &self.settings,
            is_kept: self.is_kept,
            usage: &self.usage,
        };
        fields.write(status, &self.output)
    }
}
