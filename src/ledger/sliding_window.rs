//! A window that slides: how much was taken in the last minute, never less than the truth.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// The window's length.
pub const SPAN: Millis = 60_000;
/// What is taken within so many milliseconds is remembered as one sum, and forgotten together with its last.
const SLOT: Millis = 250;
/// Nothing counts longer.
pub const MEMORY: Millis = SPAN + SLOT;

/// Amounts taken in the last minute. Each counts for the whole of the [`SPAN`] after it, and up to a quarter of a second longer; so in
/// no minute, wherever it begins, is more taken than a limit that was asked of this window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlidingWindow {
    /// Start and sum, oldest first; none is empty, so that a window is the same as if what was given back had never been taken. Only taking lets go of those that count no more: to ask changes nothing.
    slots: VecDeque<(Millis, u64)>,
}

impl SlidingWindow {
    /// How much counts now.
    pub fn taken(&self, now: Millis) -> u64 {
        self.counting(now).fold(0, |sum, (_, amount)| sum.saturating_add(amount))
    }

    /// Takes an amount. The clock may stand still or fall back: then the amount counts with the newest.
    pub fn take(&mut self, now: Millis, amount: u64) {
        if amount == 0 {
            return;
        }
        while self.slots.front().is_some_and(|(start, _)| gone_at(*start) <= now) {
            self.slots.pop_front();
        }
        let start = start(now);
        match self.slots.back_mut() {
            Some((last, sum)) if *last >= start => *sum = sum.saturating_add(amount),
            _ => self.slots.push_back((start, amount)),
        }
    }

    /// Replaces what was taken at `at`, if it still counts: a reservation by the truth.
    pub fn correct(&mut self, at: Millis, promised: u64, truth: u64) {
        let place = self.slots.partition_point(|(slot, _)| *slot < start(at));
        match self.slots.get_mut(place).filter(|(slot, _)| *slot == start(at)) {
            // A sum that overflowed no longer says what is in it, and stays.
            Some((_, u64::MAX)) => {}
            Some((_, sum)) => {
                *sum = sum.saturating_sub(promised).saturating_add(truth);
                if *sum == 0 {
                    self.slots.remove(place);
                }
            }
            // Nothing had been taken with that reservation.
            None if promised == 0 && truth > 0 => self.slots.insert(place, (start(at), truth)),
            None => {}
        }
    }

    /// How long until `amount` more keeps within `limit`; `None` if it never does.
    pub fn wait(&self, now: Millis, amount: u64, limit: u64) -> Option<Millis> {
        let room = limit.checked_sub(amount)?;
        let mut taken = self.taken(now);
        if taken <= room {
            return Some(0);
        }
        for (start, sum) in self.counting(now) {
            taken = taken.saturating_sub(sum);
            if taken <= room {
                return Some(gone_at(start).saturating_sub(now));
            }
        }
        Some(0)
    }

    /// How long until nothing counts any more.
    pub fn reset(&self, now: Millis) -> Millis {
        self.slots.back().map_or(0, |(start, _)| gone_at(*start).saturating_sub(now))
    }

    fn counting(&self, now: Millis) -> impl Iterator<Item = (Millis, u64)> {
        self.slots.iter().copied().skip_while(move |(start, _)| gone_at(*start) <= now)
    }
}

/// The slot of a time.
fn start(time: Millis) -> Millis {
    time - time % SLOT
}

/// When a slot is forgotten.
fn gone_at(start: Millis) -> Millis {
    start.saturating_add(MEMORY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_taken_counts_for_a_minute() {
        let mut window = SlidingWindow::default();
        window.take(1_000, 3);
        window.take(1_100, 2);
        window.take(31_000, 4);
        assert_eq!((window.taken(31_000), window.taken(61_100), window.taken(61_250)), (9, 9, 4));
        assert_eq!((window.wait(61_250, 6, 10), window.wait(61_250, 7, 10)), (Some(0), Some(30_000)));
        assert_eq!((window.wait(61_250, 11, 10), window.reset(61_250)), (None, 30_000));
    }

    #[test]
    fn a_promise_becomes_the_truth() {
        let mut window = SlidingWindow::default();
        window.take(1_000, 100);
        window.take(5_000, 1);
        window.correct(1_000, 100, 7);
        assert_eq!(window.taken(5_000), 8);
        window.correct(1_000_000, 5, 0);
    }

    #[test]
    fn what_was_given_back_might_as_well_never_have_been_taken() {
        let mut window = SlidingWindow::default();
        window.take(1_000, 3);
        let before = window.clone();
        window.take(5_000, 2);
        window.correct(5_000, 2, 0);
        window.take(6_000, 0);
        assert_eq!((&window, window.reset(6_000)), (&before, 55_250));
        // What was promised nothing may take something all the same.
        window.correct(6_000, 0, 4);
        assert_eq!((window.taken(6_000), window.taken(61_250), window.reset(6_000)), (7, 4, 60_250));
    }

    proptest! {
        /// Whatever comes when: in no minute is more taken than the limit.
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

        /// A wait that was told is long enough, and the shortest to the slot.
        #[test]
        fn a_wait_that_was_told_suffices(steps in prop::collection::vec((0u64..2_000, 1u64..5), 1..100), limit in 5u64..50) {
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
