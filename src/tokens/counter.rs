//! Counts the tokens of a text in steps, so that a long text does not block other work.

use super::cut;
use super::merge::Merger;
use super::vocabulary::Vocabulary;

/// The longest piece that is merged as one, in bytes. A longer run without a break (one word, or spaces) is
/// cut here, which may add a token. It bounds the memory and time that one piece can take.
pub const MAX_PIECE: usize = 16_384;

/// A count that can pause between two steps.
pub struct Counter<'v, 't> {
    vocabulary: &'v Vocabulary,
    rest: &'t str,
    merger: Merger,
    tokens: u64,
}

impl<'v, 't> Counter<'v, 't> {
    /// Prepares a count.
    pub fn new(vocabulary: &'v Vocabulary, text: &'t str) -> Self {
        Self { vocabulary, rest: text, merger: Merger::default(), tokens: 0 }
    }

    /// Counts the next `bytes` bytes, and at most one piece more. Returns false once the whole text is
    /// counted.
    pub fn step(&mut self, bytes: usize) -> bool {
        let goal = self.rest.len().saturating_sub(bytes);
        while self.rest.len() > goal {
            let window = self.rest.get(..self.rest.floor_char_boundary(MAX_PIECE)).unwrap_or(self.rest);
            let end = cut::first_piece_end(self.vocabulary.encoding(), window);
            let (piece, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
            self.tokens += self.merger.count(self.vocabulary, piece.as_bytes());
            self.rest = rest;
        }
        !self.rest.is_empty()
    }

    /// The number of tokens so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }
}

impl Vocabulary {
    /// Counts the tokens of a text. The text of a special token, such as `<|endoftext|>`, is ordinary text.
    pub fn count(&self, text: &str) -> u64 {
        let mut counter = Counter::new(self, text);
        counter.step(text.len());
        counter.tokens()
    }
}
