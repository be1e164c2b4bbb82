//! Listens to a stream that passes by untouched: usage, errors, and whether it came to its end. It holds no clock and changes no byte.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::wire::{Answer, Delta, usage};
use super::{DONE, inbound, outbound};
use crate::chat::Usage;
use crate::error::Error;
use crate::wire::sse;

/// What has been heard of a stream so far.
#[derive(Default)]
pub struct Overhear {
    reader: sse::Reader,
    heard: Heard,
}

#[derive(Default)]
struct Heard {
    done: bool,
    /// Per choice: its index, and whether it has given its reason to finish.
    choices: Vec<(u64, bool)>,
    usage: Option<Usage>,
    error: Option<Error>,
    content: bool,
    malformed: u32,
    text: Option<String>,
}

/// Choices that are told apart; a stream with more is taken to end with those.
const CHOICES: usize = 128;

impl Overhear {
    /// A listener that also keeps the answer's text, for operators who want it in their log.
    pub fn keeping_text() -> Self {
        Self { heard: Heard { text: Some(String::new()), ..Heard::default() }, ..Self::default() }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let heard = &mut self.heard;
        self.reader.push(bytes, &mut |data| heard.event(data));
    }

    /// The stream has ended. Gives what a client has to be told after the bytes it already has: nothing after a whole stream;
    /// `[DONE]` where only that was missing; `failure` and `[DONE]` where the answer was not finished.
    pub fn finish(&mut self, failure: &Error) -> Vec<u8> {
        let between = self.reader.is_between_events();
        let heard = &mut self.heard;
        self.reader.finish(&mut |data| heard.event(data));
        let mut tail = Vec::new();
        if self.heard.done {
            return tail;
        }
        if !between {
            tail.extend_from_slice(b"\n\n");
        }
        if !self.is_whole() && self.heard.error.is_none() {
            inbound::error_event(failure, &mut tail);
        }
        tail.extend_from_slice(DONE);
        tail
    }

    /// Whether the answer came to its end: each choice gave its reason, or the stream said that it is done.
    pub fn is_whole(&self) -> bool {
        let finished = !self.heard.choices.is_empty() && self.heard.choices.iter().all(|(_, finished)| *finished);
        self.heard.error.is_none() && (self.heard.done || finished)
    }

    /// Whether any choice has said something: text, reasoning, a tool call, its reason to finish.
    pub fn has_content(&self) -> bool {
        self.heard.content
    }

    /// The error that the stream itself reported.
    pub fn error(&self) -> Option<&Error> {
        self.heard.error.as_ref()
    }

    /// The tokens, as last reported.
    pub fn usage(&self) -> Option<Usage> {
        self.heard.usage
    }

    /// Events that were no JSON of this format, or too long.
    pub fn malformed(&self) -> u32 {
        self.heard.malformed.saturating_add(self.reader.skipped())
    }

    /// The answer's text, if it was to be kept.
    pub fn text(&self) -> Option<&str> {
        self.heard.text.as_deref()
    }
}

impl Heard {
    fn event(&mut self, data: &[u8]) {
        if data == b"[DONE]" {
            self.done = true;
            return;
        }
        let Ok(chunk) = serde_json::from_slice::<Answer<'_>>(data) else {
            self.malformed = self.malformed.saturating_add(1);
            return;
        };
        if chunk.error.is_some() && self.error.is_none() {
            self.error = Some(outbound::refusal(502, data));
        }
        self.usage = usage(chunk.usage, chunk.x_groq).or(self.usage);
        for choice in chunk.choices.unwrap_or_default() {
            let finished = choice.finish_reason.is_some_and(|reason| !reason.is_empty());
            self.content = self.content || finished || choice.delta.is_some_and(|delta| says_something(delta.get()));
            self.choice(choice.index, finished);
            self.keep(choice.delta);
        }
    }

    fn choice(&mut self, index: u64, finished: bool) {
        if let Some(known) = self.choices.iter_mut().find(|(known, _)| *known == index) {
            known.1 |= finished;
        } else if self.choices.len() < CHOICES {
            self.choices.push((index, finished));
        }
    }

    fn keep(&mut self, delta: Option<&RawValue>) {
        let (Some(text), Some(delta)) = (self.text.as_mut(), delta) else { return };
        let content = serde_json::from_str::<Delta<'_>>(delta.get()).ok().and_then(|delta| delta.content);
        text.push_str(&content.unwrap_or_default());
    }
}

/// Whether a delta holds more than a role and empty values.
fn says_something(delta: &str) -> bool {
    let members: Result<BTreeMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_str(delta);
    members.is_ok_and(|members| {
        members.iter().any(|(key, value)| key != "role" && !matches!(value.get(), "null" | "\"\"" | "[]" | "{}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    const END: &str = "data: [DONE]\n\n";

    fn hear(stream: &str) -> (Overhear, String) {
        let mut heard = Overhear::keeping_text();
        heard.push(stream.as_bytes());
        let tail = heard.finish(&Error::upstream(502, "stream_truncated", "cut"));
        (heard, String::from_utf8(tail).unwrap())
    }

    #[test]
    fn a_whole_stream_needs_nothing() {
        let (heard, tail) = hear(&[TEXT, TEXT, STOP, USAGE, END].concat());
        assert_eq!(tail, "");
        assert!(heard.is_whole());
        assert_eq!(heard.usage().map(|usage| (usage.prompt(), usage.output)), Some((3, 2)));
        assert_eq!(heard.text(), Some("aa"));
    }

    #[test]
    fn a_finished_stream_without_done_gets_one() {
        assert_eq!(hear(&[TEXT, STOP].concat()).1, END);
        let unended = [TEXT, STOP.trim_end()].concat();
        assert_eq!(hear(&unended).1, format!("\n\n{END}"));
    }

    #[test]
    fn a_cut_stream_gets_an_error_and_done() {
        for cut in [TEXT.to_owned(), String::new(), [TEXT, "data: {\"cho"].concat()] {
            let (heard, tail) = hear(&cut);
            assert!(!heard.is_whole());
            assert!(tail.contains("\"code\":\"stream_truncated\"") && tail.ends_with(END), "{tail}");
        }
    }

    #[test]
    fn one_finished_choice_of_two_is_not_the_end() {
        let second = TEXT.replace("\"index\":0", "\"index\":1");
        assert!(hear(&[TEXT, &second, STOP].concat()).1.contains("stream_truncated"));
    }

    #[test]
    fn an_error_in_the_stream_is_an_error_whatever_else_it_says() {
        let (heard, tail) = hear("data: {\"choices\":[],\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n");
        assert_eq!(heard.error().map(Error::message), Some("overloaded"));
        assert!(!heard.is_whole());
        assert_eq!(tail, END);
    }

    #[test]
    fn a_malformed_event_is_counted() {
        let (heard, tail) = hear(&[TEXT, "data: {oops\n\n", STOP, END].concat());
        assert_eq!((heard.malformed(), tail.as_str(), heard.is_whole()), (1, "", true));
    }
}
