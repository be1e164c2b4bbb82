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

    /// Another key of the same conversation, for a choice that does not depend on the first one.
    #[must_use]
    pub fn again(self) -> Self {
        Self(mix(self.0))
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
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let is_two_or_more = square >> 64 != 0;
        let next = if is_two_or_more { square >> 1 } else { square };
        mantissa = u64::try_from(next).unwrap_or(u64::MAX);
        fraction = fraction << 1 | u64::from(is_two_or_more);
    }
    ((u64::from(zeros) + 1) << 32) - fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATIONS: u32 = 100_000;

    fn conversation(number: u32) -> ConversationKey {
        ConversationKey::of(&[&number.to_be_bytes()])
    }

    fn nodes(weights: &[u32]) -> Vec<Node> {
        let node = |(index, weight): (usize, &u32)| Node {
            id: NodeId::of(&[format!("n{index}").as_bytes()]),
            weight: *weight,
        };
        weights.iter().enumerate().map(node).collect()
    }

    /// How many of the conversations have each node at this place of their order.
    fn counts(nodes: &[Node], place: usize) -> Vec<u32> {
        let mut counts = vec![0; nodes.len()];
        (0..CONVERSATIONS).for_each(|number| counts[order(conversation(number), nodes)[place]] += 1);
        counts
    }

    /// Whether a count is within five standard deviations of its expectation.
    fn is_near(count: u32, share: f64) -> bool {
        let expected = f64::from(CONVERSATIONS) * share;
        (f64::from(count) - expected).abs() < 5.0 * (expected * (1.0 - share)).sqrt()
    }

    #[test]
    fn conversations_are_shared_by_weight() {
        for weights in [&[1, 1][..], &[1, 1, 1, 1, 1], &[3, 1], &[1, 2, 3, 4], &[1_000_000, 1_000_000], &[99, 1]] {
            let total: u32 = weights.iter().sum();
            for (count, weight) in counts(&nodes(weights), 0).into_iter().zip(weights) {
                assert!(is_near(count, f64::from(*weight) / f64::from(total)), "{weights:?}: {count}");
            }
        }
    }

    #[test]
    fn the_second_choice_is_shared_by_weight_too() {
        // Of the weights 1, 2 and 1, the second place is the first node's with this probability.
        let share = 0.5 * (1.0 / 2.0) + 0.25 * (1.0 / 3.0);
        let counts = counts(&nodes(&[1, 2, 1]), 1);
        assert!(is_near(counts[0], share) && is_near(counts[2], share), "{counts:?}");
    }

    #[test]
    fn only_the_conversations_of_a_removed_node_move() {
        let all = nodes(&[1, 2, 3, 4]);
        for removed in 0..all.len() {
            let rest: Vec<Node> = all.iter().filter(|node| **node != all[removed]).copied().collect();
            for number in 0..10_000 {
                let (before, after) = (order(conversation(number), &all), order(conversation(number), &rest));
                let before: Vec<NodeId> = before.iter().map(|index| all[*index].id).collect();
                let kept: Vec<NodeId> = before.into_iter().filter(|id| *id != all[removed].id).collect();
                assert_eq!(after.iter().map(|index| rest[*index].id).collect::<Vec<_>>(), kept);
            }
        }
    }

    #[test]
    fn a_greater_weight_only_draws_conversations_to_its_node() {
        let (before, after) = (nodes(&[1, 1, 1]), nodes(&[1, 3, 1]));
        for number in 0..10_000 {
            let (old, new) = (order(conversation(number), &before)[0], order(conversation(number), &after)[0]);
            assert!(old == new || new == 1);
        }
    }

    #[test]
    fn the_order_does_not_depend_on_that_of_the_list() {
        let nodes = nodes(&[1, 2, 3]);
        let reversed: Vec<Node> = nodes.iter().rev().copied().collect();
        for number in 0..1_000 {
            let forth = order(conversation(number), &nodes).into_iter().map(|index| nodes[index]);
            let back = order(conversation(number), &reversed).into_iter().map(|index| reversed[index]);
            assert!(forth.eq(back));
        }
    }

    #[test]
    fn a_node_of_weight_0_comes_after_all_others() {
        let nodes = nodes(&[0, 1, 0, 5]);
        for number in 0..1_000 {
            let order = order(conversation(number), &nodes);
            assert!(order[..2].iter().all(|index| nodes[*index].weight > 0), "{order:?}");
        }
    }

    #[test]
    fn a_hash_is_the_same_on_every_machine() {
        assert_eq!(ConversationKey::of(&[b"a", b"b"]), ConversationKey(1_617_423_102_821_976_108));
        assert_ne!(ConversationKey::of(&[b"ab"]), ConversationKey::of(&[b"a", b"b"]));
        assert_ne!(ConversationKey::of(&[b"ab", b""]), ConversationKey::of(&[b"a", b"b"]));
        assert_ne!(ConversationKey::of(&[b"a"]).0, NodeId::of(&[b"a"]).0);
        let first: Vec<usize> = (0..16).map(|number| order(conversation(number), &nodes(&[1, 1, 1]))[0]).collect();
        assert_eq!(first, [2, 2, 0, 2, 0, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0, 0]);
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
    fn the_logarithm_is_right() {
        for bits in [0, 1, 2, 3, 1 << 20, (1 << 40) + 12_345, u64::MAX / 3, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            let u = (bits as f64 + 1.0) / 2_f64.powi(64);
            let got = minus_log2(bits) as f64 / 2_f64.powi(32);
            assert!((got + u.log2()).abs() < 1e-6, "{bits}: {got}");
        }
        assert_eq!(minus_log2(u64::MAX), 0);
        assert_eq!(minus_log2(0), 64 << 32);
    }
}
