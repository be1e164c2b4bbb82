//! Listens to a stream that passes by: usage, errors, and whether it came to its end. It holds no clock. It changes no byte, unless it is
//! asked to check the stream: then it lets no broken event pass, nor what the client did not ask for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::wire::{Answer, Choice, DONE, Delta, is_error, is_object, usage, words};
use super::{inbound, outbound};
use crate::canonical::Usage;
use crate::error::Error;
use crate::formats::StreamTap;
use crate::formats::tier::Served;
use crate::wire::sse::{Block, Reader};

/// What has been heard of a stream so far.
#[derive(Default)]
pub struct ChatTap {
    reader: Reader,
    heard: TapState,
}

/// What to listen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapOptions {
    /// Keep the answer's text, for operators who want it in their log.
    pub text: bool,
    /// Pass on only what is sound.
    pub checked: bool,
    /// How many choices there will be, at least; 0 counts as 1.
    pub choices: u64,
    /// When checking: the chunk that only tells the usage is ours, not the client's.
    pub hides_usage: bool,
    /// When checking: that chunk is kept back, for the cost to be told with it. Usage that stands beside something else passes, and is
    /// kept as well.
    pub keeps_usage: bool,
}

#[derive(Default)]
struct TapState {
    attention: TapOptions,
    done: bool,
    /// Per choice: its index, and whether it has given its reason to finish.
    choices: Vec<(u64, bool)>,
    usage: Option<Usage>,
    /// Something was said after the last usage.
    gone_on: bool,
    model: Option<String>,
    served: Served,
    error: Option<Error>,
    content: bool,
    malformed: u32,
    said: u64,
    words: Vec<u8>,
    kept: Option<Vec<u8>>,
    text: String,
}

/// So much of an answer's text is kept for the log, in bytes, and the piece that reaches it.
const TEXT: usize = 1 << 20;

/// Choices that are told apart; a stream with more is taken to end with those.
const CHOICES: usize = 128;

impl ChatTap {
    /// A listener.
    pub fn new(attention: TapOptions) -> Self {
        let reader = if attention.checked { Reader::keeping_raw() } else { Reader::default() };
        Self { reader, heard: TapState { attention, ..TapState::default() } }
    }
}

impl StreamTap for ChatTap {
    /// The very bytes, or when checking, those of all sound blocks that are complete.
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut sound = Vec::new();
        let heard = &mut self.heard;
        self.reader.push(bytes, &mut |block| heard.block(block, &mut sound));
        // An end without an answer is not passed on: an error takes its place.
        if self.is_hollow() && !self.heard.attention.checked {
            return Cow::Owned(Vec::new());
        }
        if self.heard.attention.checked { Cow::Owned(sound) } else { Cow::Borrowed(bytes) }
    }

    fn finish(&mut self, failure: &Error) -> Vec<u8> {
        let (between, passing) = (self.reader.is_between_events(), self.reader.is_passing());
        let hollow = self.is_hollow();
        let mut tail = Vec::new();
        let heard = &mut self.heard;
        let broken_off = heard.malformed;
        self.reader.finish(&mut |block| heard.block(block, &mut tail));
        // A block that was cut is no event that could not be read: the cut itself is told.
        heard.malformed = broken_off;
        if heard.attention.checked {
            if passing || !tail.is_empty() {
                tail.extend_from_slice(b"\n\n");
            }
        } else if heard.done && !hollow {
            return tail;
        } else if hollow || !between {
            tail.extend_from_slice(b"\n\n");
        }
        if !self.is_whole() && self.heard.error.is_none() {
            inbound::error_event(failure, &mut tail);
        }
        tail.extend_from_slice(DONE);
        tail
    }

    fn is_whole(&self) -> bool {
        let begun = self.heard.choices.len() as u64 >= self.heard.attention.choices.clamp(1, CHOICES as u64);
        let finished = begun && self.heard.choices.iter().all(|(_, finished)| *finished);
        self.heard.error.is_none() && (self.heard.done && self.heard.content || finished)
    }

    fn is_done(&self) -> bool {
        self.heard.done
    }

    fn is_hollow(&self) -> bool {
        self.heard.done && !self.heard.content && self.heard.error.is_none()
    }

    fn is_between_events(&self) -> bool {
        if self.heard.attention.checked { !self.reader.is_passing() } else { self.reader.is_between_events() }
    }

    fn has_content(&self) -> bool {
        self.heard.content
    }

    fn error(&self) -> Option<&Error> {
        self.heard.error.as_ref()
    }

    fn usage(&self) -> Option<Usage> {
        self.heard.usage
    }

    fn has_gone_on(&self) -> bool {
        // A whole stream of this format may tell all of its usage early.
        self.heard.gone_on && !self.is_whole()
    }

    fn model(&self) -> Option<&str> {
        self.heard.model.as_deref()
    }

    fn tier(&self) -> Option<&str> {
        self.heard.served.word()
    }

    fn kept_usage(&self) -> Option<&[u8]> {
        self.heard.kept.as_deref()
    }

    fn said(&self) -> (&[u8], u64) {
        (&self.heard.words, self.heard.said)
    }

    fn malformed(&self) -> u32 {
        self.heard.malformed.saturating_add(self.reader.oversized())
    }

    fn text(&self) -> Option<&str> {
        self.heard.attention.text.then_some(&self.heard.text)
    }
}

impl TapState {
    /// Listens to a block, and lets it pass if it is sound.
    fn block(&mut self, block: Block<'_>, sound: &mut Vec<u8>) {
        if block.oversized {
            // It passes unread: it said something, and nobody knows what.
            (self.content, self.gone_on) = (true, self.gone_on || self.usage.is_some());
        }
        let passes = match block.data {
            _ if self.done => false,
            Some(data) => self.event(data),
            None => true,
        };
        if passes {
            sound.extend_from_slice(block.raw);
        }
    }

    fn event(&mut self, data: &[u8]) -> bool {
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return false;
        }
        let chunk = serde_json::from_slice::<Answer<'_>>(data).ok().filter(|_| is_object(data));
        let Some(chunk) = chunk else {
            if is_error(data) {
                self.error.get_or_insert_with(|| outbound::in_spite(data));
                return true;
            }
            self.malformed = self.malformed.saturating_add(1);
            return false;
        };
        if chunk.error.is_some() && self.error.is_none() {
            self.error = Some(outbound::in_spite(data));
        }
        let usage = usage(chunk.usage, chunk.x_groq);
        self.usage = usage.or(self.usage);
        if self.model.is_none() {
            self.model = chunk.model();
        }
        if let Some(words) = words(chunk.service_tier, chunk.usage) {
            self.served.take(&words);
        }
        let choices = chunk.choices.unwrap_or_default();
        if let Some(error) = choices.iter().find_map(|choice| choice.error).filter(|_| self.error.is_none()) {
            self.error = Some(outbound::in_spite(error.get().as_bytes()));
        }
        let only_usage = usage.is_some() && choices.is_empty() && chunk.error.is_none();
        choices.iter().for_each(|choice| self.choice(choice));
        let says = |choice: &Choice<'_>| choice.delta.is_some_and(|delta| says_something(delta.get()));
        self.gone_on = usage.is_none() && (self.gone_on || self.usage.is_some() && choices.iter().any(says));
        let keeps = self.attention.keeps_usage && chunk.error.is_none();
        let keeps = keeps && chunk.usage.is_some_and(|usage| usage.get().starts_with('{'));
        if keeps {
            self.kept = Some(data.to_vec());
        }
        !(only_usage && (self.attention.hides_usage || keeps))
    }

    fn choice(&mut self, choice: &Choice<'_>) {
        self.said = self.said.saturating_add(choice.length());
        choice.note(&mut self.words);
        let (number, finished) = (choice.number(), choice.has_finished());
        let says = choice.plain().is_some() || choice.delta.is_some_and(|delta| says_something(delta.get()));
        self.content = self.content || finished || says;
        if let Some(known) = self.choices.iter_mut().find(|(known, _)| *known == number) {
            known.1 |= finished;
        } else if self.choices.len() < CHOICES {
            self.choices.push((number, finished));
        }
        if let Some(delta) = choice.delta.filter(|_| self.attention.text && self.text.len() < TEXT) {
            let content = serde_json::from_str::<Delta<'_>>(delta.get()).ok().and_then(|delta| delta.content);
            self.text.push_str(&content.unwrap_or_default());
        }
        if let Some(text) = choice.plain().filter(|_| self.attention.text && self.text.len() < TEXT) {
            self.text.push_str(&serde_json::from_str::<Cow<'_, str>>(text).unwrap_or_default());
        }
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
    const CHECKED: TapOptions =
        TapOptions { text: false, checked: true, hides_usage: true, keeps_usage: false, choices: 1 };

    /// The listener, what passed, and what was added at the end.
    fn listen(attention: TapOptions, stream: &str) -> (ChatTap, String, String) {
        let mut heard = ChatTap::new(attention);
        let passed = String::from_utf8(heard.push(stream.as_bytes()).into_owned()).unwrap();
        let tail = heard.finish(&Error::upstream(502, "stream_truncated", "cut"));
        (heard, passed, String::from_utf8(tail).unwrap())
    }

    fn hear(stream: &str) -> (ChatTap, String) {
        let (heard, passed, tail) = listen(TapOptions { text: true, ..TapOptions::default() }, stream);
        assert_eq!(passed, stream);
        (heard, tail)
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
    fn the_tier_is_the_last_one_told() {
        let told = |tier: &str| TEXT.replace("{\"choices\"", &format!("{{\"service_tier\":{tier},\"choices\""));
        let stream = [&told("\"auto\""), &told("\"flex\""), TEXT, &told("null"), &told("7"), STOP, END].concat();
        let (heard, _) = hear(&stream);
        assert_eq!((heard.tier(), heard.malformed()), (Some("flex"), 0));
        assert_eq!(hear(&[TEXT, STOP, END].concat()).0.tier(), None);
    }

    #[test]
    fn a_completion_that_is_no_chats_is_heard_as_well() {
        let said = |text: &str, reason: &str| {
            format!(
                "data: {{\"object\":\"text_completion\",\"choices\":[{{\"index\":0,\"text\":{text},\"finish_reason\":{reason}}}]}}\n\n"
            )
        };
        let (heard, tail) = hear(
            &[&said("\"\"", "null"), &said("\"a\\n\"", "null"), &said("\"b\"", "\"length\""), USAGE, END].concat(),
        );
        assert_eq!((heard.text(), tail.as_str(), heard.is_whole()), (Some("a\nb"), "", true));
        assert_eq!(heard.said(), (b"{\"content\":\"a\\n\"}\n{\"content\":\"b\"}\n".as_slice(), 4));
        assert!(!hear(&said("\"\"", "null")).0.has_content() && hear(&said("\"a\"", "null")).0.has_content());
        assert!(hear(&said("\"a\"", "null")).1.contains("stream_truncated"));
    }

    #[test]
    fn a_finished_stream_without_done_gets_one() {
        assert_eq!(hear(&[TEXT, STOP].concat()).1, END);
        let unended = [TEXT, STOP.trim_end()].concat();
        assert_eq!(hear(&unended).1, format!("\n\n{END}"));
        assert_eq!(listen(CHECKED, &unended).2, [STOP, END].concat());
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
    fn a_malformed_event_is_counted_and_when_checking_dropped() {
        let stream = [TEXT, "data: {oops\n\n", STOP, END].concat();
        let (heard, tail) = hear(&stream);
        assert_eq!((heard.malformed(), tail.as_str(), heard.is_whole()), (1, "", true));
        let (heard, passed, tail) = listen(CHECKED, &stream);
        assert_eq!((heard.malformed(), passed, tail.as_str()), (1, [TEXT, STOP].concat(), END));
    }

    #[test]
    fn an_end_without_an_answer_is_an_error() {
        let role = TEXT.replace("\"content\":\"a\"", "\"role\":\"assistant\",\"content\":\"\"");
        for stream in [END.to_owned(), [USAGE, END].concat(), ["data: {oops\n\n", END].concat(), [&role, END].concat()]
        {
            for attention in [TapOptions::default(), CHECKED] {
                let (heard, passed, tail) = listen(attention, &stream);
                assert!(heard.is_hollow() && !heard.is_whole() && !passed.contains("[DONE]"), "{passed}");
                assert!(tail.trim_start().starts_with("data: {\"error\"") && tail.ends_with(END), "{tail}");
            }
        }
        let (heard, tail) = hear(&["data: {\"error\":{\"message\":\"busy\"}}\n\n", END].concat());
        assert_eq!((heard.is_hollow(), tail.as_str()), (false, ""));
        let spaced = [TEXT, STOP, "data: [DONE] \n\n"].concat();
        assert_eq!(hear(&spaced).1, "");
    }

    #[test]
    fn a_chunk_of_odd_types_is_one_all_the_same() {
        for index in ["null", "0.0", "\"0\"", "-1"] {
            let odd = |chunk: &str| chunk.replace("\"index\":0", &format!("\"index\":{index}"));
            let stream = [&odd(TEXT), &odd(STOP).replace("{\"choices", "{\"model\":7,\"choices"), END].concat();
            let (heard, passed, tail) = listen(CHECKED, &stream);
            assert_eq!((heard.malformed(), heard.is_whole(), tail.as_str()), (0, true, END), "{index}");
            assert_eq!(passed + END, stream);
        }
    }

    #[test]
    fn checking_lets_no_half_event_pass_and_one_done() {
        let half = [": hi\n\n", TEXT, "data: {\"cho"].concat();
        let (_, passed, tail) = listen(CHECKED, &half);
        assert_eq!(passed, [": hi\n\n", TEXT].concat());
        assert!(tail.starts_with("data: {\"error\"") && tail.ends_with(END), "{tail}");
        let (_, passed, tail) = listen(CHECKED, &[TEXT, STOP, END, END, TEXT].concat());
        assert_eq!((passed, tail.as_str()), ([TEXT, STOP].concat(), END));
    }

    #[test]
    fn pain_8_usage_counts_on_whichever_chunk_it_comes_and_the_last_one_wins() {
        let with = |chunk: &str, output: u64| {
            let usage = format!(",\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{output}}}}}\n");
            chunk.replace("}\n", &usage)
        };
        let told = |stream: &[&str]| {
            let (heard, _) = hear(&stream.concat());
            (heard.usage().map(|usage| (usage.prompt(), usage.output)), heard.has_gone_on())
        };
        assert_eq!(told(&[TEXT, &with(STOP, 2), END]), (Some((3, 2)), false));
        assert_eq!(told(&[&with(TEXT, 1), &with(TEXT, 2), STOP, END]), (Some((3, 2)), false));
        let empty = TEXT.replace("\"a\"", "\"\"");
        let null = STOP.replace("}\n", ",\"usage\":null}\n");
        assert_eq!(told(&[TEXT, USAGE, &empty, &null, END]), (Some((3, 2)), false));
        assert_eq!(told(&[&with(TEXT, 1), TEXT]), (Some((3, 1)), true));
        assert_eq!(told(&[&with(TEXT, 1), TEXT, USAGE]), (Some((3, 2)), false));
        assert_eq!(told(&[USAGE, TEXT, STOP, END]), (Some((3, 2)), false));
        assert_eq!(told(&[TEXT, TEXT]), (None, false));
    }

    #[test]
    fn usage_that_the_client_did_not_ask_for_can_be_hidden() {
        let beside = TEXT.replace("]}\n", "],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n");
        let (heard, passed, _) = listen(CHECKED, &[&beside, STOP, USAGE, END].concat());
        assert_eq!(passed, [&beside, STOP].concat());
        assert_eq!(heard.usage().map(|usage| usage.prompt()), Some(3));
        let shown = TapOptions { hides_usage: false, ..CHECKED };
        assert_eq!(listen(shown, &[STOP, USAGE, END].concat()).1, [STOP, USAGE].concat());
    }
}
