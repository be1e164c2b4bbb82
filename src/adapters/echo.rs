//! Answers without an upstream: for the first run, for trying clients, for tests. Its tokens are words. It knows no wire format.

use crate::chat::simple::{Event, Request};
use crate::chat::{Finish, Usage};
use crate::config::{AdapterKind, Demo, Millis};

/// The adapter's row in the table.
pub const KIND: AdapterKind = AdapterKind { name: "echo", remote: false };

/// Marks each answer as a demonstration, where the wire format has a place for it.
pub const FINGERPRINT: &str = "llm-bridge-demo";

/// Characters of the question that are repeated at most.
const QUOTED: usize = 2_000;

/// A whole answer, piece by piece: the pause before each piece, and the piece. The last is always [`Event::End`].
pub fn answer(request: &Request, demo: &Demo) -> Vec<(Millis, Event)> {
    let words = words(request, demo);
    let limit = request.max_tokens.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let finish = if words.len() > limit { Finish::Length } else { Finish::Stop };
    let mut steps = Vec::with_capacity(words.len().min(limit) + 1);
    for (index, word) in words.iter().take(limit).enumerate() {
        let text = if index == 0 { word.clone() } else { format!(" {word}") };
        steps.push((if index == 0 { demo.first_delay } else { demo.delay }, Event::Text(text)));
    }
    let usage = Usage { fresh: count(request), output: steps.len() as u64, ..Usage::default() };
    steps.push((0, Event::End { finish, usage }));
    steps
}

fn words(request: &Request, demo: &Demo) -> Vec<String> {
    let question = request.messages.iter().rev().find(|message| message.role == "user");
    let question: String = question.map(|message| message.text.chars().take(QUOTED).collect()).unwrap_or_default();
    let text = format!("This is a demonstration by LLM Bridge; no model was asked. You said: {question}");
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if demo.words > 0 {
        let counting = (words.len() + 1..=demo.words).map(|number| number.to_string());
        words.extend(counting);
        words.truncate(demo.words);
    }
    words
}

fn count(request: &Request) -> u64 {
    request.messages.iter().map(|message| message.text.split_whitespace().count() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::simple::Message;

    fn ask(text: &str, max_tokens: Option<u64>) -> Request {
        Request { messages: vec![Message { role: "user".into(), text: text.into() }], max_tokens }
    }

    fn told(steps: &[(Millis, Event)]) -> (String, Finish, Usage) {
        let mut text = String::new();
        for (_, event) in steps {
            match event {
                Event::Text(piece) => text.push_str(piece),
                Event::End { finish, usage } => return (text, *finish, *usage),
            }
        }
        panic!("an answer without an end");
    }

    #[test]
    fn an_answer_repeats_the_question_and_counts_its_words() {
        let (text, finish, usage) = told(&answer(&ask("one  two", None), &Demo::default()));
        assert!(text.ends_with("You said: one  two"), "{text}");
        assert_eq!((finish, usage.fresh), (Finish::Stop, 2));
    }

    #[test]
    fn a_limit_cuts_and_says_so() {
        let (text, finish, usage) = told(&answer(&ask("hi", Some(3)), &Demo::default()));
        assert_eq!((text.as_str(), finish, usage.output), ("This is a", Finish::Length, 3));
        let (text, finish, _) = told(&answer(&ask("hi", Some(0)), &Demo::default()));
        assert_eq!((text.as_str(), finish), ("", Finish::Length));
    }

    #[test]
    fn a_row_may_ask_for_length_and_pauses() {
        let demo = Demo { first_delay: 5, delay: 2, words: 40 };
        let steps = answer(&ask("hi", None), &demo);
        assert_eq!(steps.len(), 41);
        assert_eq!(steps.iter().map(|(pause, _)| pause).sum::<u64>(), 5 + 39 * 2);
    }
}
