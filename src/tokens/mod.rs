//! Counts the tokens of a text by byte-pair encoding.

mod counter;
mod cut;
mod encoding;
mod merge;
mod vocabulary;

pub use counter::{Counter, MAX_PIECE};
pub use encoding::Encoding;
pub use vocabulary::Vocabulary;
