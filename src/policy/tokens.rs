//! Chooses the encoding that counts a model's tokens.

use crate::catalogue;
use crate::catalogue::field::Field;
use crate::tokens::Encoding;

/// The encoding for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingChoice {
    /// The encoding.
    pub encoding: Encoding,
    /// Whether the model uses this encoding. If not, it is the most similar one, and the count an estimate.
    pub exact: bool,
}

/// The encoding for a model, by the name that its provider uses.
pub fn choose(model: &str) -> EncodingChoice {
    let facts = catalogue::family(model);
    let encoding = |field: Field| facts.word(field).and_then(named);
    match encoding(Field::Encoding) {
        Some(encoding) => EncodingChoice { encoding, exact: true },
        None => EncodingChoice { encoding: encoding(Field::NearEncoding).unwrap_or(Encoding::O200k), exact: false },
    }
}

/// The encoding of this name in the catalogue.
fn named(word: &str) -> Option<Encoding> {
    match word {
        "o200k" => Some(Encoding::O200k),
        "cl100k" => Some(Encoding::Cl100k),
        _ => None,
    }
}

/// Estimates the tokens of a text from its length: a token has about four bytes, in English and in Chinese.
pub fn estimate_from_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

    use super::*;

    #[test]
    fn known_models_have_the_same_encoding_as_in_tiktoken() {
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
    fn other_models_have_the_most_similar_encoding() {
        for name in ["", "some-model", "gpt-6", "o4", "gpt-oss-120b", "a/b/c"] {
            assert_eq!(choose(name), EncodingChoice { encoding: Encoding::O200k, exact: false }, "{name}");
        }
        for name in ["Llama-3.3-70b", "qwen/qwen3-32b"] {
            assert_eq!(choose(name), EncodingChoice { encoding: Encoding::Cl100k, exact: false }, "{name}");
        }
    }
}
