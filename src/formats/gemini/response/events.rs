//! Turns Gemini's responses into events, whole ones and chunks alike.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::errors::{invalid, read_in_success};
use super::super::wire::response::{
    CandidateFields, FunctionCallFields, PromptFeedback, ResponseChunk, ResponsePart, ServiceFields, UsageMetadata,
};
use super::logprobs;
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::error::{Error, Result};
use crate::formats::stream::EventSink;

/// The longest response id that ids of calls are made from, in bytes: some providers accept no call id longer
/// than 40.
const MAX_ID_LENGTH: usize = 28;

/// State across the chunks of a response.
#[derive(Default)]
pub(crate) struct ResponseReader {
    id: Option<String>,
    model: Option<String>,
    choices: Vec<ChoiceState>,
    /// The number of calls in all choices.
    calls: u32,
    /// The token counts last reported.
    counts: UsageMetadata,
    /// The service tier last reported.
    tier: Option<String>,
    /// A part has come.
    has_parts: bool,
}

struct ChoiceState {
    index: u32,
    /// The number of its calls.
    calls: u32,
    /// Why the choice ended, if it has. More parts may still follow.
    finish: Option<FinishReason>,
}

/// A choice: its position in `choices`, and its index in the response.
#[derive(Clone, Copy)]
struct ChoiceRef {
    position: usize,
    index: u32,
}

impl ResponseReader {
    pub(crate) fn read_chunk(&mut self, chunk: &ResponseChunk<'_>, emit: EventSink<'_>) -> Result<()> {
        self.emit_start(chunk, &mut *emit);
        // Some clients need the input tokens before the first text.
        if self.choices.is_empty() && chunk.candidates.iter().any(|candidates| !candidates.is_empty()) {
            self.emit_usage(chunk, &mut *emit);
        }
        let mut candidates = chunk.candidates.iter().flat_map(|candidates| candidates.iter()).zip(0..);
        let read = candidates.try_for_each(|(candidate, position)| {
            self.read_candidate(candidate, candidate.index.unwrap_or(position), &mut *emit)
        });
        // The usage counts even if the candidates cannot be read.
        self.emit_usage(chunk, emit);
        self.has_parts |= has_parts(chunk);
        read.and_then(|()| read_failure(chunk, self.has_parts).map_or(Ok(()), Err))
    }

    /// Emits the usage so far, if the chunk reports it.
    pub(crate) fn emit_usage(&mut self, chunk: &ResponseChunk<'_>, emit: EventSink<'_>) {
        let Some(raw) = chunk.usage_metadata.as_ref().filter(|raw| raw.get().starts_with('{')) else { return };
        let counts: UsageMetadata = serde_json::from_str(raw.get()).unwrap_or_default();
        if counts.usage().is_some() {
            self.counts = counts.after(self.counts);
            self.counts.usage().into_iter().for_each(|usage| emit(ResponseEvent::Usage(usage)));
        }
        let tier = serde_json::from_str::<ServiceFields<'_>>(raw.get()).ok().and_then(|fields| fields.tier());
        if tier.is_some() && tier != self.tier {
            self.tier = tier;
            self.tier.iter().for_each(|tier| emit(ResponseEvent::Tier(Cow::Borrowed(tier))));
        }
    }

    /// Emits the response's id and model when they are new.
    fn emit_start(&mut self, chunk: &ResponseChunk<'_>, emit: EventSink<'_>) {
        let update = |old: &mut Option<String>, new: Option<&str>| {
            let new = new.filter(|new| !new.is_empty() && old.as_deref() != Some(new));
            new.map(|new| *old = Some(new.to_owned())).is_some()
        };
        let id = update(&mut self.id, chunk.response_id.as_deref());
        let model = update(&mut self.model, chunk.model_version.as_deref());
        if id || model {
            let (id, model) = (self.id.as_deref(), self.model.as_deref());
            emit(ResponseEvent::Start { id: id.map(Cow::Borrowed), model: model.map(Cow::Borrowed) });
        }
    }

    fn read_candidate(&mut self, candidate: &CandidateFields<'_>, index: u32, emit: EventSink<'_>) -> Result<()> {
        let position = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(ChoiceState { index, calls: 0, finish: None });
            self.choices.len() - 1
        });
        let parts =
            candidate.content.iter().filter_map(|content| content.parts.as_ref()).flat_map(|parts| parts.iter());
        for part in parts {
            self.read_part(part, ChoiceRef { position, index }, &mut *emit)?;
        }
        if let Some(logprobs) = candidate.logprobs_result.as_ref().and_then(logprobs::translate) {
            emit(ResponseEvent::Logprobs { choice: index, logprobs });
        }
        let finish = candidate.finish_reason.as_deref().and_then(finish_reason);
        if let Some((choice, finish)) = self.choices.get_mut(position).zip(finish) {
            choice.finish = Some(finish);
        }
        Ok(())
    }

    /// A part should hold one kind of content; if it holds several, all are emitted.
    fn read_part(&mut self, part: &ResponsePart<'_>, of: ChoiceRef, emit: EventSink<'_>) -> Result<()> {
        let choice = of.index;
        if let Some(text) = part.text.as_ref().filter(|text| text.is_text() && !text.is_blank()) {
            let text = text.clone();
            let thought = part.thought == Some(true);
            emit(if thought { ResponseEvent::Thinking { choice, text } } else { ResponseEvent::Text { choice, text } });
        }
        if let Some(text) = as_markdown(part) {
            emit(ResponseEvent::Text { choice, text: Raw::quoted(&text) });
        }
        match &part.function_call {
            Some(call) => self.emit_call(call, part.thought_signature.as_ref(), of, emit),
            None => Ok(()),
        }
    }

    fn emit_call(
        &mut self,
        call: &FunctionCallFields<'_>,
        signature: Option<&Raw<'_>>,
        of: ChoiceRef,
        emit: EventSink<'_>,
    ) -> Result<()> {
        let args = call.args.as_ref().map_or("{}", Raw::get);
        let Some(name) = call.name.as_deref().filter(|name| !name.is_empty() && args.starts_with('{')) else {
            return Err(invalid(
                "The provider's response holds a tool call without a name, or with arguments that are not an object.",
            ));
        };
        let id = match call.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => Cow::Borrowed(id),
            None => Cow::Owned(self.derive_id(name, args)),
        };
        self.calls += 1;
        let choice = of.index;
        let number = self.choices.get(of.position).map_or(0, |choice| choice.calls);
        self.choices.iter_mut().skip(of.position).take(1).for_each(|choice| choice.calls += 1);
        emit(ResponseEvent::Call { choice, call: number, id: Cow::Borrowed(&id), name: Cow::Borrowed(name) });
        emit(ResponseEvent::Arguments { choice, call: number, json: Raw::quoted(args) });
        if let Some(memory) = signature.filter(|signature| signature.is_text() && !signature.is_blank()) {
            emit(ResponseEvent::ReasoningState { id, memory: memory.clone() });
        }
        Ok(())
    }

    /// An id for a call without one: the same whenever the same response is read, and different in every
    /// response.
    fn derive_id(&self, name: &str, args: &str) -> String {
        let plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let id = self.id.as_deref().filter(|id| id.len() <= MAX_ID_LENGTH).filter(plain);
        let number = self.calls;
        id.map_or_else(
            || {
                let mut hasher = DefaultHasher::new();
                (&self.id, name, args).hash(&mut hasher);
                format!("call_{:016x}_{number}", hasher.finish())
            },
            |id| format!("call_{id}_{number}"),
        )
    }

    pub(crate) fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some())
    }

    /// Emits the ends of the choices, now that nothing more can come. A choice that ended with `STOP` may
    /// have called a tool afterwards.
    pub(crate) fn finish(&self, emit: EventSink<'_>) {
        for choice in &self.choices {
            let reason = match choice.finish {
                Some(FinishReason::Stop) if choice.calls > 0 => FinishReason::Calls,
                Some(reason) => reason,
                None => continue,
            };
            emit(ResponseEvent::Finish { choice: choice.index, reason });
        }
        if self.is_complete() {
            emit(ResponseEvent::End);
        }
    }
}

/// Content without a counterpart in other formats, as Markdown: code that was run, its output, images.
fn as_markdown(part: &ResponsePart<'_>) -> Option<String> {
    if let Some(code) = &part.executable_code {
        let language = code.language.as_deref().unwrap_or_default().to_ascii_lowercase();
        return Some(format!("\n```{language}\n{}\n```\n", code.code.as_deref()?.trim_end_matches('\n')));
    }
    if let Some(outcome) = &part.code_execution_result {
        return Some(format!("\n```\n{}\n```\n", outcome.output.as_deref()?.trim_end_matches('\n')));
    }
    let blob = part.inline_data.as_ref()?;
    let (mime, data) = (blob.mime_type.as_deref()?, blob.data.as_deref()?);
    let (mark, what) = if mime.starts_with("image/") { ("!", "image") } else { ("", mime) };
    Some(format!("\n{mark}[{what}](data:{mime};base64,{data})\n"))
}

/// Reasons that are failures, whatever came before: a call is lost.
const FAILURES: &[&str] = &[
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
];

/// The finish reason; `None` if the response has not ended, or has failed. `OTHER`, and reasons that are not known
/// here, end a response as usual if it has parts ([`read_failure`]).
/// Source: <https://ai.google.dev/api/generate-content#FinishReason>, and Vertex AI's.
fn finish_reason(reason: &str) -> Option<FinishReason> {
    match reason {
        "STOP" => Some(FinishReason::Stop),
        "MAX_TOKENS" => Some(FinishReason::Length),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Some(FinishReason::Filtered),
        "" => None,
        word => (!FAILURES.contains(&word)).then_some(FinishReason::Stop),
    }
}

/// Whether a chunk has parts.
pub(crate) fn has_parts(chunk: &ResponseChunk<'_>) -> bool {
    let contents =
        chunk.candidates.iter().flat_map(|candidates| candidates.iter()).filter_map(|one| one.content.as_ref());
    contents.into_iter().any(|content| content.parts.as_ref().is_some_and(|parts| !parts.is_empty()))
}

/// The error that a chunk reports. `has_parts`: the response has parts, in this chunk or before.
pub(crate) fn read_failure(chunk: &ResponseChunk<'_>, has_parts: bool) -> Option<Error> {
    if let Some(error) = &chunk.error {
        return Some(read_in_success(error));
    }
    let candidates = chunk.candidates.as_deref().unwrap_or_default();
    let blocked = chunk.prompt_feedback.as_ref().filter(|_| candidates.is_empty()).and_then(blocked_prompt);
    blocked.or_else(|| candidates.iter().find_map(|candidate| failed_candidate(candidate, has_parts)))
}

fn blocked_prompt(feedback: &PromptFeedback<'_>) -> Option<Error> {
    let reason = feedback.block_reason.as_deref().filter(|reason| !reason.is_empty())?;
    let why = feedback.block_reason_message.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("The provider blocked the prompt ({reason}){why}");
    Some(Error::upstream(400, "content_filter", message).typed("invalid_request_error"))
}

fn failed_candidate(candidate: &CandidateFields<'_>, has_parts: bool) -> Option<Error> {
    let is_known = |word: &str| word == "STOP" || !matches!(finish_reason(word), None | Some(FinishReason::Stop));
    let fails = |word: &&str| FAILURES.contains(word) || !has_parts && !is_known(word);
    let reason = candidate.finish_reason.as_deref().filter(|reason| !reason.is_empty()).filter(fails)?;
    let message = candidate.finish_message.as_deref().map(str::to_owned);
    let message = message.unwrap_or_else(|| format!("The provider broke the response off ({reason})."));
    Some(Error::upstream(502, "upstream_error", message).worded(None, Some(reason.to_owned()), None))
}
