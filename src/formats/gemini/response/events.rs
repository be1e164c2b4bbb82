//! Gemini's answers, whole or streamed, as steps. It does not know how requests are written.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::errors::{invalid, reported};
use super::super::wire::response::{Candidate, Chunk, Feedback, FunctionCall, Metadata, Part, Served};
use super::logprobs;
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::error::{Error, Result};
use crate::formats::EventSink;

/// The longest id of an answer that ids of calls are made of, in bytes: some providers take no id of a call beyond 40.
const LONGEST_ID: usize = 28;

/// What is known of an answer so far.
#[derive(Default)]
pub(crate) struct Answer {
    id: Option<String>,
    model: Option<String>,
    choices: Vec<Choice>,
    /// All calls of all choices.
    calls: u32,
    /// The tokens as last told.
    told: Metadata,
    /// How the request was served, as last told.
    tier: Option<String>,
}

struct Choice {
    index: u32,
    /// Its calls so far.
    calls: u32,
    /// Why it ended, if it has. More of it may follow all the same.
    end: Option<FinishReason>,
}

impl Answer {
    pub(crate) fn take(&mut self, chunk: &Chunk<'_>, each: EventSink<'_>) -> Result<()> {
        self.start(chunk, &mut *each);
        // Some clients are told of the prompt before the first word.
        if self.choices.is_empty() && chunk.candidates.iter().any(|candidates| !candidates.is_empty()) {
            self.usage(chunk, &mut *each);
        }
        let mut candidates = chunk.candidates.iter().flat_map(|candidates| candidates.iter()).zip(0..);
        let read = candidates.try_for_each(|(candidate, position)| {
            self.candidate(candidate, candidate.index.unwrap_or(position), &mut *each)
        });
        // What cannot be read took its tokens all the same.
        self.usage(chunk, each);
        read.and_then(|()| failure(chunk).map_or(Ok(()), Err))
    }

    /// Tells the tokens so far, if the chunk tells any.
    pub(crate) fn usage(&mut self, chunk: &Chunk<'_>, each: EventSink<'_>) {
        let Some(raw) = chunk.usage_metadata.as_ref().filter(|raw| raw.get().starts_with('{')) else { return };
        let told: Metadata = serde_json::from_str(raw.get()).unwrap_or_default();
        if told.usage().is_some() {
            self.told = told.after(self.told);
            self.told.usage().into_iter().for_each(|usage| each(ResponseEvent::Usage(usage)));
        }
        let tier = serde_json::from_str::<Served<'_>>(raw.get()).ok().and_then(|served| served.tier());
        if tier.is_some() && tier != self.tier {
            self.tier = tier;
            self.tier.iter().for_each(|tier| each(ResponseEvent::Tier(Cow::Borrowed(tier))));
        }
    }

    /// Tells who answers, when that is new.
    fn start(&mut self, chunk: &Chunk<'_>, each: EventSink<'_>) {
        let news = |old: &mut Option<String>, new: Option<&str>| {
            let new = new.filter(|new| !new.is_empty() && old.as_deref() != Some(new));
            new.map(|new| *old = Some(new.to_owned())).is_some()
        };
        let id = news(&mut self.id, chunk.response_id.as_deref());
        let model = news(&mut self.model, chunk.model_version.as_deref());
        if id || model {
            let (id, model) = (self.id.as_deref(), self.model.as_deref());
            each(ResponseEvent::Start { id: id.map(Cow::Borrowed), model: model.map(Cow::Borrowed) });
        }
    }

    fn candidate(&mut self, candidate: &Candidate<'_>, index: u32, each: EventSink<'_>) -> Result<()> {
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice { index, calls: 0, end: None });
            self.choices.len() - 1
        });
        let parts =
            candidate.content.iter().filter_map(|content| content.parts.as_ref()).flat_map(|parts| parts.iter());
        for part in parts {
            self.part(part, at, index, &mut *each)?;
        }
        if let Some(logprobs) = candidate.logprobs_result.as_ref().and_then(logprobs::translate) {
            each(ResponseEvent::Logprobs { choice: index, logprobs });
        }
        let end = candidate.finish_reason.as_deref().and_then(finish);
        if let Some((choice, end)) = self.choices.get_mut(at).zip(end) {
            choice.end = Some(end);
        }
        Ok(())
    }

    /// A part may hold one thing only; if it holds more, all of it is told.
    fn part(&mut self, part: &Part<'_>, at: usize, choice: u32, each: EventSink<'_>) -> Result<()> {
        if let Some(text) = part.text.as_ref().filter(|text| text.is_text() && !text.is_blank()) {
            let text = text.clone();
            let thought = part.thought == Some(true);
            each(if thought { ResponseEvent::Thinking { choice, text } } else { ResponseEvent::Text { choice, text } });
        }
        if let Some(text) = shown(part) {
            each(ResponseEvent::Text { choice, text: Raw::quoted(&text) });
        }
        match &part.function_call {
            Some(call) => self.call(call, part.thought_signature.as_ref(), at, choice, each),
            None => Ok(()),
        }
    }

    fn call(
        &mut self,
        call: &FunctionCall<'_>,
        signature: Option<&Raw<'_>>,
        at: usize,
        choice: u32,
        each: EventSink<'_>,
    ) -> Result<()> {
        let args = call.args.as_ref().map_or("{}", Raw::get);
        let Some(name) = call.name.as_deref().filter(|name| !name.is_empty() && args.starts_with('{')) else {
            return Err(invalid("The provider's answer holds a call of a tool that has no name, or no arguments."));
        };
        let id = match call.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => Cow::Borrowed(id),
            None => Cow::Owned(self.made_up(name, args)),
        };
        self.calls += 1;
        let number = self.choices.get(at).map_or(0, |choice| choice.calls);
        self.choices.iter_mut().skip(at).take(1).for_each(|choice| choice.calls += 1);
        each(ResponseEvent::Call { choice, call: number, id: Cow::Borrowed(&id), name: Cow::Borrowed(name) });
        each(ResponseEvent::Arguments { choice, call: number, json: Raw::quoted(args) });
        if let Some(memory) = signature.filter(|signature| signature.is_text() && !signature.is_blank()) {
            each(ResponseEvent::ReasoningState { id, memory: memory.clone() });
        }
        Ok(())
    }

    /// An id for a call that has none: the same whenever the same answer is read, and no other answer's.
    fn made_up(&self, name: &str, args: &str) -> String {
        let plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let id = self.id.as_deref().filter(|id| id.len() <= LONGEST_ID).filter(plain);
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

    pub(crate) fn is_whole(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.end.is_some())
    }

    /// Tells the ends, now that nothing more can come: an answer that was said to stop may have gone on to call a tool.
    pub(crate) fn close(&self, each: EventSink<'_>) {
        for choice in &self.choices {
            let reason = match choice.end {
                Some(FinishReason::Stop) if choice.calls > 0 => FinishReason::Calls,
                Some(reason) => reason,
                None => continue,
            };
            each(ResponseEvent::Finish { choice: choice.index, reason });
        }
        if self.is_whole() {
            each(ResponseEvent::End);
        }
    }
}

/// What has no place of its own in an answer: code that was run, what it put out, pictures. All in Markdown.
fn shown(part: &Part<'_>) -> Option<String> {
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

/// Why an answer ended; nothing if it has not, or has failed.
/// Source: <https://ai.google.dev/api/generate-content#FinishReason>, and Vertex AI's.
fn finish(reason: &str) -> Option<FinishReason> {
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
        _ => None,
    }
}

/// What a chunk reports instead of an answer.
pub(crate) fn failure(chunk: &Chunk<'_>) -> Option<Error> {
    if let Some(error) = &chunk.error {
        return Some(reported(error));
    }
    let candidates = chunk.candidates.as_deref().unwrap_or_default();
    let blocked = chunk.prompt_feedback.as_ref().filter(|_| candidates.is_empty()).and_then(blocked);
    blocked.or_else(|| candidates.iter().find_map(failed))
}

fn blocked(feedback: &Feedback<'_>) -> Option<Error> {
    let reason = feedback.block_reason.as_deref().filter(|reason| !reason.is_empty())?;
    let why = feedback.block_reason_message.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("The provider blocked the prompt ({reason}){why}");
    Some(Error::upstream(400, "content_filter", message).typed("invalid_request_error"))
}

fn failed(candidate: &Candidate<'_>) -> Option<Error> {
    let reason = candidate.finish_reason.as_deref().filter(|reason| !reason.is_empty() && finish(reason).is_none())?;
    let said = candidate.finish_message.as_deref().map(str::to_owned);
    let message = said.unwrap_or_else(|| format!("The provider broke the answer off ({reason})."));
    Some(Error::upstream(502, "upstream_error", message).worded(None, Some(reason.to_owned()), None))
}
