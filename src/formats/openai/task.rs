//! What OpenAI's format can be asked for: a row for each endpoint that a model answers. It knows no other format.
//! Source: the OpenAI API reference, "Chat", "Embeddings", "Completions" (legacy).

use super::inbound::{missing, wrong_type};
use super::outbound::{self, WholeSummary};
use super::tally::each;
use crate::error::Result;
use crate::wire::json::Document;

/// Something that can be asked for.
#[derive(Debug)]
pub struct Operation {
    /// What comes of it, in words for people.
    pub name: &'static str,
    /// The path of the endpoint below the API's root.
    pub path: &'static str,
    /// The field that holds the question.
    pub field: &'static str,
    /// Whether it may be asked without one.
    pub optional: bool,
    /// Whether one text is as good as a list.
    pub plain: bool,
    /// Whether the answer is told in tokens, and can be streamed; if not, it takes none.
    pub tells: bool,
    /// Fields that the gateway reads or sets; twice the same would mean different things to different readers.
    pub reads: &'static [&'static str],
    /// Reads a whole answer that came with a status of success.
    ///
    /// # Errors
    /// 502 if it is no such answer, or an error in spite of its status.
    pub reply: fn(&[u8]) -> Result<WholeSummary>,
}

impl PartialEq for Operation {
    /// No two rows have one path.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Operation {}

/// A chat.
pub static CHAT: Operation = Operation {
    name: "chats",
    path: outbound::ENDPOINT,
    field: "messages",
    optional: false,
    plain: false,
    tells: true,
    reads: &[
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "tools",
        "service_tier",
        "speed",
        "inference_geo",
    ],
    reply: outbound::reply,
};

/// What follows a text, as it was asked for before there were chats.
pub static COMPLETION: Operation = Operation {
    name: "legacy completions",
    path: "/completions",
    field: "prompt",
    optional: true,
    plain: true,
    tells: true,
    reads: &["model", "prompt", "stream", "stream_options", "max_tokens", "n", "best_of", "echo", "service_tier"],
    reply: outbound::reply,
};

/// Texts as vectors.
pub static EMBEDDING: Operation = Operation {
    name: "embeddings",
    path: "/embeddings",
    field: "input",
    optional: false,
    plain: true,
    tells: false,
    reads: &["model", "input", "encoding_format", "dimensions"],
    reply: outbound::vectors,
};

impl Operation {
    /// Whether a limit of 0 asks for no answer: only so are the odds of a text's own tokens told.
    pub fn is_silent(&self, document: &Document<'_>) -> bool {
        *self == COMPLETION && document.value("echo") == Some("true")
    }

    /// How many questions are asked at once: a list of texts or of lists of tokens is as many, a list of tokens is one.
    ///
    /// # Errors
    /// 400 if there is no question, or it is of the wrong type.
    pub(super) fn questions(&self, document: &Document<'_>) -> Result<u64> {
        let raw = match document.value(self.field).filter(|raw| *raw != "null") {
            Some(raw) => raw,
            None if self.optional => return Ok(1),
            None => return Err(missing(self.field)),
        };
        match (raw.as_bytes().first(), self.plain) {
            (Some(b'['), false) | (Some(b'"'), true) => Ok(1),
            (Some(b'['), true) => {
                let mut several = 0;
                let _ = each(raw, |item| {
                    several += u64::from(item.starts_with(['"', '[']));
                    Some(())
                });
                Ok(several.max(1))
            }
            (_, plain) => Err(wrong_type(self.field, if plain { "a string or an array" } else { "an array" })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_asked_for_by_an_echo_alone() {
        let silent = |task: &Operation, body: &str| task.is_silent(&Document::read(body.as_bytes()).unwrap());
        assert!(silent(&COMPLETION, r#"{"max_tokens":0,"echo":true}"#));
        assert!(!silent(&COMPLETION, r#"{"max_tokens":0}"#) && !silent(&COMPLETION, r#"{"echo":"true"}"#));
        assert!(!silent(&CHAT, r#"{"max_tokens":0,"echo":true}"#));
    }

    #[test]
    fn questions_are_told_from_tokens() {
        let count = |task: &Operation, value: &str| {
            let body = format!(r#"{{"{}":{value}}}"#, task.field);
            task.questions(&Document::read(body.as_bytes()).unwrap()).map_err(|error| error.code().unwrap().to_owned())
        };
        for (value, questions) in
            [("\"a\"", 1), (r#"["a","b","c"]"#, 3), ("[1,2,3]", 1), ("[[1,2],[3]]", 2), ("[]", 1), ("[\"a\"]", 1)]
        {
            assert_eq!(
                (count(&EMBEDDING, value), count(&COMPLETION, value)),
                (Ok(questions), Ok(questions)),
                "{value}"
            );
        }
        assert_eq!(count(&CHAT, "[{},{}]"), Ok(1));
        assert_eq!(
            (count(&COMPLETION, "null"), count(&EMBEDDING, "null")),
            (Ok(1), Err("missing_required_parameter".into()))
        );
        for value in ["7", "{}", "true"] {
            assert_eq!(count(&EMBEDDING, value), Err("invalid_type".into()), "{value}");
        }
        assert_eq!(count(&CHAT, "\"a\""), Err("invalid_type".into()));
    }
}
