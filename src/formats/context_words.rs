//! The words by which clients recognise that a conversation is too long for its model, and shorten it.

use std::borrow::Cow;

use crate::error::Error;

/// The code of such an error, whatever the provider calls it.
pub const CONTEXT_EXCEEDED: &str = "context_length_exceeded";

/// The tokens that the request would take, and those that the model takes.
#[derive(Clone, Copy)]
pub(super) struct ContextTokens {
    pub(super) requested: u64,
    pub(super) allowed: u64,
}

/// The message of an error for clients that look for `known` in it. If the conversation is too long and the message
/// does not say so in these words, `sentence` is put before it. It gets the tokens, if the message has them.
pub(super) fn message<'e>(
    error: &'e Error,
    known: &[&str],
    sentence: impl FnOnce(Option<ContextTokens>) -> String,
) -> Cow<'e, str> {
    let own = error.message();
    let lower = own.to_ascii_lowercase();
    if error.code() != Some(CONTEXT_EXCEEDED) || known.iter().any(|known| lower.contains(known)) {
        return Cow::Borrowed(own);
    }
    Cow::Owned([&sentence(tokens(own)), " ", own].concat())
}

/// The tokens in a message: the first two different numbers that can be counts of tokens. The larger was asked for.
fn tokens(text: &str) -> Option<ContextTokens> {
    let mut numbers = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, ',' | '-' | '_'))).filter_map(number);
    let first = numbers.next()?;
    let second = numbers.find(|number| *number != first)?;
    Some(ContextTokens { requested: first.max(second), allowed: first.min(second) })
}

/// A count, which may have commas. Names of models hold numbers as well, but not by themselves.
fn number(word: &str) -> Option<u64> {
    let digits: String = word.trim_matches(',').chars().filter(|c| *c != ',').collect();
    let is_count = (3..=12).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_count { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: &str, own: &str) -> String {
        let error = Error::upstream(400, "upstream_error", own).worded(None, Some(code.to_owned()), None);
        let sentence = |tokens: Option<ContextTokens>| match tokens {
            Some(ContextTokens { requested, allowed }) => format!("{requested} > {allowed}."),
            None => "long.".to_owned(),
        };
        message(&error, &["prompt is too long"], sentence).into_owned()
    }

    #[test]
    fn numbers_of_all_hosts_are_found() {
        for (own, numbers) in [
            (
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 150321 tokens.",
                "150321 > 128000.",
            ),
            (
                "Maximum context length is 32768 tokens. However, you requested 40000 tokens (39000 in the messages).",
                "40000 > 32768.",
            ),
            (
                "The input token count (1,200,000) exceeds the maximum number of tokens allowed (1,048,576).",
                "1200000 > 1048576.",
            ),
            ("gpt-4-32768 and qwen3-30b-2507: the request exceeds the available context size", "long."),
            ("Requested token count exceeds the model's maximum context length of 131072 tokens.", "long."),
            ("", "long."),
        ] {
            assert_eq!(told(CONTEXT_EXCEEDED, own), format!("{numbers} {own}"));
        }
    }

    #[test]
    fn other_errors_and_known_words_stay() {
        assert_eq!(told("invalid_value", "150000 tokens, 128000 allowed"), "150000 tokens, 128000 allowed");
        assert_eq!(told(CONTEXT_EXCEEDED, "Prompt is too long: 9 > 8"), "Prompt is too long: 9 > 8");
    }
}
