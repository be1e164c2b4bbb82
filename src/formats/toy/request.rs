//! Requests: read from clients, written for providers. Tools, media and thinking have no place in the format.

use std::borrow::Cow;

use super::wire::{PATH, Remark, RequestBody, Speaker};
use crate::canonical::{ModelRequest, Part, Raw, Role, Sampling, Turn};
use crate::error::{Error, Result};
use crate::formats::path;
use crate::formats::unsupported::UnsupportedFields;
use crate::formats::written_request::{WriteTarget, WrittenRequest};
use crate::wire::json::Document;

const FIELDS: &[&str] = &["dialogue", "budget", "warmth", "live"];

/// Reads the conversation of a client's request.
///
/// # Errors
/// 400 for a body that violates the format.
pub(super) fn read<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    let body: RequestBody<'_> = serde_json::from_slice(document.bytes())
        .map_err(|error| Error::caller(400, "invalid_body", format!("The body is no dialogue: {error}.")))?;
    let turn = |Remark { by, says }: Remark<'d>| {
        let role = match by {
            Speaker::System => Role::System,
            Speaker::User => Role::User,
            Speaker::Model => Role::Assistant,
        };
        Turn { role, parts: vec![Part::Text { text: says, cache: None }] }
    };
    Ok(ModelRequest {
        stream: body.live,
        turns: body.dialogue.into_iter().map(turn).collect(),
        max_tokens: body.budget,
        sampling: Sampling { temperature: body.warmth, ..Sampling::default() },
        unmapped_fields: document.members().map(|(name, _)| name).filter(|name| !FIELDS.contains(name)).collect(),
        ..ModelRequest::default()
    })
}

/// Writes a request for a provider.
///
/// # Errors
/// None: what the format cannot express is dropped.
pub(super) fn write(request: &ModelRequest<'_>, target: WriteTarget<'_>) -> Result<WrittenRequest> {
    let mut unsupported = UnsupportedFields::default();
    request.unmapped_fields.iter().for_each(|name| unsupported.add(name.clone().into_owned()));
    note_unsupported(request, &mut unsupported);
    let body = RequestBody {
        dialogue: request.turns.iter().map(|turn| remark(turn, &mut unsupported)).collect(),
        budget: request.max_tokens,
        warmth: request.sampling.temperature.clone(),
        live: request.stream,
    };
    Ok(WrittenRequest {
        path: path::fill(PATH, target.model),
        headers: Vec::new(),
        body: serde_json::to_vec(&body).unwrap_or_default(),
        dropped: unsupported.into_names(),
        adjusted: Vec::new(),
    })
}

fn remark(turn: &Turn<'_>, unsupported: &mut UnsupportedFields) -> Remark<'static> {
    let by = match turn.role {
        Role::System => Speaker::System,
        Role::User => Speaker::User,
        Role::Assistant => Speaker::Model,
    };
    let mut says = String::new();
    for part in &turn.parts {
        match part {
            Part::Text { text, .. } => says.push_str(&text.text().unwrap_or(Cow::Borrowed(""))),
            Part::Media(_) => unsupported.add("messages[].content"),
            Part::Call(_) | Part::Result { .. } => unsupported.add("tools"),
            Part::Thinking { .. } | Part::Redacted(_) => {}
        }
    }
    Remark { by, says: Raw::quoted(&says) }
}

fn note_unsupported(request: &ModelRequest<'_>, unsupported: &mut UnsupportedFields) {
    let sampling = &request.sampling;
    for (lost, name) in [
        (!request.tools.is_empty(), "tools"),
        (request.tool_choice.is_some(), "tool_choice"),
        (request.parallel_calls.is_some(), "parallel_tool_calls"),
        (request.response_format.is_some(), "response_format"),
        (!request.stop.is_empty(), "stop"),
        (request.choices.is_some_and(|choices| choices > 1), "n"),
        (request.logprobs.is_some(), "logprobs"),
        (request.thinking.is_some(), "reasoning_effort"),
        (request.user.is_some(), "user"),
        (sampling.top_p.is_some(), "top_p"),
        (sampling.top_k.is_some(), "top_k"),
        (sampling.seed.is_some(), "seed"),
        (sampling.presence_penalty.is_some(), "presence_penalty"),
        (sampling.frequency_penalty.is_some(), "frequency_penalty"),
    ] {
        unsupported.add_if(lost, name);
    }
}
