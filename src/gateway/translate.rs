//! A streamed answer between two wire formats: read in its provider's and written in its client's, step by step; or passed on as it is, and
//! read along. It knows neither format.

use std::borrow::Cow;

use super::reasoning::ReasoningState;
use crate::canonical::{ResponseEvent, Usage};
use crate::error::Error;
use crate::formats::openai::outbound;
use crate::formats::{self, EventSink, StreamDecoder, StreamEncoder, StreamTap};

/// So much of an answer is kept for its tokens to be counted, in bytes.
const WORDS: usize = 32 << 10;

/// So much of an answer's text is kept for the log, in bytes, and the piece that reaches it.
const TEXT: usize = 1 << 20;

/// What is learnt of an answer while it is translated.
#[derive(Default)]
pub(super) struct ResponseSummary {
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) words: Vec<u8>,
    pub(super) said: u64,
    pub(super) error: Option<Error>,
    /// Answers that have begun, and whether they have ended.
    choices: Vec<(u32, bool)>,
    ended: bool,
    content: bool,
    /// Something was said after the last usage.
    gone_on: bool,
    /// The text, if it is kept.
    text: Option<String>,
    /// What the provider wants back.
    pub(super) memories: Vec<ReasoningState>,
}

/// A streamed answer on its way from one format to another.
pub(super) struct Translate {
    decode: Box<dyn StreamDecoder>,
    encode: Box<dyn StreamEncoder>,
    facts: ResponseSummary,
    /// The client gets the provider's bytes, for both speak the same.
    native: bool,
    /// The last bytes that came.
    tail: [u8; 2],
}

impl From<outbound::WholeSummary> for ResponseSummary {
    fn from(facts: outbound::WholeSummary) -> Self {
        let outbound::WholeSummary { usage, model, tier, words, said, hollow: _ } = facts;
        Self { usage, model, tier, words, said, ..Self::default() }
    }
}

impl Translate {
    /// `native`: both speak the same. `keeps_text`: the answer's text is kept, for operators who want it in their log.
    pub(super) fn new(
        decode: Box<dyn StreamDecoder>,
        encode: Box<dyn StreamEncoder>,
        native: bool,
        keeps_text: bool,
    ) -> Self {
        let facts = ResponseSummary { text: keeps_text.then(String::new), ..ResponseSummary::default() };
        Self { decode, encode, facts, native, tail: *b"\n\n" }
    }

    /// Whether the client gets the provider's very bytes.
    pub(super) fn is_native(&self) -> bool {
        self.native
    }

    /// Reads, and writes what comes of it.
    fn step(&mut self, read: impl FnOnce(&mut dyn StreamDecoder, EventSink<'_>)) -> Vec<u8> {
        let (encode, facts, native) = (&mut self.encode, &mut self.facts, self.native);
        let mut out = Vec::new();
        read(self.decode.as_mut(), &mut |event| {
            // It is passed on all the same.
            if native && matches!(&event, ResponseEvent::Failed(error) if error.code() == Some(formats::OVERSIZED)) {
                (facts.content, facts.gone_on) = (true, true);
            } else if facts.error.is_none() {
                facts.note(&event);
                if !native {
                    encode.event(&event, &mut out);
                }
            }
        });
        out
    }
}

impl StreamTap for Translate {
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let written = self.step(|decode, each| decode.push(bytes, each));
        if !self.native {
            return Cow::Owned(written);
        }
        // Two line ends have four bytes at most.
        for byte in bytes.iter().skip(bytes.len().saturating_sub(4)).filter(|byte| **byte != b'\r') {
            self.tail = [self.tail[1], *byte];
        }
        // An end without an answer is not passed on: an error takes its place.
        if self.is_hollow() {
            self.tail = *b"..";
            return Cow::Owned(Vec::new());
        }
        Cow::Borrowed(bytes)
    }

    fn finish(&mut self, failure: &Error) -> Vec<u8> {
        let mut out = self.step(|decode, each| decode.finish(each));
        let failure = Some(failure).filter(|_| !self.facts.is_whole());
        if self.facts.error.is_some() {
            return out;
        }
        if !self.is_between_events() {
            out.extend_from_slice(b"\n\n");
        }
        match (self.native, failure) {
            // The provider's own bytes; at most their end is missing.
            (true, None) if self.facts.ended => {}
            (true, None) => self.encode.close(&mut out),
            _ => self.encode.finish(failure, &mut out),
        }
        out
    }

    fn is_hollow(&self) -> bool {
        self.facts.ended && !self.facts.content && self.facts.error.is_none()
    }

    fn is_whole(&self) -> bool {
        self.facts.is_whole()
    }

    fn is_done(&self) -> bool {
        self.facts.ended || self.facts.error.is_some()
    }

    fn is_between_events(&self) -> bool {
        !self.native || self.tail == *b"\n\n"
    }

    fn has_content(&self) -> bool {
        self.facts.content
    }

    fn error(&self) -> Option<&Error> {
        self.facts.error.as_ref()
    }

    fn usage(&self) -> Option<Usage> {
        self.facts.usage
    }

    fn has_gone_on(&self) -> bool {
        self.facts.usage.is_some() && self.facts.gone_on
    }

    fn model(&self) -> Option<&str> {
        self.facts.model.as_deref()
    }

    fn tier(&self) -> Option<&str> {
        self.facts.tier.as_deref()
    }

    fn kept_usage(&self) -> Option<&[u8]> {
        self.encode.kept_usage()
    }

    fn said(&self) -> (&[u8], u64) {
        (&self.facts.words, self.facts.said)
    }

    fn malformed(&self) -> u32 {
        self.decode.malformed()
    }

    fn memories(&mut self) -> Vec<ReasoningState> {
        std::mem::take(&mut self.facts.memories)
    }

    fn text(&self) -> Option<&str> {
        self.facts.text.as_deref()
    }
}

impl ResponseSummary {
    pub(super) fn note(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { model, .. } => {
                if let Some(model) = model.as_ref().filter(|model| !model.is_empty()) {
                    self.model = Some(model.clone().into_owned());
                }
            }
            ResponseEvent::Text { choice, text } => {
                self.say("content", text.get());
                self.begin(*choice);
                if let Some(kept) = self.text.as_mut().filter(|kept| kept.len() < TEXT) {
                    kept.push_str(&text.text().unwrap_or_default());
                }
            }
            ResponseEvent::Thinking { choice, text } => {
                self.say("reasoning_content", text.get());
                self.begin(*choice);
            }
            ResponseEvent::Call { choice, .. } => {
                self.gone_on = true;
                self.begin(*choice);
            }
            ResponseEvent::Arguments { choice, json, .. } => {
                self.say("content", json.get());
                self.begin(*choice);
            }
            ResponseEvent::Finish { choice, .. } => {
                self.begin(*choice);
                self.choices.iter_mut().filter(|(known, _)| known == choice).for_each(|(_, finished)| *finished = true);
            }
            ResponseEvent::Usage(usage) => (self.usage, self.gone_on) = (Some(*usage), false),
            ResponseEvent::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            ResponseEvent::Failed(error) => self.error = Some(error.clone()),
            ResponseEvent::End => self.ended = true,
            ResponseEvent::ReasoningState { id, memory } => {
                self.memories.push((id.clone().into_owned(), memory.get().to_owned()))
            }
            ResponseEvent::Logprobs { .. } => {}
        }
    }

    fn begin(&mut self, choice: u32) {
        self.content = true;
        if !self.choices.iter().any(|(known, _)| *known == choice) {
            self.choices.push((choice, false));
        }
    }

    /// Keeps what is said as the client's counter of tokens reads it, a line each, if there is room.
    fn say(&mut self, field: &str, json: &str) {
        let length = json.len().saturating_sub(2) as u64;
        self.said = self.said.saturating_add(length);
        self.gone_on |= length > 0;
        if self.words.len() + json.len() + field.len() < WORDS {
            let line = ["{\"", field, "\":", json, "}\n"];
            line.iter().for_each(|piece| self.words.extend_from_slice(piece.as_bytes()));
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        let finished = !self.choices.is_empty() && self.choices.iter().all(|(_, finished)| *finished);
        self.error.is_none() && finished
    }
}
