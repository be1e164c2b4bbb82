//! Which encoding counts a model's tokens, and what can be said without counting. It knows no messages.

use crate::tokens::Encoding;

/// The encoding for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingChoice {
    /// What counts.
    pub encoding: Encoding,
    /// Whether it is the model's own; else it is the nearest one, and the count an estimate.
    pub exact: bool,
}

/// Models by the beginnings of their names: whose encoding is known, then whose is near.
const PREFIXES: &[(&str, Encoding, bool)] = &[
    ("gpt-4o", Encoding::O200k, true),
    ("gpt-4.1", Encoding::O200k, true),
    ("gpt-4.5-", Encoding::O200k, true),
    ("gpt-5", Encoding::O200k, true),
    ("chatgpt-4o-", Encoding::O200k, true),
    ("codex-mini", Encoding::O200k, true),
    ("o1-", Encoding::O200k, true),
    ("o3-", Encoding::O200k, true),
    ("o4-mini", Encoding::O200k, true),
    ("gpt-4-", Encoding::Cl100k, true),
    ("gpt-3.5", Encoding::Cl100k, true),
    ("gpt-35-turbo", Encoding::Cl100k, true),
    ("davinci-002", Encoding::Cl100k, true),
    ("babbage-002", Encoding::Cl100k, true),
    ("text-embedding-ada-002", Encoding::Cl100k, true),
    ("text-embedding-3-", Encoding::Cl100k, true),
    // Their vocabularies began as cl100k's.
    ("llama-3", Encoding::Cl100k, false),
    ("qwen", Encoding::Cl100k, false),
];

/// Models whose name has no end of its own.
const EXACT_NAMES: &[(&str, Encoding)] =
    &[("o1", Encoding::O200k), ("o3", Encoding::O200k), ("gpt-4", Encoding::Cl100k)];

/// The encoding of a model, by the name that its provider has for it. A maker's name before a `/` does not matter, nor does
/// a tuned model's `ft:`.
pub fn choose(model: &str) -> EncodingChoice {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let name = name.strip_prefix("ft:").map_or(name.as_str(), |tuned| tuned.split(':').next().unwrap_or(tuned));
    if let Some((_, encoding)) = EXACT_NAMES.iter().find(|(whole, _)| *whole == name) {
        return EncodingChoice { encoding: *encoding, exact: true };
    }
    let row = PREFIXES.iter().find(|(start, ..)| name.starts_with(start));
    row.map_or(EncodingChoice { encoding: Encoding::O200k, exact: false }, |(_, encoding, exact)| EncodingChoice {
        encoding: *encoding,
        exact: *exact,
    })
}

/// Tokens of a text of so many bytes, at a guess, without a vocabulary: a token has four bytes or so, in English as in Chinese.
pub fn estimate_from_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

    use super::*;

    #[test]
    fn known_models_have_the_encoding_that_the_oracle_says() {
        let names = [
            "o1",
            "o1-mini",
            "o3",
            "o3-mini",
            "o3-pro",
            "o4-mini",
            "gpt-5",
            "gpt-5-mini",
            "gpt-5.2",
            "gpt-4.1-nano",
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-4o-2024-05-13",
            "chatgpt-4o-latest",
            "codex-mini-latest",
            "gpt-4",
            "gpt-4-0613",
            "gpt-4-turbo",
            "gpt-3.5-turbo",
            "gpt-3.5-turbo-0125",
            "gpt-35-turbo",
            "davinci-002",
            "babbage-002",
            "text-embedding-3-small",
            "text-embedding-ada-002",
            "ft:gpt-4o:org:name:id",
            "ft:gpt-3.5-turbo:org",
        ];
        for name in names {
            let oracle = match get_tokenizer(name) {
                Some(Tokenizer::O200kBase) => Encoding::O200k,
                Some(Tokenizer::Cl100kBase) => Encoding::Cl100k,
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(choose(name), EncodingChoice { encoding: oracle, exact: true }, "{name}");
            assert_eq!(choose(&format!("maker/{}", name.to_uppercase())).encoding, oracle, "{name}");
        }
    }

    #[test]
    fn other_models_have_the_nearest() {
        for name in ["", "some-model", "gpt-6", "o4", "gpt-oss-120b", "a/b/c"] {
            assert_eq!(choose(name), EncodingChoice { encoding: Encoding::O200k, exact: false }, "{name}");
        }
        for name in ["Llama-3.3-70b", "qwen/qwen3-32b"] {
            assert_eq!(choose(name), EncodingChoice { encoding: Encoding::Cl100k, exact: false }, "{name}");
        }
    }
}
