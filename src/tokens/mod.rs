//! Tokens of a text, counted as byte-pair encodings do. It knows no model and no message, and not where a vocabulary is kept.

mod counter;
mod cut;
mod encoding;
mod merge;
mod vocabulary;

pub use counter::{Counter, MAX_PIECE};
pub use encoding::Encoding;
pub use vocabulary::Vocabulary;
