//! How many tokens a piece of text becomes: neighbours are merged, the pair of lowest rank first. It does not know where pieces come from.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::vocabulary::Vocabulary;

/// What merging needs, kept from piece to piece.
#[derive(Default)]
pub(super) struct Merger {
    /// By the byte at which a part begins. At first each byte is a part.
    parts: Vec<Part>,
    /// Pairs of neighbours: their rank, and where the first begins. Those that no longer are neighbours are left in it.
    pairs: BinaryHeap<Reverse<(u32, usize)>>,
}

struct Part {
    /// Where the part before begins.
    before: usize,
    /// Where this one ends.
    end: usize,
    /// The rank of this and the next one together, if that is a token.
    pair: Option<u32>,
}

impl Merger {
    /// The number of tokens.
    pub(super) fn count(&mut self, vocabulary: &Vocabulary, piece: &[u8]) -> u64 {
        if piece.len() < 2 || vocabulary.rank(piece).is_some() {
            return u64::from(!piece.is_empty());
        }
        self.parts.clear();
        self.pairs.clear();
        self.parts.extend((0..piece.len()).map(|at| Part { before: at.wrapping_sub(1), end: at + 1, pair: None }));
        (0..piece.len()).for_each(|at| self.find_pair(vocabulary, piece, at));
        let mut left = piece.len() as u64;
        while let Some(Reverse((rank, start))) = self.pairs.pop() {
            let Some(part) = self.parts.get(start).filter(|part| part.pair == Some(rank)) else { continue };
            let (before, second) = (part.before, part.end);
            left -= 1;
            self.merge(start, second);
            self.find_pair(vocabulary, piece, start);
            self.find_pair(vocabulary, piece, before);
        }
        left
    }

    /// Makes one of two neighbours.
    fn merge(&mut self, first: usize, second: usize) {
        let Some(gone) = self.parts.get_mut(second) else { return };
        gone.pair = None;
        let end = gone.end;
        if let Some(part) = self.parts.get_mut(first) {
            part.end = end;
        }
        if let Some(next) = self.parts.get_mut(end) {
            next.before = first;
        }
    }

    /// Looks up what a part and its right neighbour would be together.
    fn find_pair(&mut self, vocabulary: &Vocabulary, piece: &[u8], start: usize) {
        let Some(second) = self.parts.get(start).map(|part| part.end) else { return };
        let end = self.parts.get(second).map(|next| next.end);
        let pair = end.and_then(|end| vocabulary.rank(piece.get(start..end)?));
        if let Some(part) = self.parts.get_mut(start) {
            part.pair = pair;
        }
        self.pairs.extend(pair.map(|rank| Reverse((rank, start))));
    }
}
