//! Tokens of a text, counted as byte-pair encodings do. It knows no model and no message, and not where a vocabulary is kept.

mod cut;
mod merge;
mod vocabulary;

pub use vocabulary::Vocabulary;

use merge::Merger;

/// A way to make tokens of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 199,998 tokens; the present one.
    O200k,
    /// 100,256 tokens; that of 2023.
    Cl100k,
}

impl Encoding {
    /// Every encoding there is.
    pub const ALL: &'static [Self] = &[Self::O200k, Self::Cl100k];

    /// Its name in the world.
    pub fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
        }
    }

    /// Its place in a list of them all.
    pub fn index(self) -> usize {
        match self {
            Self::O200k => 0,
            Self::Cl100k => 1,
        }
    }
}

/// The longest piece, in bytes, that is merged as one. A longer run without a break (16 KiB of one word, or of spaces) is cut
/// here, which may add a token: nobody can make the gateway hold or merge more.
pub const PIECE: usize = 16_384;

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
            let window = self.rest.get(..self.rest.floor_char_boundary(PIECE)).unwrap_or(self.rest);
            let end = cut::piece(self.vocabulary.encoding(), window);
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
