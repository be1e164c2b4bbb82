//! Taps a stream of chunks that passes to a client of the same format: reads usage, errors and the end
//! without decoding it to events. Passes on all bytes, or only well-formed events that the client asked for.

use std::borrow::Cow;
use std::ops::Range;

use super::call_numbers::CallNumbers;
use super::errors;
use super::repetition::Repetition;
use super::wire::{
    DeltaText, TappedChoice, TappedResponse, append_countable, delta_length, has_values, is_error, is_object,
    read_usage, served_fields,
};
use crate::formats::summary::{Completion, ResponseSummary};
use crate::formats::tap::{StreamTap, TapOptions};
use crate::formats::tier::ServedTier;
use crate::wire::json;
use crate::wire::sse::{self, Block, SseReader};

/// Taps a stream of chat completion chunks or legacy completions.
pub struct ChatTap {
    reader: SseReader,
    state: TapState,
    /// What the last event leaves to be compared with the next. Nothing has been read since.
    repetition: Option<Repetition>,
}

struct TapState {
    options: TapOptions,
    summary: ResponseSummary,
    served: ServedTier,
    calls: CallNumbers,
    /// What passes instead of the chunk that has been read last.
    edited: Option<Vec<u8>>,
    /// Where the delta of that chunk is, if chunks may follow that differ in its text alone.
    repeatable: Option<Range<usize>>,
}

impl ChatTap {
    /// Creates a tap on a stream that has not begun.
    pub fn new(options: TapOptions) -> Self {
        let reader = if options.checked { SseReader::keeping_raw() } else { SseReader::default() };
        let completion = Completion::FinishedOrEnded(options.choices);
        let summary = ResponseSummary { completion, ..ResponseSummary::default() }.keep_text(options.text);
        Self {
            reader,
            state: TapState {
                options,
                summary,
                served: ServedTier::default(),
                calls: CallNumbers::default(),
                edited: None,
                repeatable: None,
            },
            repetition: None,
        }
    }

    /// Reads the events at the beginning that repeat the last one. Returns their length in bytes.
    fn repeated(&mut self, bytes: &[u8]) -> usize {
        let Some(repetition) = &self.repetition else { return 0 };
        let mut rest = bytes;
        while let Some((event, delta)) = repetition.find(rest) {
            self.state.repeat(delta);
            rest = rest.get(event.len()..).unwrap_or_default();
        }
        bytes.len() - rest.len()
    }

    /// Reads an event, or a piece of one.
    fn read(&mut self, event: &[u8], passed: &mut Vec<u8>) {
        let (state, before, is_whole) = (&mut self.state, self.reader.oversized(), self.reader.is_at_start());
        let mut repetition = None;
        self.reader.push(event, &mut |block| {
            state.block(block, passed);
            repetition = state.repeatable.take().and_then(|delta| Repetition::of(event, block.data?, delta));
        });
        self.repetition = repetition.filter(|_| is_whole && self.reader.is_at_start());
        state.count_malformed(self.reader.oversized().saturating_sub(before));
    }
}

impl StreamTap for ChatTap {
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let had_ended = self.state.summary.has_ended;
        let (repeated, mut rest) = bytes.split_at(self.repeated(bytes));
        if !rest.is_empty() {
            let mut passed = if self.state.options.checked { repeated.to_vec() } else { Vec::new() };
            while !rest.is_empty() {
                let (event, after) = rest.split_at(sse::event_length(rest));
                self.read(event, &mut passed);
                let (repeated, after) = after.split_at(self.repeated(after));
                if self.state.options.checked {
                    passed.extend_from_slice(repeated);
                }
                rest = after;
            }
            if self.state.options.checked {
                return Cow::Owned(passed);
            }
        }
        // An end marker without a response is withheld: an error takes its place. Nothing passes after the first.
        let summary = &self.state.summary;
        match summary.has_ended {
            _ if had_ended || summary.is_empty() => Cow::Owned(Vec::new()),
            true => Cow::Borrowed(through_end(bytes)),
            false => Cow::Borrowed(bytes),
        }
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

    /// Reads a block, and appends it to `passed` if it may pass.
    fn block(&mut self, block: Block<'_>, passed: &mut Vec<u8>) {
        let summary = &mut self.summary;
        if block.oversized {
            // It passes unread, so it counts as content.
            (summary.has_content, summary.has_output) = (true, true);
            summary.content_after_usage |= summary.usage.is_some();
        }
        let passes = match block.data {
            data if summary.has_ended => {
                summary.runs_on |= data.is_some();
                false
            }
            Some(data) => self.event(data),
            None => true,
        };
        match self.edited.take() {
            Some(chunk) if passes => sse::write(&chunk, passed),
            None if passes => passed.extend_from_slice(block.raw),
            Some(_) | None => {}
        }
    }

    fn event(&mut self, data: &[u8]) -> bool {
        if data.trim_ascii() == b"[DONE]" {
            self.summary.has_ended = true;
            return false;
        }
        let chunk = serde_json::from_slice::<TappedResponse<'_>>(data).ok().filter(|_| is_object(data));
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

    /// Reads an error that is not named so. Clients know errors by that name, so they get it under that name.
    fn unnamed_error(&mut self, data: &[u8]) -> bool {
        let error = errors::read_in_success(data);
        self.edited = self.options.checked.then(|| errors::write(&error));
        self.summary.error.get_or_insert(error);
        true
    }

    /// Reads a chunk that differs from the last one in its text alone; `delta` is its delta.
    fn repeat(&mut self, delta: &[u8]) {
        let summary = &mut self.summary;
        summary.length = summary.length.saturating_add(delta_length(delta));
        append_countable(delta, &mut summary.countable);
        (summary.has_content, summary.has_output) = (true, true);
        summary.content_after_usage |= summary.usage.is_some();
    }

    /// Where the delta of a chunk is, if all that counts of the chunk is a choice, and of that its delta. A text for
    /// the log has to be parsed.
    fn delta_alone(&self, choices: &[TappedChoice<'_>], data: &[u8]) -> Option<Range<usize>> {
        let [choice] = choices else { return None };
        let is_more = choice.has_finished() || self.summary.error.is_some() || self.edited.is_some();
        let delta = choice.delta.filter(|_| !is_more && self.summary.text.is_none())?.get();
        let start = (delta.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        Some(start..start.saturating_add(delta.len()))
    }

    fn chunk(&mut self, chunk: TappedResponse<'_>, data: &[u8]) -> bool {
        let summary = &mut self.summary;
        if chunk.error.is_some() && summary.error.is_none() {
            summary.error = Some(errors::read_in_success(data));
        }
        let is_bare = chunk.choices.is_none() && chunk.usage.or(chunk.x_groq).or(chunk.error).is_none();
        if is_bare && errors::is_unnamed_error(data) {
            return self.unnamed_error(data);
        }
        let own = chunk.choices.iter().flat_map(|choices| choices.iter()).find_map(|choice| choice.usage);
        let usage = read_usage(chunk.usage.or(own), chunk.x_groq);
        summary.usage = usage.or(summary.usage);
        if summary.model.is_none() {
            summary.model = chunk.model();
        }
        if let Some(words) = served_fields(chunk.service_tier, chunk.usage)
            && self.served.take(&words).is_some()
        {
            summary.tier = self.served.word().map(str::to_owned);
        }
        let has_more = chunk.usage.or(chunk.x_groq).or(own).is_some();
        let choices = chunk.choices.unwrap_or_default();
        if self.options.checked {
            self.edited = self.calls.number(&choices, data);
        }
        if let Some(error) = choices.iter().find_map(|choice| choice.error)
            && summary.error.is_none()
        {
            summary.error = Some(errors::read_in_success(error.get().as_bytes()));
        }
        let only_usage = usage.is_some() && choices.is_empty() && chunk.error.is_none();
        choices.iter().for_each(|choice| add_choice(summary, choice));
        let has_content = |choice: &TappedChoice<'_>| choice.delta.is_some_and(|delta| has_values(delta.get()));
        let after_usage = summary.content_after_usage || summary.usage.is_some() && choices.iter().any(has_content);
        summary.content_after_usage = usage.is_none() && after_usage;
        let is_object = chunk.usage.is_some_and(|usage| usage.get().starts_with('{'));
        let keeps = self.options.withholds_usage && chunk.error.is_none() && is_object;
        if keeps {
            summary.withheld_usage = Some(data.to_vec());
        }
        self.repeatable = self.delta_alone(&choices, data).filter(|_| !has_more);
        !(only_usage && (self.options.hides_usage || keeps))
    }
}

/// A piece of a stream up to the first end marker that it holds. One that began in an earlier piece is not found.
fn through_end(piece: &[u8]) -> &[u8] {
    let is_end = |line: &[u8]| line.strip_prefix(b"data:").is_some_and(|value| value.trim_ascii() == b"[DONE]");
    let mut from = 0;
    for line in piece.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        from += line.len();
        if is_end(line) {
            let rest = piece.get(from..).unwrap_or_default();
            let blank = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            return piece.get(..from + blank).unwrap_or(piece);
        }
    }
    piece
}

fn add_choice(summary: &mut ResponseSummary, choice: &TappedChoice<'_>) {
    summary.length = summary.length.saturating_add(choice.length());
    choice.append_countable(&mut summary.countable);
    // A word that reports a failure ends nothing but the stream.
    let finished = choice.has_finished() && summary.error.is_none();
    let has_text = choice.legacy_text().is_some() || choice.delta.is_some_and(|delta| has_values(delta.get()));
    summary.has_content = summary.has_content || finished || has_text;
    summary.has_output |= has_text;
    summary.finish = choice.finish().or(summary.finish);
    summary.choice(choice.number(), finished);
    if let Some(delta) = choice.delta {
        summary.log_text(|| {
            let delta = serde_json::from_str::<DeltaText<'_>>(delta.get()).ok();
            delta.and_then(|delta| delta.content).unwrap_or_default()
        });
    }
    if let Some(text) = choice.legacy_text() {
        summary.log_text(|| json::text(text).unwrap_or_default());
    }
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
        TapOptions { text: false, checked: true, hides_usage: true, withholds_usage: false, choices: 1 };

    /// Returns the summary, the bytes that passed, and the bytes that were added at the end.
    fn pass(options: TapOptions, stream: &str) -> (ResponseSummary, String, String) {
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

    fn pass_all(stream: &str) -> (ResponseSummary, String) {
        let (summary, passed, tail) = pass(TapOptions { text: true, ..TapOptions::default() }, stream);
        assert_eq!(passed, stream);
        (summary, tail)
    }

    #[test]
    fn nothing_is_added_to_a_complete_stream() {
        let (summary, tail) = pass_all(&[TEXT, TEXT, STOP, USAGE, END].concat());
        assert_eq!(tail, "");
        assert!(summary.is_complete());
        assert_eq!(summary.usage.map(|usage| (usage.prompt(), usage.output)), Some((3, 2)));
        assert_eq!(summary.text.as_deref(), Some("aa"));
    }

    #[test]
    fn the_last_tier_that_was_reported_counts() {
        let reported = |tier: &str| TEXT.replace("{\"choices\"", &format!("{{\"service_tier\":{tier},\"choices\""));
        let stream =
            [&reported("\"auto\""), &reported("\"flex\""), TEXT, &reported("null"), &reported("7"), STOP, END].concat();
        let (summary, _) = pass_all(&stream);
        assert_eq!((summary.tier.as_deref(), summary.malformed), (Some("flex"), 0));
        assert_eq!(pass_all(&[TEXT, STOP, END].concat()).0.tier, None);
    }

    #[test]
    fn legacy_completions_are_read_as_well() {
        let chunk = |text: &str, reason: &str| {
            format!(
                "data: {{\"object\":\"text_completion\",\"choices\":[{{\"index\":0,\"text\":{text},\"finish_reason\":{reason}}}]}}\n\n"
            )
        };
        let (summary, tail) = pass_all(
            &[&chunk("\"\"", "null"), &chunk("\"a\\n\"", "null"), &chunk("\"b\"", "\"length\""), USAGE, END].concat(),
        );
        assert_eq!((summary.text.as_deref(), tail.as_str(), summary.is_complete()), (Some("a\nb"), "", true));
        assert_eq!(summary.countable, b"{\"content\":\"a\\n\"}\n{\"content\":\"b\"}\n");
        assert_eq!(summary.length, 4);
        assert!(!pass_all(&chunk("\"\"", "null")).0.has_content && pass_all(&chunk("\"a\"", "null")).0.has_content);
        assert!(pass_all(&chunk("\"a\"", "null")).1.contains("stream_truncated"));
    }

    #[test]
    fn a_finished_stream_without_done_gets_one() {
        assert_eq!(pass_all(&[TEXT, STOP].concat()).1, END);
        let unended = [TEXT, STOP.trim_end()].concat();
        assert_eq!(pass_all(&unended).1, format!("\n\n{END}"));
        assert_eq!(pass(CHECKED, &unended).2, [STOP, END].concat());
    }

    #[test]
    fn a_cut_stream_gets_an_error_and_done() {
        for cut in [TEXT.to_owned(), String::new(), [TEXT, "data: {\"cho"].concat()] {
            let (summary, tail) = pass_all(&cut);
            assert!(!summary.is_complete());
            assert!(tail.contains("\"code\":\"stream_truncated\"") && tail.ends_with(END), "{tail}");
        }
    }

    #[test]
    fn one_finished_choice_of_two_is_not_the_end() {
        let second = TEXT.replace("\"index\":0", "\"index\":1");
        assert!(pass_all(&[TEXT, &second, STOP].concat()).1.contains("stream_truncated"));
    }

    #[test]
    fn an_error_in_a_stream_outweighs_its_other_fields() {
        let (summary, tail) =
            pass_all("data: {\"choices\":[],\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n");
        assert_eq!(summary.error.as_ref().map(Error::message), Some("overloaded"));
        assert!(!summary.is_complete());
        assert_eq!(tail, END);
    }

    #[test]
    fn a_malformed_event_is_counted_and_dropped_if_checked() {
        let stream = [TEXT, "data: {oops\n\n", STOP, END].concat();
        let (summary, tail) = pass_all(&stream);
        assert_eq!((summary.malformed, tail.as_str(), summary.is_complete()), (1, "", true));
        let (summary, passed, tail) = pass(CHECKED, &stream);
        assert_eq!((summary.malformed, passed, tail.as_str()), (1, [TEXT, STOP].concat(), END));
    }

    #[test]
    fn an_end_without_a_response_is_an_error() {
        let role = TEXT.replace("\"content\":\"a\"", "\"role\":\"assistant\",\"content\":\"\"");
        for stream in [END.to_owned(), [USAGE, END].concat(), ["data: {oops\n\n", END].concat(), [&role, END].concat()]
        {
            for options in [TapOptions::default(), CHECKED] {
                let (summary, passed, tail) = pass(options, &stream);
                assert!(summary.is_empty() && !summary.is_complete() && !passed.contains("[DONE]"), "{passed}");
                assert!(tail.trim_start().starts_with("data: {\"error\"") && tail.ends_with(END), "{tail}");
            }
        }
        let (summary, tail) = pass_all(&["data: {\"error\":{\"message\":\"busy\"}}\n\n", END].concat());
        assert_eq!((summary.is_empty(), tail.as_str()), (false, ""));
        let spaced = [TEXT, STOP, "data: [DONE] \n\n"].concat();
        assert_eq!(pass_all(&spaced).1, "");
    }

    #[test]
    fn a_chunk_with_fields_of_odd_types_passes() {
        for index in ["null", "0.0", "\"0\"", "-1"] {
            let odd = |chunk: &str| chunk.replace("\"index\":0", &format!("\"index\":{index}"));
            let stream = [&odd(TEXT), &odd(STOP).replace("{\"choices", "{\"model\":7,\"choices"), END].concat();
            let (summary, passed, tail) = pass(CHECKED, &stream);
            assert_eq!((summary.malformed, summary.is_complete(), tail.as_str()), (0, true, END), "{index}");
            assert_eq!(passed + END, stream);
        }
    }

    #[test]
    fn a_checked_stream_numbers_calls() {
        let call = TEXT.replace("\"content\":\"a\"", "\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]");
        let numbered = call.replace("\"f\"}}", "\"f\"},\"index\":0}");
        assert_eq!(pass(CHECKED, &[&call, STOP, END].concat()).1, [&numbered, STOP].concat());
        assert_eq!(pass_all(&[&call, STOP, END].concat()).1, "");
    }

    #[test]
    fn nothing_passes_after_the_first_end_that_came_with_it_or_before() {
        let more = [": bye\n\n", END, "data: {\"cost\":1}\n\n"].concat();
        for end in [END, "data:[DONE] \r\n\r\n", "event: done\ndata: [DONE]\n\n"] {
            let whole = [TEXT, STOP, end].concat();
            assert_eq!(pass(TapOptions::default(), &[&whole, more.as_str()].concat()).1, whole);
            let mut tap = ChatTap::new(TapOptions::default());
            assert_eq!(tap.push(whole.as_bytes()), whole.as_bytes());
            assert!(tap.push(more.as_bytes()).is_empty());
        }
    }

    #[test]
    fn a_checked_stream_passes_no_partial_event_and_one_end() {
        let half = [": hi\n\n", TEXT, "data: {\"cho"].concat();
        let (_, passed, tail) = pass(CHECKED, &half);
        assert_eq!(passed, [": hi\n\n", TEXT].concat());
        assert!(tail.starts_with("data: {\"error\"") && tail.ends_with(END), "{tail}");
        let (_, passed, tail) = pass(CHECKED, &[TEXT, STOP, END, END, TEXT].concat());
        assert_eq!((passed, tail.as_str()), ([TEXT, STOP].concat(), END));
    }

    #[test]
    fn usage_may_come_on_any_chunk_and_the_last_report_wins() {
        let with = |chunk: &str, output: u64| {
            let usage = format!(",\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{output}}}}}\n");
            chunk.replace("}\n", &usage)
        };
        let reported = |stream: &[&str]| {
            let (summary, _) = pass_all(&stream.concat());
            (summary.usage.map(|usage| (usage.prompt(), usage.output)), summary.partial_usage().is_some())
        };
        assert_eq!(reported(&[TEXT, &with(STOP, 2), END]), (Some((3, 2)), false));
        assert_eq!(reported(&[&with(TEXT, 1), &with(TEXT, 2), STOP, END]), (Some((3, 2)), false));
        let empty = TEXT.replace("\"a\"", "\"\"");
        let null = STOP.replace("}\n", ",\"usage\":null}\n");
        assert_eq!(reported(&[TEXT, USAGE, &empty, &null, END]), (Some((3, 2)), false));
        assert_eq!(reported(&[&with(TEXT, 1), TEXT]), (Some((3, 1)), true));
        assert_eq!(reported(&[&with(TEXT, 1), TEXT, USAGE]), (Some((3, 2)), false));
        assert_eq!(reported(&[USAGE, TEXT, STOP, END]), (Some((3, 2)), false));
        assert_eq!(reported(&[TEXT, TEXT]), (None, false));
    }

    #[test]
    fn usage_that_the_client_did_not_ask_for_can_be_hidden() {
        let beside = TEXT.replace("]}\n", "],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n");
        let (summary, passed, _) = pass(CHECKED, &[&beside, STOP, USAGE, END].concat());
        assert_eq!(passed, [&beside, STOP].concat());
        assert_eq!(summary.usage.map(|usage| usage.prompt()), Some(3));
        let shown = TapOptions { hides_usage: false, ..CHECKED };
        assert_eq!(pass(shown, &[STOP, USAGE, END].concat()).1, [STOP, USAGE].concat());
    }

    /// All that is known of a stream that was read in pieces of this length, and what passed.
    fn in_pieces(options: TapOptions, stream: &str, length: usize) -> (String, Vec<u8>) {
        let mut tap = ChatTap::new(options);
        let mut passed = Vec::new();
        stream.as_bytes().chunks(length).for_each(|piece| passed.extend_from_slice(&tap.push(piece)));
        (format!("{:?}", tap.summary()), passed)
    }

    /// Streams in which some chunks repeat the last one but for its text.
    fn repetitive() -> [String; 5] {
        let call = TEXT.replace("\"content\":\"a\"", "\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\"}}]");
        let long = TEXT.replace("\"a\"", &format!("\"{}\"", "long ".repeat(5_000)));
        let usage = TEXT.replace("}\n", ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n");
        let text = |text: &str| TEXT.replace("\"a\"", &format!("\"{text}\""));
        [
            [
                TEXT,
                &text("b"),
                &text("\\n"),
                &text(""),
                &text("\\u00e9"),
                &text("\u{1f30a}"),
                TEXT,
                TEXT,
                STOP,
                USAGE,
                END,
            ]
            .concat(),
            [TEXT, &usage, TEXT, TEXT, &long, TEXT, &long, TEXT, STOP, END, TEXT].concat(),
            [
                TEXT,
                ": hi\n\n",
                TEXT,
                "data: {oops\n\n",
                TEXT,
                TEXT,
                "data: {\"error\":{\"message\":\"m\"}}\n\n",
                TEXT,
                TEXT,
            ]
            .concat(),
            [TEXT, TEXT, &call, TEXT, &call, TEXT, TEXT, &STOP.replace("stop", "length"), TEXT, TEXT, END].concat(),
            [TEXT, &TEXT.replace(":0", ":1"), TEXT, TEXT, STOP, END].concat().replace('\n', "\r\n"),
        ]
    }

    #[test]
    fn chunks_that_repeat_the_last_one_are_read_as_if_they_were_parsed() {
        let options = [TapOptions::default(), TapOptions { text: true, ..TapOptions::default() }, CHECKED];
        for (number, stream) in repetitive().iter().enumerate() {
            for options in options {
                // Byte by byte, no event is whole, so each is parsed.
                let (parsed, passed) = in_pieces(options, stream, 1);
                for length in [7, 83, 200, 1_000, 1 << 20] {
                    let (summary, whole) = in_pieces(options, stream, length);
                    assert_eq!(summary, parsed, "{number}, {length}");
                    assert!(!options.checked || whole == passed, "{number}, {length}");
                }
            }
        }
    }
}
