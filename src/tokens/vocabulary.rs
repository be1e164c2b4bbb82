//! The tokens of an encoding, and their ranks.

use super::encoding::Encoding;

/// The tokens of one encoding. Takes about 5 MB of memory.
pub struct Vocabulary {
    encoding: Encoding,
    /// For each token, in the order of the ranks, one byte of length and its bytes.
    packed: Vec<u8>,
    /// The start of each token in `packed`, by rank.
    starts: Vec<u32>,
    /// An open-addressing hash table, at most half full. A slot holds rank + 1 in its low bits and a few bits
    /// of the token's hash above them; 0 is empty.
    slots: Vec<u32>,
}

/// Bits of a slot that hold the rank.
const RANK_BITS: u32 = 18;
const RANK_MASK: u32 = (1 << RANK_BITS) - 1;

impl Vocabulary {
    /// Reads a packed vocabulary: for each token, in the order of the ranks, one byte of length and its bytes
    /// (written by `scripts/vocabularies`).
    ///
    /// `None` if it is damaged: a token is empty or occurs twice, the last one is cut, or a single byte is no
    /// token.
    pub fn read(encoding: Encoding, packed: Vec<u8>) -> Option<Self> {
        let mut starts = Vec::with_capacity(packed.len() / 6);
        let mut at = 0;
        while let Some(&length) = packed.get(at) {
            starts.push(u32::try_from(at).ok()?);
            at += 1 + usize::from(length);
        }
        let slots = starts.len().saturating_mul(2).next_power_of_two();
        if at != packed.len() || starts.len() >= RANK_MASK as usize {
            return None;
        }
        let mut vocabulary = Self { encoding, packed, starts, slots: vec![0; slots] };
        (0..u32::try_from(vocabulary.starts.len()).ok()?).try_for_each(|rank| vocabulary.insert(rank))?;
        (0..=u8::MAX).all(|byte| vocabulary.rank(&[byte]).is_some()).then_some(vocabulary)
    }

    /// The encoding.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The rank of the token with these bytes, if there is one.
    pub(super) fn rank(&self, bytes: &[u8]) -> Option<u32> {
        let (mut at, tag) = self.slot_of(bytes);
        loop {
            let slot = *self.slots.get(at)?;
            let rank = (slot & RANK_MASK).checked_sub(1)?;
            if slot >> RANK_BITS == tag && self.token(rank) == Some(bytes) {
                return Some(rank);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn insert(&mut self, rank: u32) -> Option<()> {
        let token = self.token(rank).filter(|token| !token.is_empty() && self.rank(token).is_none())?;
        let (mut at, tag) = self.slot_of(token);
        while *self.slots.get(at)? != 0 {
            at = (at + 1) & (self.slots.len() - 1);
        }
        *self.slots.get_mut(at)? = (tag << RANK_BITS) | (rank + 1);
        Some(())
    }

    fn token(&self, rank: u32) -> Option<&[u8]> {
        let start = *self.starts.get(rank as usize)? as usize;
        let length = usize::from(*self.packed.get(start)?);
        self.packed.get(start + 1..start + 1 + length)
    }

    /// The first slot where these bytes may be, and the bits of their hash that a slot holds.
    fn slot_of(&self, bytes: &[u8]) -> (usize, u32) {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut hash = bytes.len() as u64;
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
            hash = (hash.rotate_left(23) ^ word).wrapping_mul(MIX);
        }
        hash ^= hash >> 32;
        #[expect(clippy::cast_possible_truncation, reason = "the other bits of the hash are not needed")]
        let (at, tag) = (hash as usize & (self.slots.len() - 1), (hash >> (32 + RANK_BITS)) as u32);
        (at, tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(more: &[&[u8]]) -> Vec<u8> {
        let bytes = (0..=u8::MAX).flat_map(|byte| [1, byte]);
        bytes.chain(more.iter().flat_map(|token| [&[u8::try_from(token.len()).unwrap()], *token].concat())).collect()
    }

    #[test]
    fn tokens_are_found_by_their_bytes() {
        let vocabulary = Vocabulary::read(Encoding::O200k, packed(&[b"ab", b"abcdefghi"])).unwrap();
        assert_eq!(vocabulary.rank(b"a"), Some(97));
        assert_eq!((vocabulary.rank(b"ab"), vocabulary.rank(b"abcdefghi")), (Some(256), Some(257)));
        assert_eq!((vocabulary.rank(b"ba"), vocabulary.rank(b""), vocabulary.rank(&[0; 300])), (None, None, None));
    }

    #[test]
    fn a_damaged_vocabulary_is_refused() {
        let broken = |more: &[&[u8]], cut: usize| {
            let mut bytes = packed(more);
            bytes.truncate(bytes.len() - cut);
            Vocabulary::read(Encoding::Cl100k, bytes).is_none()
        };
        assert!(!broken(&[b"ab"], 0));
        assert!(broken(&[b"ab"], 1), "a broken end");
        assert!(broken(&[], 2), "a byte is missing");
        assert!(broken(&[b"ab", b"ab"], 0), "twice");
        assert!(broken(&[b""], 0), "empty");
        assert!(Vocabulary::read(Encoding::O200k, Vec::new()).is_none());
    }
}
