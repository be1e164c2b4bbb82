//! Reads a stream of chunks on its way from the provider to the client: usage, errors and the end, without making events of it. Passes the
//! bytes on as they came, or only sound events that the client asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::errors;
use super::wire::{Answer, Choice, Delta, is_error, is_object, usage, words};
use crate::formats::summary::{Completion, ResponseSummary};
use crate::formats::tap::{StreamTap, TapOptions};
use crate::formats::tier::ServedTier;
use crate::wire::sse::{Block, SseReader};

/// Reads a passing stream.
pub struct ChatTap {
    reader: SseReader,
    state: TapState,
}

struct TapState {
    options: TapOptions,
    summary: ResponseSummary,
    served: ServedTier,
}

impl ChatTap {
    /// A tap on a stream that has not begun.
    pub fn new(options: TapOptions) -> Self {
        let reader = if options.checked { SseReader::keeping_raw() } else { SseReader::default() };
        let completion = Completion::FinishedOrEnded(options.choices);
        let summary = ResponseSummary { completion, ..ResponseSummary::default() }.keep_text(options.text);
        Self { reader, state: TapState { options, summary, served: ServedTier::default() } }
    }
}

impl StreamTap for ChatTap {
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut sound = Vec::new();
        let (state, before) = (&mut self.state, self.reader.oversized());
        self.reader.push(bytes, &mut |block| state.block(block, &mut sound));
        state.count_malformed(self.reader.oversized().saturating_sub(before));
        if state.options.checked {
            return Cow::Owned(sound);
        }
        // An end marker without a response is withheld: an error takes its place.
        if state.summary.is_empty() { Cow::Owned(Vec::new()) } else { Cow::Borrowed(bytes) }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        let (between, passing) = (self.reader.is_between_events(), self.reader.is_passing());
        let state = &mut self.state;
        let (malformed, was_empty) = (state.summary.malformed, state.summary.is_empty());
        let length = out.len();
        self.reader.finish(&mut |block| state.block(block, out));
        // A truncated event is reported as a truncated stream, not as a malformed event.
        state.summary.malformed = malformed;
        if state.options.checked {
            if passing || out.len() > length {
                out.extend_from_slice(b"\n\n");
            }
            return false;
        }
        let has_passed_end = state.summary.has_ended && !was_empty;
        if !has_passed_end && (was_empty || !between) {
            out.extend_from_slice(b"\n\n");
        }
        has_passed_end
    }

    fn is_between_events(&self) -> bool {
        if self.state.options.checked { !self.reader.is_passing() } else { self.reader.is_between_events() }
    }

    fn is_checked(&self) -> bool {
        self.state.options.checked
    }

    fn summary(&self) -> &ResponseSummary {
        &self.state.summary
    }
}

impl TapState {
    fn count_malformed(&mut self, events: u32) {
        self.summary.malformed = self.summary.malformed.saturating_add(events);
    }

    /// Reads a block, and adds it to `sound` if it may pass.
    fn block(&mut self, block: Block<'_>, sound: &mut Vec<u8>) {
        let summary = &mut self.summary;
        if block.oversized {
            // It passes unread, so it counts as content.
            summary.has_content = true;
            summary.content_after_usage |= summary.usage.is_some();
        }
        let passes = match block.data {
            _ if summary.has_ended => false,
            Some(data) => self.event(data),
            None => true,
        };
        if passes {
            sound.extend_from_slice(block.raw);
        }
    }

    fn event(&mut self, data: &[u8]) -> bool {
        if data.trim_ascii() == b"[DONE]" {
            self.summary.has_ended = true;
            return false;
        }
        let chunk = serde_json::from_slice::<Answer<'_>>(data).ok().filter(|_| is_object(data));
        let Some(chunk) = chunk else {
            if is_error(data) {
                self.summary.error.get_or_insert_with(|| errors::read_in_success(data));
                return true;
            }
            self.count_malformed(1);
            return false;
        };
        self.chunk(chunk, data)
    }

    fn chunk(&mut self, chunk: Answer<'_>, data: &[u8]) -> bool {
        let summary = &mut self.summary;
        if chunk.error.is_some() && summary.error.is_none() {
            summary.error = Some(errors::read_in_success(data));
        }
        let usage = usage(chunk.usage, chunk.x_groq);
        summary.usage = usage.or(summary.usage);
        if summary.model.is_none() {
            summary.model = chunk.model();
        }
        if let Some(words) = words(chunk.service_tier, chunk.usage)
            && self.served.take(&words).is_some()
        {
            summary.tier = self.served.word().map(str::to_owned);
        }
        let choices = chunk.choices.unwrap_or_default();
        if let Some(error) = choices.iter().find_map(|choice| choice.error)
            && summary.error.is_none()
        {
            summary.error = Some(errors::read_in_success(error.get().as_bytes()));
        }
        let only_usage = usage.is_some() && choices.is_empty() && chunk.error.is_none();
        choices.iter().for_each(|choice| add_choice(summary, choice));
        let has_content = |choice: &Choice<'_>| choice.delta.is_some_and(|delta| has_content(delta.get()));
        let after_usage = summary.content_after_usage || summary.usage.is_some() && choices.iter().any(has_content);
        summary.content_after_usage = usage.is_none() && after_usage;
        let is_object = chunk.usage.is_some_and(|usage| usage.get().starts_with('{'));
        let keeps = self.options.keeps_usage && chunk.error.is_none() && is_object;
        if keeps {
            summary.withheld_usage = Some(data.to_vec());
        }
        !(only_usage && (self.options.hides_usage || keeps))
    }
}

fn add_choice(summary: &mut ResponseSummary, choice: &Choice<'_>) {
    summary.length = summary.length.saturating_add(choice.length());
    choice.note(&mut summary.countable);
    let finished = choice.has_finished();
    let says = choice.plain().is_some() || choice.delta.is_some_and(|delta| has_content(delta.get()));
    summary.has_content = summary.has_content || finished || says;
    summary.choice(choice.number(), finished);
    if let Some(delta) = choice.delta {
        summary.log_text(|| {
            let delta = serde_json::from_str::<Delta<'_>>(delta.get()).ok();
            delta.and_then(|delta| delta.content).unwrap_or_default()
        });
    }
    if let Some(text) = choice.plain() {
        summary.log_text(|| serde_json::from_str::<Cow<'_, str>>(text).unwrap_or_default());
    }
}

/// Whether a delta holds more than a role and empty values.
fn has_content(delta: &str) -> bool {
    let members: Result<BTreeMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_str(delta);
    members.is_ok_and(|members| {
        members.iter().any(|(key, value)| key != "role" && !matches!(value.get(), "null" | "\"\"" | "[]" | "{}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::formats::tap::finish_tapped;

    const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    const END: &str = "data: [DONE]\n\n";
    const CHECKED: TapOptions =
        TapOptions { text: false, checked: true, hides_usage: true, keeps_usage: false, choices: 1 };

    /// The summary, what passed, and what was added at the end.
    fn listen(options: TapOptions, stream: &str) -> (ResponseSummary, String, String) {
        let mut tap = ChatTap::new(options);
        let passed = String::from_utf8(tap.push(stream.as_bytes()).into_owned()).unwrap();
        let mut tail = Vec::new();
        finish_tapped(
            &mut tap,
            super::super::CLIENT.end_passthrough,
            &Error::upstream(502, "stream_truncated", "cut"),
            &mut tail,
        );
        (tap.summary().clone(), passed, String::from_utf8(tail).unwrap())
    }

    fn hear(stream: &str) -> (ResponseSummary, String) {
        let (heard, passed, tail) = listen(TapOptions { text: true, ..TapOptions::default() }, stream);
        assert_eq!(passed, stream);
        (heard, tail)
    }

    #[test]
    fn a_whole_stream_needs_nothing() {
        let (heard, tail) = hear(&[TEXT, TEXT, STOP, USAGE, END].concat());
        assert_eq!(tail, "");
        assert!(heard.is_complete());
        assert_eq!(heard.usage.map(|usage| (usage.prompt(), usage.output)), Some((3, 2)));
        assert_eq!(heard.text.as_deref(), Some("aa"));
    }

    #[test]
    fn the_tier_is_the_last_one_told() {
        let told = |tier: &str| TEXT.replace("{\"choices\"", &format!("{{\"service_tier\":{tier},\"choices\""));
        let stream = [&told("\"auto\""), &told("\"flex\""), TEXT, &told("null"), &told("7"), STOP, END].concat();
        let (heard, _) = hear(&stream);
        assert_eq!((heard.tier.as_deref(), heard.malformed), (Some("flex"), 0));
        assert_eq!(hear(&[TEXT, STOP, END].concat()).0.tier, None);
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
        assert_eq!((heard.text.as_deref(), tail.as_str(), heard.is_complete()), (Some("a\nb"), "", true));
        assert_eq!(heard.countable, b"{\"content\":\"a\\n\"}\n{\"content\":\"b\"}\n");
        assert_eq!(heard.length, 4);
        assert!(!hear(&said("\"\"", "null")).0.has_content && hear(&said("\"a\"", "null")).0.has_content);
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
            assert!(!heard.is_complete());
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
        assert_eq!(heard.error.as_ref().map(Error::message), Some("overloaded"));
        assert!(!heard.is_complete());
        assert_eq!(tail, END);
    }

    #[test]
    fn a_malformed_event_is_counted_and_when_checking_dropped() {
        let stream = [TEXT, "data: {oops\n\n", STOP, END].concat();
        let (heard, tail) = hear(&stream);
        assert_eq!((heard.malformed, tail.as_str(), heard.is_complete()), (1, "", true));
        let (heard, passed, tail) = listen(CHECKED, &stream);
        assert_eq!((heard.malformed, passed, tail.as_str()), (1, [TEXT, STOP].concat(), END));
    }

    #[test]
    fn an_end_without_an_answer_is_an_error() {
        let role = TEXT.replace("\"content\":\"a\"", "\"role\":\"assistant\",\"content\":\"\"");
        for stream in [END.to_owned(), [USAGE, END].concat(), ["data: {oops\n\n", END].concat(), [&role, END].concat()]
        {
            for options in [TapOptions::default(), CHECKED] {
                let (heard, passed, tail) = listen(options, &stream);
                assert!(heard.is_empty() && !heard.is_complete() && !passed.contains("[DONE]"), "{passed}");
                assert!(tail.trim_start().starts_with("data: {\"error\"") && tail.ends_with(END), "{tail}");
            }
        }
        let (heard, tail) = hear(&["data: {\"error\":{\"message\":\"busy\"}}\n\n", END].concat());
        assert_eq!((heard.is_empty(), tail.as_str()), (false, ""));
        let spaced = [TEXT, STOP, "data: [DONE] \n\n"].concat();
        assert_eq!(hear(&spaced).1, "");
    }

    #[test]
    fn a_chunk_of_odd_types_is_one_all_the_same() {
        for index in ["null", "0.0", "\"0\"", "-1"] {
            let odd = |chunk: &str| chunk.replace("\"index\":0", &format!("\"index\":{index}"));
            let stream = [&odd(TEXT), &odd(STOP).replace("{\"choices", "{\"model\":7,\"choices"), END].concat();
            let (heard, passed, tail) = listen(CHECKED, &stream);
            assert_eq!((heard.malformed, heard.is_complete(), tail.as_str()), (0, true, END), "{index}");
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
            (heard.usage.map(|usage| (usage.prompt(), usage.output)), heard.partial_usage().is_some())
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
        assert_eq!(heard.usage.map(|usage| usage.prompt()), Some(3));
        let shown = TapOptions { hides_usage: false, ..CHECKED };
        assert_eq!(listen(shown, &[STOP, USAGE, END].concat()).1, [STOP, USAGE].concat());
    }
}
