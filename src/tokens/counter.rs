//! Counts the tokens of a text, in steps.

use super::cut;
use super::merge::Merger;
use super::vocabulary::Vocabulary;

/// The longest piece, in bytes, that is merged as one. A longer run without a break (16 KiB of one word, or of spaces) is cut
/// here, which may add a token: nobody can make the gateway hold or merge more.
pub const MAX_PIECE: usize = 16_384;

/// A count under way, which can rest between two steps.
pub struct Counter<'v, 't> {
    vocabulary: &'v Vocabulary,
    rest: &'t str,
    merger: Merger,
    tokens: u64,
}

impl<'v, 't> Counter<'v, 't> {
    /// Nothing is counted yet.
    pub fn new(vocabulary: &'v Vocabulary, text: &'t str) -> Self {
        Self { vocabulary, rest: text, merger: Merger::default(), tokens: 0 }
    }

    /// Counts on through so many bytes, and at most one piece more; false once all is counted.
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

    /// The tokens so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }
}

impl Vocabulary {
    /// The tokens of a text. What looks like a special token is text like any other.
    pub fn count(&self, text: &str) -> u64 {
        let mut counter = Counter::new(self, text);
        counter.step(text.len());
        counter.tokens()
    }
}
