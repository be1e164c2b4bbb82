//! Weighted rendezvous hashing: the order in which a conversation prefers several nodes (targets, or keys of
//! a provider). Every isolate computes the same order, without shared counters.
//!
//! Each node gets a score from a hash of its id and the conversation; the best score comes first. With the
//! hash as a number `u` between 0 and 1, the score is `-ln(u) / weight`, the least being the best: so a node
//! is first for a share of conversations that is proportional to its weight, and the second choice is
//! distributed in the same way over the rest. If a node is removed, only the conversations move that
//! preferred it.
//!
//! All arithmetic is in integers, so that machines agree.

use sha2::{Digest, Sha256};

use std::cmp::Ordering;

/// What identifies a conversation, as a hash: requests with the same key prefer the same target and key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConversationKey(u64);

/// What identifies a node, as a hash. It must not depend on the node's place in a list, so that a change of
/// the list moves few conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeId(u64);

/// A node among which a conversation chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its share, in relation to the others. A node of weight 0 comes after all others.
    pub weight: u32,
}

impl ConversationKey {
    /// The key of a conversation with these parts, such as the caller's account and the first message. The
    /// borders between parts count.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(hash(b"conversation", parts))
    }

    /// The key of a request that belongs to no known conversation, from random bits.
    pub fn random(bits: u64) -> Self {
        Self(bits)
    }
}

impl NodeId {
    /// The id of a node with this name, such as a provider's name and a model's.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(hash(b"node", parts))
    }
}

/// The indexes of `nodes` in the order in which the conversation prefers them.
pub fn order(conversation: ConversationKey, nodes: &[Node]) -> Vec<usize> {
    let mut scores: Vec<(usize, Score)> =
        nodes.iter().enumerate().map(|(index, node)| (index, Score::of(conversation, *node))).collect();
    scores.sort_by(|(left_index, left), (right_index, right)| left.compare(right).then(left_index.cmp(right_index)));
    scores.into_iter().map(|(index, _)| index).collect()
}

/// How late a node comes in the order.
struct Score {
    /// `-log2(u)`, in units of 2^-32.
    cost: u64,
    weight: u32,
}

impl Score {
    fn of(conversation: ConversationKey, node: Node) -> Self {
        // The id is mixed before it meets the conversation: a difference of two ids must not be that of two
        // conversations.
        let bits = mix(mix(node.id.0) ^ conversation.0);
        Self { cost: minus_log2(bits), weight: node.weight }
    }

    /// Compares `cost / weight` without dividing.
    fn compare(&self, other: &Self) -> Ordering {
        match (self.weight, other.weight) {
            (0, 0) => self.cost.cmp(&other.cost),
            (0, _) => Ordering::Greater,
            (_, 0) => Ordering::Less,
            (own, theirs) => {
                (u128::from(self.cost) * u128::from(theirs)).cmp(&(u128::from(other.cost) * u128::from(own)))
            }
        }
    }
}

/// The first 64 bits of the SHA-256 of `parts`, each with its length before it.
fn hash(purpose: &[u8], parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

/// The finalizer of SplitMix64: a bijection in which each bit depends on all others.
/// <https://prng.di.unimi.it/splitmix64.c>
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// `-log2(u)` in units of 2^-32, where `u` is `(bits + 1) / 2^64`, above 0 and at most 1.
fn minus_log2(bits: u64) -> u64 {
    let Some(number) = bits.checked_add(1) else { return 0 };
    let zeros = number.leading_zeros();
    // `number` is 2^(63 - zeros) times a mantissa from 1 to 2, in units of 2^-63.
    let mut mantissa = number << zeros;
    // The fraction of the logarithm, bit by bit: squaring the mantissa doubles its logarithm.
    let mut fraction: u64 = 0;
    for _ in 0..32 {
        let square = u128::from(mantissa) * u128::from(mantissa) >> 63;
        let is_two_or_more = square >> 64 != 0;
        let next = if is_two_or_more { square >> 1 } else { square };
        mantissa = u64::try_from(next).unwrap_or(u64::MAX);
        fraction = fraction << 1 | u64::from(is_two_or_more);
    }
    (u64::from(zeros) + 1 << 32) - fraction
}
