//! Whole responses: read from providers, written for clients.

use std::borrow::Cow;

use super::errors::{invalid, read_in_success};
use super::wire::{Line, StopReason, Trailer};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::error::Result;
use crate::formats::client_format::{ModelEntry, ResponseHead};
use crate::formats::stream::EventSink;

/// Reads a whole response that came with a success status.
///
/// # Errors
/// 502 if the body violates the format; the status of a fault if it holds one.
pub(super) fn read(body: &[u8], emit: EventSink<'_>) -> Result<()> {
    let line: Line<'_> = serde_json::from_slice(body).map_err(|_| invalid("is no line of JSON"))?;
    read_line(&line, emit)
}

/// Reads a line of a streamed response, or a whole response.
///
/// # Errors
/// The fault that the line holds.
pub(super) fn read_line(line: &Line<'_>, emit: EventSink<'_>) -> Result<()> {
    if let Some(fault) = &line.fault {
        return Err(read_in_success(fault));
    }
    if let Some(model) = &line.model {
        emit(ResponseEvent::Start { id: None, model: Some(Cow::Borrowed(model)) });
    }
    if let Some(says) = &line.says {
        emit(ResponseEvent::Text { choice: 0, text: says.clone() });
    }
    if let Some(stop) = line.stop {
        let reason = match stop {
            StopReason::End => FinishReason::Stop,
            StopReason::Budget => FinishReason::Length,
            StopReason::Filter => FinishReason::Filtered,
        };
        emit(ResponseEvent::Finish { choice: 0, reason });
    }
    if let Some(Trailer { read, wrote }) = line.trailer {
        emit(ResponseEvent::Usage(Usage { uncached_input: read, output: wrote, ..Usage::default() }));
        emit(ResponseEvent::End);
    }
    Ok(())
}

/// Writes a whole response.
pub(super) fn write(head: &ResponseHead, events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let (mut says, mut line) = (String::new(), Line { model: Some(Cow::Borrowed(&head.model)), ..Line::default() });
    for event in events {
        match event {
            ResponseEvent::Text { text, .. } => says.push_str(&text.text().unwrap_or_default()),
            ResponseEvent::Finish { reason, .. } => line.stop = Some(stop_reason(*reason)),
            ResponseEvent::Usage(usage) => line.trailer = Some(trailer(usage)),
            _ => {}
        }
    }
    line.says = Some(Raw::quoted(&says));
    let mut out = Vec::new();
    line.write(&mut out);
    out
}

/// Writes a model as a line.
pub(super) fn write_model(model: &ModelEntry<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Line { model: Some(Cow::Borrowed(&model.id)), ..Line::default() }.write(&mut out);
    out
}

pub(super) fn stop_reason(reason: FinishReason) -> StopReason {
    match reason {
        FinishReason::Length | FinishReason::Context | FinishReason::Paused => StopReason::Budget,
        FinishReason::Filtered => StopReason::Filter,
        FinishReason::Stop | FinishReason::Calls => StopReason::End,
    }
}

pub(super) fn trailer(usage: &Usage) -> Trailer {
    Trailer { read: usage.prompt(), wrote: usage.output }
}
