//! How fast targets begin to respond, and the order of targets by that: the faster ones more often, and each
//! of them now and then.

use std::collections::HashMap;

use super::rendezvous::{ConversationKey, Node, NodeId, order};
use crate::config::Millis;

/// After so long, in milliseconds, a measurement counts half.
const HALF_LIFE: f64 = 120_000.0;
/// The most measurements that an estimate remembers: a new one counts at least a tenth.
const MOST: f64 = 9.0;
/// An estimate that rests on less than this much of one measurement is none.
const LEAST: f64 = 0.1;
/// A failure counts as a first token after at least so long, in milliseconds.
const FAILURE: Millis = 30_000;
/// The share of the fastest target, and the least that any other one has.
const FULL_SHARE: f64 = 1_000.0;
const LEAST_SHARE: f64 = 50.0;
/// The prompts that are compared with each other: up to so many tokens.
const SIZES: [u64; 4] = [1_000, 8_000, 32_000, 128_000];

/// How fast targets begin to respond, as far as one isolate knows.
#[derive(Debug, Default)]
pub struct Speeds(HashMap<(NodeId, usize), Speed>);

/// Measurements of one target for prompts of one size, which fade.
#[derive(Clone, Copy, Debug, Default)]
struct Speed {
    sum: f64,
    weight: f64,
    at: Millis,
}

impl Speeds {
    /// Notes when the first token came, after a target had been asked with a prompt of so many tokens.
    pub fn note(&mut self, target: NodeId, prompt: u64, took: Millis, now: Millis) {
        let speed = self.0.entry((target, size(prompt))).or_default();
        let Speed { sum, weight, .. } = speed.faded(now);
        let kept = if weight > MOST { MOST / weight } else { 1.0 };
        *speed = Speed { sum: sum.mul_add(kept, float(took)), weight: weight.mul_add(kept, 1.0), at: now };
    }

    /// Notes that a target has failed after so long.
    pub fn note_failure(&mut self, target: NodeId, prompt: u64, took: Millis, now: Millis) {
        self.note(target, prompt, took.max(FAILURE), now);
    }

    /// The time until the first token, in milliseconds; `None` if it is not known, or was long ago.
    fn estimate(&self, target: NodeId, prompt: u64, now: Millis) -> Option<f64> {
        let Speed { sum, weight, .. } = self.0.get(&(target, size(prompt)))?.faded(now);
        (weight >= LEAST).then(|| sum / weight)
    }

    /// The places of the targets in the order for a request: of two that are chosen at random, the faster one
    /// is likely to be first, by the square of how much faster it is; the others follow, the fastest first.
    /// Targets whose speed is not known count as the fastest. It is the same for all requests of a
    /// conversation, as long as the speeds are.
    pub fn ranks(&self, targets: &[NodeId], prompt: u64, conversation: ConversationKey, now: Millis) -> Vec<usize> {
        let times: Vec<Option<f64>> = targets.iter().map(|target| self.estimate(*target, prompt, now)).collect();
        let best = times.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let time = |index: usize| times.get(index).copied().flatten().unwrap_or(best);
        let drawn = drawn(targets, conversation, |_| 1);
        let pair = drawn.get(..2).unwrap_or(&drawn);
        let nodes: Vec<NodeId> = pair.iter().filter_map(|index| targets.get(*index)).copied().collect();
        let share = |place: usize| pair.get(place).map_or(1, |index| share(best / time(*index)));
        let again = conversation.again();
        let mut sequence: Vec<usize> =
            self::drawn(&nodes, again, share).into_iter().filter_map(|place| pair.get(place)).copied().collect();
        let mut others: Vec<usize> = drawn.iter().skip(2).copied().collect();
        others.sort_by(|one, other| time(*one).total_cmp(&time(*other)));
        sequence.extend(others);
        let mut ranks = vec![0; targets.len()];
        for (rank, index) in sequence.into_iter().enumerate() {
            ranks.iter_mut().skip(index).take(1).for_each(|place| *place = rank);
        }
        ranks
    }
}

impl Speed {
    fn faded(self, now: Millis) -> Self {
        let kept = (-float(now.saturating_sub(self.at)) / HALF_LIFE).exp2();
        Self { sum: self.sum * kept, weight: self.weight * kept, ..self }
    }
}

/// The indexes of targets in a random order, by their shares.
fn drawn(targets: &[NodeId], conversation: ConversationKey, share: impl Fn(usize) -> u32) -> Vec<usize> {
    let node = |(index, id): (usize, &NodeId)| Node { id: *id, weight: share(index) };
    order(conversation, &targets.iter().enumerate().map(node).collect::<Vec<_>>())
}

/// The share of a target that is so many times as fast as the fastest, at most once.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
fn share(ratio: f64) -> u32 {
    let ratio = if ratio.is_finite() { ratio } else { 1.0 };
    (ratio * ratio * FULL_SHARE).clamp(LEAST_SHARE, FULL_SHARE) as u32
}

/// The index of the size of a prompt.
fn size(prompt: u64) -> usize {
    SIZES.iter().take_while(|most| prompt > **most).count()
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^52 milliseconds")]
fn float(time: Millis) -> f64 {
    time as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: usize = 3;

    fn targets() -> Vec<NodeId> {
        (0..TARGETS).map(|number| NodeId::of(&[&number.to_be_bytes()])).collect()
    }

    fn conversation(number: u64) -> ConversationKey {
        ConversationKey::of(&[&number.to_be_bytes()])
    }

    /// Sends requests, one each 100 ms, to targets that take so long. Returns how many each got.
    fn run(speeds: &mut Speeds, takes: [Millis; TARGETS], from: u64, count: u64) -> [u64; TARGETS] {
        let (targets, mut counts) = (targets(), [0; TARGETS]);
        for number in from..from + count {
            let now = number * 100;
            let ranks = speeds.ranks(&targets, 500, conversation(number), now);
            let first = ranks.iter().position(|rank| *rank == 0).unwrap();
            counts[first] += 1;
            speeds.note(targets[first], 500, takes[first], now);
        }
        counts
    }

    #[test]
    fn the_faster_get_more_and_nobody_all() {
        let mut speeds = Speeds::default();
        let counts = run(&mut speeds, [200, 400, 4_000], 0, 10_000);
        assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
        assert!(counts[0] < 8_000, "not all: {counts:?}");
        assert!(counts[2] > 100 && counts[2] < 1_000, "explored, and no more: {counts:?}");
        let even = run(&mut Speeds::default(), [300, 310, 305], 0, 9_000);
        assert!(even.iter().all(|count| (2_400..3_600).contains(count)), "equal ones share: {even:?}");
    }

    #[test]
    fn a_target_that_becomes_fast_is_found() {
        let mut speeds = Speeds::default();
        run(&mut speeds, [200, 400, 4_000], 0, 5_000);
        let later = run(&mut speeds, [4_000, 400, 200], 5_000, 5_000);
        let last = run(&mut speeds, [4_000, 400, 200], 10_000, 3_000);
        assert!(later[2] > later[0] && last[2] > last[1] && last[1] > last[0], "{later:?}, {last:?}");
    }

    #[test]
    fn errors_are_slow_and_fade() {
        let (mut speeds, targets) = (Speeds::default(), targets());
        speeds.note(targets[1], 500, 300, 0);
        speeds.note_failure(targets[0], 500, 5, 0);
        assert_eq!(speeds.estimate(targets[0], 500, 0), Some(30_000.0));
        speeds.note(targets[0], 500, 300, 0);
        assert!(speeds.estimate(targets[0], 500, 0).unwrap() > 10_000.0);
        assert_eq!(speeds.estimate(targets[0], 500, 3_600_000), None, "long ago");
        assert_eq!(speeds.estimate(targets[0], 5_000, 0), None, "prompts of another size");
    }

    #[test]
    fn one_conversation_stays_and_ranks_are_an_order() {
        let (mut speeds, targets) = (Speeds::default(), targets());
        run(&mut speeds, [200, 400, 4_000], 0, 100);
        for number in 0..1_000 {
            let ranks = speeds.ranks(&targets, 500, conversation(number), 10_000);
            assert_eq!(ranks, speeds.ranks(&targets, 500, conversation(number), 10_000));
            let mut sorted = ranks.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
        }
        for few in 0..2 {
            assert_eq!(speeds.ranks(&targets[..few], 500, conversation(1), 0).len(), few);
        }
    }
}
