//! Listens to a stream that passes by between two who both speak this format: usage, errors, and whether it came to its end.
//! It holds no clock. It changes no byte, unless it is asked to check the stream: then it lets no broken event pass.

use std::borrow::Cow;

use super::errors;
use super::stream::State;
use crate::chat::{Event, Raw, Usage};
use crate::error::Error;
use crate::wire::sse::{Block, Reader};

/// The end of every stream that is whole.
const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// So much of an answer is kept for its tokens to be counted, in bytes.
const WORDS: usize = 32 << 10;

/// What to listen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Keep the answer's text, for operators who want it in their log.
    pub text: bool,
    /// Pass on only what is sound.
    pub checked: bool,
}

/// What has been heard of a stream so far.
#[derive(Default)]
pub struct Overhear {
    reader: Reader,
    state: State,
    heard: Heard,
}

#[derive(Default)]
struct Heard {
    attention: Attention,
    done: bool,
    finished: bool,
    usage: Option<Usage>,
    model: Option<String>,
    tier: Option<String>,
    error: Option<Error>,
    said: u64,
    words: Vec<u8>,
    text: String,
}

impl Overhear {
    /// A listener.
    pub fn new(attention: Attention) -> Self {
        let reader = if attention.checked { Reader::keeping_raw() } else { Reader::default() };
        Self { reader, heard: Heard { attention, ..Heard::default() }, ..Self::default() }
    }

    /// Takes more of the stream, and gives what may pass: the very bytes, or when checking, those of all sound blocks that are complete.
    pub fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut sound = Vec::new();
        let Self { reader, state, heard } = self;
        reader.push(bytes, &mut |block| heard.block(block, state, &mut sound));
        if heard.attention.checked { Cow::Owned(sound) } else { Cow::Borrowed(bytes) }
    }

    /// The stream has ended. Gives what a client has to be told after the bytes it already has: nothing after a whole stream or one that
    /// told its own error; `message_stop` where only that was missing; `failure` where the answer was not finished.
    pub fn finish(&mut self, failure: &Error) -> Vec<u8> {
        let between = self.reader.is_between_events();
        let mut tail = Vec::new();
        let Self { reader, state, heard } = self;
        let broken_off = state.malformed;
        let told = heard.done || heard.error.is_some();
        reader.finish(&mut |block| heard.block(block, state, &mut tail));
        // A block that was cut is no event that could not be read: the cut itself is told.
        state.malformed = broken_off;
        if told {
            return tail;
        }
        let inside = if heard.attention.checked { !tail.is_empty() } else { !between };
        if inside {
            tail.extend_from_slice(b"\n\n");
        }
        if heard.done || heard.error.is_some() {
            return tail;
        }
        if heard.finished {
            tail.extend_from_slice(STOP);
        } else {
            errors::event(failure, &mut tail);
        }
        tail
    }

    /// Whether the answer came to its end: it gave its reason, or the stream said that it is done.
    pub fn is_whole(&self) -> bool {
        self.heard.error.is_none() && (self.heard.done || self.heard.finished)
    }

    /// Whether the stream has said that it is done.
    pub fn is_done(&self) -> bool {
        self.heard.done
    }

    /// Whether the bytes so far end between two events, so that something may be put in between.
    pub fn is_between_events(&self) -> bool {
        self.heard.attention.checked || self.reader.is_between_events()
    }

    /// Whether the answer has begun: a block of whatever kind, or its reason to finish.
    pub fn has_content(&self) -> bool {
        self.state.begun || self.heard.finished
    }

    /// The error that the stream itself reported.
    pub fn error(&self) -> Option<&Error> {
        self.heard.error.as_ref()
    }

    /// The tokens, as last reported.
    pub fn usage(&self) -> Option<Usage> {
        self.heard.usage
    }

    /// The model that the provider says it used.
    pub fn model(&self) -> Option<&str> {
        self.heard.model.as_deref()
    }

    /// How the provider says it served the request, as last reported.
    pub fn tier(&self) -> Option<&str> {
        self.heard.tier.as_deref()
    }

    /// The beginning of what it has said, in JSON strings, a line each; and how much it was in all, in bytes.
    pub fn said(&self) -> (&[u8], u64) {
        (&self.heard.words, self.heard.said)
    }

    /// Events that were no JSON of this format, or too long.
    pub fn malformed(&self) -> u32 {
        self.state.malformed.saturating_add(self.reader.skipped())
    }

    /// The answer's text, if it was to be kept.
    pub fn text(&self) -> Option<&str> {
        self.heard.attention.text.then_some(&self.heard.text)
    }
}

impl Heard {
    /// Listens to a block, and lets it pass if it is sound.
    fn block(&mut self, block: Block<'_>, state: &mut State, sound: &mut Vec<u8>) {
        if self.done {
            return;
        }
        let malformed = state.malformed;
        state.take(block, &mut |event| self.event(&event));
        if state.malformed == malformed {
            sound.extend_from_slice(block.raw);
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { model: Some(model), .. } => self.model = Some(model.clone().into_owned()),
            Event::Text { text, .. } => {
                self.note(text);
                if self.attention.text {
                    self.text.push_str(&text.text().unwrap_or_default());
                }
            }
            Event::Thinking { text, .. } => self.note(text),
            Event::Arguments { json, .. } => self.note(json),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            Event::Finish { .. } => self.finished = true,
            Event::Failed(error) => {
                self.error.get_or_insert_with(|| error.clone());
            }
            Event::End => self.done = true,
            Event::Start { .. } | Event::Call { .. } | Event::Memory { .. } | Event::Logprobs { .. } => {}
        }
    }

    fn note(&mut self, piece: &Raw<'_>) {
        let piece = piece.get().as_bytes();
        self.said = self.said.saturating_add(piece.len().saturating_sub(2) as u64);
        if self.words.len() + piece.len() < WORDS {
            self.words.extend_from_slice(piece);
            self.words.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n";
    const BLOCK: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    const TEXT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
    const END: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n";
    const FAILED: &str =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"cut\"}}\n\n";

    fn listen(stream: &str, attention: Attention) -> (Overhear, String) {
        let mut heard = Overhear::new(attention);
        let mut out = heard.push(stream.as_bytes()).into_owned();
        out.extend(heard.finish(&Error::upstream(502, "stream_truncated", "cut")));
        (heard, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_whole_stream_passes_unchanged_and_its_facts_are_known() {
        let stream = [START, BLOCK, TEXT, END, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"].concat();
        for checked in [false, true] {
            let (heard, out) = listen(&stream, Attention { text: true, checked });
            assert_eq!(out, stream);
            assert!(heard.is_whole() && heard.is_done() && heard.has_content());
            assert_eq!(heard.usage(), Some(Usage { fresh: 3, output: 9, ..Usage::default() }));
            assert_eq!((heard.model(), heard.tier(), heard.text()), (Some("claude-x"), Some("standard"), Some("hi")));
            assert_eq!(heard.said(), (b"\"hi\"\n".as_slice(), 2));
        }
    }

    #[test]
    fn a_stream_that_was_cut_ends_in_an_error_wherever_that_was() {
        let stream = [START, BLOCK, TEXT].concat();
        for cut in 0..stream.len() {
            for checked in [false, true] {
                let (heard, out) = listen(&stream[..cut], Attention { text: false, checked });
                assert!(out.ends_with(&format!("\n\n{FAILED}")) || out == FAILED, "cut at {cut}: {out}");
                assert!(!heard.is_whole() && heard.malformed() == 0);
            }
        }
    }

    #[test]
    fn only_the_stop_is_added_where_only_that_was_missing() {
        let stream = [START, BLOCK, TEXT, END].concat();
        let (heard, out) = listen(&stream, Attention::default());
        assert_eq!(out, format!("{stream}{}", std::str::from_utf8(STOP).unwrap()));
        assert!(heard.is_whole() && !heard.is_done());
    }

    #[test]
    fn an_error_that_the_stream_tells_itself_is_told_once() {
        let own = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
        let stream = [START, own].concat();
        let (heard, out) = listen(&stream, Attention::default());
        assert_eq!((out, heard.error().map(Error::status)), (stream, Some(529)));
    }

    #[test]
    fn a_checked_stream_lets_no_broken_event_pass() {
        let stream = [START, "data: {oops\n\n", BLOCK, TEXT, END].concat();
        let (heard, out) = listen(&stream, Attention { text: false, checked: true });
        assert!(!out.contains("oops") && heard.malformed() == 1, "{out}");
    }
}
