//! Counts the tokens of one piece: neighbouring parts are merged, the pair of lowest rank first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::vocabulary::Vocabulary;

/// The buffers of a merge, reused from piece to piece.
#[derive(Default)]
pub(super) struct Merger {
    /// The parts by their first byte. At the start each byte is a part.
    parts: Vec<Part>,
    /// Pairs of neighbours: their rank, and the start of the first part. Outdated pairs stay in it and are
    /// skipped.
    pairs: BinaryHeap<Reverse<(u32, usize)>>,
}

struct Part {
    /// The start of the previous part.
    before: usize,
    /// The end of this part, which is the start of the next.
    end: usize,
    /// The rank of this and the next part together, if they form a token.
    pair: Option<u32>,
}

impl Merger {
    /// The number of tokens of a piece.
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

    /// Merges two neighbours into one part.
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

    /// Looks up the token of a part and its right neighbour together.
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
