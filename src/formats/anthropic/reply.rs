//! A whole answer, read; and the words that streams share with it.

use std::borrow::Cow;

use super::errors::{in_spite, is_error};
use super::wire::{Answer, Said, Tokens, inside, object};
use crate::canonical::{FinishReason, Raw, ResponseEvent, Usage};
use crate::error::{Error, Result};
use crate::formats::EventSink;
use crate::formats::tier::{Served, Words};

/// Reads a whole answer that came with a status of success.
///
/// # Errors
/// 502 if it is none, or an error in spite of its status.
pub(super) fn whole(body: &[u8], each: EventSink<'_>) -> Result<()> {
    if is_error(body) {
        return Err(in_spite(body));
    }
    let answer: Option<Answer<'_>> = object(body);
    let Some((answer, content)) = answer.and_then(|mut answer| answer.content.take().map(|content| (answer, content)))
    else {
        let message = "The provider answered with a status of success, but with a body that is not a message.";
        return Err(Error::upstream(502, "upstream_invalid_response", message));
    };
    let mut told = Told::default();
    told.start(&answer, each);
    for block in content.iter() {
        if let Some(said) = object::<Said<'_>>(block.get().as_bytes()) {
            whole_block(&said, block, &mut told, each);
        }
    }
    told.usage(answer.usage.as_ref(), each);
    each(ResponseEvent::Finish { choice: 0, reason: finish(answer.stop_reason.as_deref().unwrap_or_default()) });
    each(ResponseEvent::End);
    Ok(())
}

fn whole_block(said: &Said<'_>, block: &Raw<'_>, told: &mut Told, each: EventSink<'_>) {
    match said.kind.as_ref() {
        "text" => text(said.text.as_ref(), each),
        "thinking" => {
            thinking(said.thinking.as_ref(), each);
            told.keep(block.get());
        }
        "redacted_thinking" => told.keep(block.get()),
        "tool_use" => {
            let call = told.call(said, each);
            if let Some(input) = said.input.as_ref().filter(|input| !input.is_blank()) {
                each(ResponseEvent::Arguments { choice: 0, call, json: Raw::quoted(input.get()) });
            }
        }
        // What servers did on their own; the text tells of it.
        _ => {}
    }
}

/// Hands on text, if there is any.
pub(super) fn text(text: Option<&Raw<'_>>, each: EventSink<'_>) {
    if let Some(text) = text.filter(|text| !inside(text).is_empty()) {
        each(ResponseEvent::Text { choice: 0, text: text.clone() });
    }
}

/// Hands on thoughts, if they can be read.
pub(super) fn thinking(text: Option<&Raw<'_>>, each: EventSink<'_>) {
    if let Some(text) = text.filter(|text| !inside(text).is_empty()) {
        each(ResponseEvent::Thinking { choice: 0, text: text.clone() });
    }
}

/// Why an answer ends.
pub(super) fn finish(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::Calls,
        "refusal" => FinishReason::Filtered,
        // `end_turn`, `stop_sequence`, `pause_turn`, and what is not known yet.
        _ => FinishReason::Stop,
    }
}

/// What has been told so far.
#[derive(Default)]
pub(super) struct Told {
    calls: u32,
    /// Blocks of thoughts since the last call, with a comma between them.
    kept: String,
    usage: Usage,
    served: Served,
}

impl Told {
    /// Hands on the head of an answer.
    pub(super) fn start(&self, answer: &Answer<'_>, each: EventSink<'_>) {
        let word = |word: &Option<Cow<'_, str>>| word.clone().filter(|word| !word.is_empty()).map(Cow::into_owned);
        each(ResponseEvent::Start { id: word(&answer.id).map(Cow::Owned), model: word(&answer.model).map(Cow::Owned) });
    }

    /// Keeps a block that the provider wants back with the next call.
    pub(super) fn keep(&mut self, block: &str) {
        if !self.kept.is_empty() {
            self.kept.push(',');
        }
        self.kept.push_str(block);
    }

    /// Hands on a call, and what stood before it, and gives its number.
    pub(super) fn call(&mut self, said: &Said<'_>, each: EventSink<'_>) -> u32 {
        let call = self.calls;
        self.calls = call.saturating_add(1);
        let given = said.id.as_deref().filter(|id| !id.is_empty());
        let id = given.map_or_else(|| Cow::Owned(format!("toolu_{call}")), Cow::Borrowed);
        let name = Cow::Borrowed(said.name.as_deref().unwrap_or_default());
        each(ResponseEvent::Call { choice: 0, call, id: id.clone(), name });
        let kept = std::mem::take(&mut self.kept);
        if let Some(memory) = Raw::parse(&format!("[{kept}]")).filter(|memory| !memory.is_blank()) {
            each(ResponseEvent::ReasoningState { id, memory });
        }
        call
    }

    /// Hands on the tokens so far: of each number, the last that was said.
    pub(super) fn usage(&mut self, raw: Option<&Raw<'_>>, each: EventSink<'_>) {
        let Some((raw, tokens)) = raw.and_then(|raw| Some((raw, object::<Tokens>(raw.get().as_bytes())?))) else {
            return;
        };
        tokens.update(&mut self.usage);
        each(ResponseEvent::Usage(self.usage));
        let words = object::<Words<'_>>(raw.get().as_bytes());
        if let Some(tier) = words.as_ref().and_then(|words| self.served.take(words)) {
            each(ResponseEvent::Tier(Cow::Borrowed(tier)));
        }
    }
}

/// The value of `usage` alone.
pub(super) fn told(raw: &str) -> Option<Usage> {
    let mut usage = Usage::default();
    object::<Tokens>(raw.as_bytes())?.update(&mut usage);
    Some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Vec<String> {
        let mut events = Vec::new();
        whole(body.as_bytes(), &mut |event| events.push(format!("{event:?}"))).unwrap();
        events
    }

    #[test]
    fn what_was_thought_before_a_call_is_kept_byte_for_byte_even_without_words() {
        let thoughts =
            r#"{"type":"thinking","thinking":"","signature":"a\u002fb=="},{"type":"redacted_thinking", "data":"x"}"#;
        let body = format!(
            r#"{{"id":"msg_1","type":"message","model":"claude-x","content":[{thoughts},{{"type":"text","text":"hi"}},
            {{"type":"tool_use","id":"toolu_1","name":"f","input":{{"a": 1}}}},{{"type":"tool_use","id":"toolu_2","name":"g","input":{{}}}}],
            "stop_reason":"tool_use","usage":{{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":2,
            "cache_creation":{{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}},
            "output_tokens_details":{{"thinking_tokens":1}},"service_tier":"standard"}}}}"#
        );
        let events = told(&body);
        assert!(events.contains(&format!("ReasoningState {{ id: \"toolu_1\", memory: [{thoughts}] }}")), "{events:?}");
        assert_eq!(events.iter().filter(|event| event.starts_with("ReasoningState")).count(), 1);
        assert!(events.contains(&r#"Arguments { choice: 0, call: 0, json: "{\"a\": 1}" }"#.to_owned()), "{events:?}");
        assert!(events.iter().any(|event| event.starts_with("Call { choice: 0, call: 1")));
        let usage =
            Usage { uncached_input: 3, cache_read: 5, cache_write: 7, cache_write_1h: 4, output: 2, reasoning: 1 };
        assert!(events.contains(&format!("{:?}", ResponseEvent::Usage(usage))));
        assert_eq!(events.last().unwrap(), "End");
    }

    #[test]
    fn success_that_is_no_message_is_an_error() {
        for body in ["", "[]", "{}", "<html>", r#"{"content":null}"#, "[null,null,[],null,null]"] {
            assert_eq!(whole(body.as_bytes(), &mut |_| ()).unwrap_err().status(), 502, "{body}");
        }
        let error = br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
        assert_eq!(whole(error, &mut |_| ()).unwrap_err().status(), 429);
    }
}
