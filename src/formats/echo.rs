//! The echo provider: responses without an upstream, for first runs, trying clients, and tests. Its tokens
//! are words.

use crate::canonical::{FinishReason, ModelRequest, Part, Raw, ResponseEvent, Role, Turn, Usage};
use crate::config::{EchoOptions, FormatKind, Millis};

/// The format's row in the table of formats.
pub const KIND: FormatKind =
    FormatKind { name: "echo", remote: false, root: "", root_after_path: false, endpoint: "", protected_fields: &[] };

/// The system fingerprint that marks a response as a demonstration, where the client's format has one.
pub const FINGERPRINT: &str = "llm-bridge-demo";

/// The most characters of the question that are repeated.
const QUOTED: usize = 2_000;

/// The events of a whole response, each with the pause before it. The last three are its finish reason, its
/// usage and its end.
pub fn respond(request: &ModelRequest<'_>, demo: &EchoOptions) -> Vec<(Millis, ResponseEvent<'static>)> {
    let words = words(request, demo);
    let limit = request.max_tokens.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let reason = if words.len() > limit { FinishReason::Length } else { FinishReason::Stop };
    let emitted = words.len().min(limit);
    let mut events = Vec::with_capacity(emitted + 4);
    events.push((0, ResponseEvent::Start { id: None, model: None }));
    for (index, word) in words.iter().take(limit).enumerate() {
        let text = if index == 0 { Raw::quoted(word) } else { Raw::quoted(&format!(" {word}")) };
        events.push((if index == 0 { demo.first_delay } else { demo.delay }, ResponseEvent::Text { choice: 0, text }));
    }
    let usage = Usage { uncached_input: count(request), output: emitted as u64, ..Usage::default() };
    events.extend(
        [ResponseEvent::Finish { choice: 0, reason }, ResponseEvent::Usage(usage), ResponseEvent::End]
            .map(|event| (0, event)),
    );
    events
}

fn words(request: &ModelRequest<'_>, demo: &EchoOptions) -> Vec<String> {
    let is_result = |part: &Part<'_>| matches!(part, Part::Result { .. });
    let asks = |turn: &&Turn<'_>| turn.role == Role::User && !turn.parts.iter().any(is_result);
    let question = request.turns.iter().rev().find(asks);
    let question: String = question.map(|turn| text(&turn.parts).chars().take(QUOTED).collect()).unwrap_or_default();
    let text = format!("This is a demonstration by LLM Bridge; no model was asked. You said: {question}");
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if demo.words > 0 {
        let counting = (words.len() + 1..=demo.words).map(|number| number.to_string());
        words.extend(counting);
        words.truncate(demo.words);
    }
    words
}

fn count(request: &ModelRequest<'_>) -> u64 {
    request.turns.iter().map(|turn| text(&turn.parts).split_whitespace().count() as u64).sum()
}

/// All texts, with spaces between them.
fn text(parts: &[Part<'_>]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => text.text().map(std::borrow::Cow::into_owned),
        Part::Result { parts, .. } => Some(text(parts)),
        Part::Media(_) | Part::Call(_) | Part::Thinking { .. } | Part::Redacted(_) => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str, max_tokens: Option<u64>) -> ModelRequest<'static> {
        let parts = vec![Part::Text { text: Raw::quoted(text), cache: None }];
        ModelRequest { turns: vec![Turn { role: Role::User, parts }], max_tokens, ..ModelRequest::default() }
    }

    fn summarize(events: &[(Millis, ResponseEvent<'_>)]) -> (String, FinishReason, Usage) {
        let (mut text, mut reason) = (String::new(), None);
        for (_, event) in events {
            match event {
                ResponseEvent::Text { text: piece, .. } => text.push_str(&piece.text().unwrap()),
                ResponseEvent::Finish { reason: finish, .. } => reason = Some(*finish),
                ResponseEvent::Usage(usage) => return (text, reason.unwrap(), *usage),
                _ => {}
            }
        }
        panic!("a response without an end");
    }

    #[test]
    fn a_response_repeats_the_question_and_counts_its_words() {
        let (text, finish, usage) = summarize(&respond(&ask("one  two", None), &EchoOptions::default()));
        assert!(text.ends_with("You said: one  two"), "{text}");
        assert_eq!((finish, usage.uncached_input), (FinishReason::Stop, 2));
    }

    #[test]
    fn a_limit_cuts_and_says_so() {
        let (text, finish, usage) = summarize(&respond(&ask("hi", Some(3)), &EchoOptions::default()));
        assert_eq!((text.as_str(), finish, usage.output), ("This is a", FinishReason::Length, 3));
        let (text, finish, _) = summarize(&respond(&ask("hi", Some(0)), &EchoOptions::default()));
        assert_eq!((text.as_str(), finish), ("", FinishReason::Length));
    }

    #[test]
    fn a_row_may_ask_for_length_and_pauses() {
        let demo = EchoOptions { first_delay: 5, delay: 2, words: 40 };
        let events = respond(&ask("hi", None), &demo);
        assert_eq!(events.len(), 1 + 40 + 3);
        assert_eq!(events.iter().map(|(pause, _)| pause).sum::<u64>(), 5 + 39 * 2);
    }
}
