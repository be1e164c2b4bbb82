//! A sliding window: the amount that was taken in the last minute, or a little more.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// The length of the window, in milliseconds.
pub const SPAN: Millis = 60_000;
/// Amounts taken within a slot are one sum, which counts until the last of them has expired.
const SLOT: Millis = 250;
/// For how long an amount counts, at most.
pub const RETENTION: Millis = SPAN + SLOT;

/// The amounts taken in the last minute. Each counts for [`SPAN`] and up to a quarter of a second longer.
/// Therefore no minute, wherever it begins, contains more than the limit that was checked with
/// [`SlidingWindow::wait`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlidingWindow {
    /// The start and the sum of each slot, oldest first. No sum is 0, so that an amount that is given back
    /// leaves no trace. Only [`SlidingWindow::take`] removes expired slots.
    slots: VecDeque<(Millis, u64)>,
}

impl SlidingWindow {
    /// The amount that counts now.
    pub fn taken(&self, now: Millis) -> u64 {
        self.counting(now).fold(0, |sum, (_, amount)| sum.saturating_add(amount))
    }

    /// Takes an amount. If the clock stands still or falls back, the amount is added to the newest slot.
    pub fn take(&mut self, now: Millis, amount: u64) {
        if amount == 0 {
            return;
        }
        while self.slots.front().is_some_and(|(start, _)| expires_at(*start) <= now) {
            self.slots.pop_front();
        }
        let start = slot_of(now);
        match self.slots.back_mut() {
            Some((last, sum)) if *last >= start => *sum = sum.saturating_add(amount),
            _ => self.slots.push_back((start, amount)),
        }
    }

    /// Replaces the amount that was taken at `at`, if it still counts, by another.
    pub fn correct(&mut self, at: Millis, old: u64, new: u64) {
        let index = self.slots.partition_point(|(slot, _)| *slot < slot_of(at));
        match self.slots.get_mut(index).filter(|(slot, _)| *slot == slot_of(at)) {
            // A sum that overflowed cannot be corrected.
            Some((_, u64::MAX)) => {}
            Some((_, sum)) => {
                *sum = sum.saturating_sub(old).saturating_add(new);
                if *sum == 0 {
                    self.slots.remove(index);
                }
            }
            // The old amount was 0, for which there is no slot.
            None if old == 0 && new > 0 => self.slots.insert(index, (slot_of(at), new)),
            None => {}
        }
    }

    /// The time until `amount` can be taken within `limit`, in milliseconds; `None` if it exceeds the limit
    /// by itself.
    pub fn wait(&self, now: Millis, amount: u64, limit: u64) -> Option<Millis> {
        let room = limit.checked_sub(amount)?;
        let mut taken = self.taken(now);
        if taken <= room {
            return Some(0);
        }
        for (start, sum) in self.counting(now) {
            taken = taken.saturating_sub(sum);
            if taken <= room {
                return Some(expires_at(start).saturating_sub(now));
            }
        }
        Some(0)
    }

    /// The time until nothing counts any more, in milliseconds.
    pub fn reset(&self, now: Millis) -> Millis {
        self.slots.back().map_or(0, |(start, _)| expires_at(*start).saturating_sub(now))
    }

    fn counting(&self, now: Millis) -> impl Iterator<Item = (Millis, u64)> {
        self.slots.iter().copied().skip_while(move |(start, _)| expires_at(*start) <= now)
    }
}

/// The start of the slot of a time.
fn slot_of(time: Millis) -> Millis {
    time - time % SLOT
}

/// When a slot stops counting.
fn expires_at(start: Millis) -> Millis {
    start.saturating_add(RETENTION)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_counts_for_a_minute() {
        let mut window = SlidingWindow::default();
        window.take(1_000, 3);
        window.take(1_100, 2);
        window.take(31_000, 4);
        assert_eq!(window.taken(31_000), 9);
        assert_eq!(window.taken(61_100), 9);
        assert_eq!(window.taken(61_250), 4);
        assert_eq!(window.wait(61_250, 6, 10), Some(0));
        assert_eq!(window.wait(61_250, 7, 10), Some(30_000));
        assert_eq!(window.wait(61_250, 11, 10), None);
        assert_eq!(window.reset(61_250), 30_000);
    }

    #[test]
    fn a_reservation_is_corrected() {
        let mut window = SlidingWindow::default();
        window.take(1_000, 100);
        window.take(5_000, 1);
        window.correct(1_000, 100, 7);
        assert_eq!(window.taken(5_000), 8);
        window.correct(1_000_000, 5, 0);
    }

    #[test]
    fn an_amount_that_is_given_back_leaves_no_trace() {
        let mut window = SlidingWindow::default();
        window.take(1_000, 3);
        let before = window.clone();
        window.take(5_000, 2);
        window.correct(5_000, 2, 0);
        window.take(6_000, 0);
        assert_eq!(window, before);
        assert_eq!(window.reset(6_000), 55_250);
        // A reservation of 0 can be corrected to more.
        window.correct(6_000, 0, 4);
        assert_eq!(window.taken(6_000), 7);
        assert_eq!(window.taken(61_250), 4);
        assert_eq!(window.reset(6_000), 60_250);
    }

    proptest! {
        /// In no minute is more taken than the limit.
        #[test]
        fn no_minute_holds_more_than_the_limit(steps in prop::collection::vec((0u64..40_000, 1u64..5), 1..200), limit in 1u64..12) {
            let (mut window, mut now, mut granted) = (SlidingWindow::default(), 0, Vec::new());
            for (pause, amount) in steps {
                now += pause;
                if window.wait(now, amount, limit) == Some(0) {
                    window.take(now, amount);
                    granted.push((now, amount));
                }
            }
            for (start, _) in &granted {
                let minute: u64 = granted.iter().filter(|(at, _)| (*start..start + SPAN).contains(at)).map(|(_, amount)| amount).sum();
                prop_assert!(minute <= limit, "{minute} of {limit} from {start}");
            }
        }

        /// The returned wait suffices.
        #[test]
        fn the_returned_wait_suffices(steps in prop::collection::vec((0u64..2_000, 1u64..5), 1..100), limit in 5u64..50) {
            let (mut window, mut now) = (SlidingWindow::default(), 0);
            for (pause, amount) in steps {
                now += pause;
                let wait = window.wait(now, amount, limit).unwrap();
                prop_assert_eq!(window.clone().wait(now + wait, amount, limit), Some(0));
                now += wait;
                window.take(now, amount);
            }
        }
    }
}
