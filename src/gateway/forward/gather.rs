//! How many bytes a read of a checked stream waits for. Entering the gateway costs more than what it does
//! with an event, so while events come fast, a read takes several of them. A read that waits cannot be broken
//! while the provider goes on: if it pauses, the client gets what has come with the provider's next bytes
//! only. So no more than two events wait, unless they are shorter than all before, and none once the stream
//! has slowed down.

use crate::config::Millis;

/// Events are fast that come so often, in milliseconds.
const FAST: Millis = 12;
/// So many reads in a row have to bring fast events before reads wait.
const STREAK: u8 = 8;
/// A read waits for so many halves of the shortest event. Three events never are less, so two wait at most,
/// and an end marker with them.
const HALVES: usize = 5;
/// Reads do not wait for more bytes than this.
const MAX_LEAST: usize = 16 << 10;

/// The size and pace of a stream's events so far.
#[derive(Debug)]
pub(super) struct Gather {
    /// The length of the shortest event; 0 as long as none is known.
    shortest: usize,
    /// The length of the event that has come in part.
    part: usize,
    /// When bytes last came.
    last: Millis,
    /// The reads in a row that brought fast events.
    fast: u8,
    /// The bytes that reads wait for.
    least: usize,
}

impl Gather {
    /// Nothing has come yet.
    pub(super) fn new(now: Millis) -> Self {
        Self { shortest: 0, part: 0, last: now, fast: 0, least: 1 }
    }

    /// The bytes that reads wait for; 1: they do not wait.
    pub(super) fn least(&self) -> usize {
        self.least
    }

    /// A read has brought these bytes. Returns the bytes that the next one waits for, if they have changed.
    pub(super) fn note(&mut self, bytes: &[u8], now: Millis) -> Option<usize> {
        let events = self.measure(bytes);
        let time = now.saturating_sub(std::mem::replace(&mut self.last, now));
        let is_fast = events > 0 && time <= FAST.saturating_mul(events);
        self.fast = if is_fast { self.fast.saturating_add(1) } else { 0 };
        let least = self.shortest.saturating_mul(HALVES) / 2;
        self.set(if self.fast >= STREAK && least <= MAX_LEAST { least } else { 1 })
    }

    /// Reads no longer wait. Returns 1 if they did.
    pub(super) fn stop(&mut self) -> Option<usize> {
        self.fast = 0;
        self.set(1)
    }

    fn set(&mut self, least: usize) -> Option<usize> {
        let least = least.max(1);
        (std::mem::replace(&mut self.least, least) != least).then_some(least)
    }

    /// The number of events that end in these bytes. An empty line that comes in two reads is overlooked: its
    /// two events count as one long one.
    fn measure(&mut self, bytes: &[u8]) -> Millis {
        let (mut events, mut start) = (0, 0);
        for at in memchr::memchr_iter(b'\n', bytes) {
            let after = bytes.get(at.saturating_add(1)..).unwrap_or_default();
            let end = match after {
                [b'\n', ..] => at.saturating_add(2),
                [b'\r', b'\n', ..] => at.saturating_add(3),
                _ => continue,
            };
            let length = std::mem::take(&mut self.part).saturating_add(end.saturating_sub(start));
            self.shortest = if self.shortest == 0 { length } else { self.shortest.min(length) };
            (events, start) = (events + 1, end);
        }
        self.part = self.part.saturating_add(bytes.len().saturating_sub(start));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(length: usize) -> Vec<u8> {
        let mut event = vec![b'x'; length - 2];
        event.extend_from_slice(b"\n\n");
        event
    }

    /// A gathering that has read `events` of a length, one each `pace` milliseconds, and the time.
    fn after(events: u64, length: usize, pace: Millis) -> (Gather, Millis) {
        let mut gather = Gather::new(0);
        for number in 1..=events {
            gather.note(&event(length), number * pace);
        }
        (gather, events * pace)
    }

    #[test]
    fn reads_wait_only_while_events_are_fast() {
        assert_eq!(after(7, 100, 5).0.least(), 1);
        let (mut fast, now) = after(8, 100, 5);
        assert_eq!(fast.least(), 250);
        // Three events at once, as the read waited for them.
        assert_eq!(fast.note(&event(100).repeat(3), now + 15), None);
        assert_eq!(fast.least(), 250);
        assert_eq!(fast.note(&event(100).repeat(3), now + 15 + 37), Some(1));
        assert_eq!(after(100, 100, 25).0.least(), 1);
        assert_eq!(after(100, 100, 12).0.least(), 250);
        assert_eq!(after(100, 100, 13).0.least(), 1);
        assert_eq!((fast.stop(), after(9, 100, 1).0.stop()), (None, Some(1)));
    }

    #[test]
    fn three_events_are_never_held_unless_they_are_shorter_than_all_before() {
        for shortest in [3, 14, 100, 191, 5_000] {
            let (gather, _) = after(20, shortest, 1);
            assert!(3 * shortest >= gather.least(), "{shortest}");
            assert!(2 * shortest + 14 < gather.least() || shortest < 29, "{shortest}: three at a time");
        }
        let (mut gather, now) = after(20, 200, 1);
        assert_eq!(gather.note(&event(20), now), Some(50), "the shortest counts");
    }

    #[test]
    fn events_are_counted_wherever_reads_are_cut() {
        for end in ["\n\n", "\r\n\r\n"] {
            let text = format!("data: one{end}data: and two{end}").repeat(10);
            for cut in 1..40 {
                let mut gather = Gather::new(0);
                let events: Millis = text.as_bytes().chunks(cut).map(|piece| gather.measure(piece)).sum();
                assert!(events <= 20, "{cut}");
                assert!(gather.shortest == 0 || gather.shortest >= "data: one".len() + end.len(), "{cut}");
                assert!(cut < 30 || events >= 10, "{cut}: {events}");
            }
        }
    }

    #[test]
    fn large_events_and_streams_without_events_are_read_as_they_come() {
        assert_eq!(after(50, 10_000, 1).0.least(), 1);
        let mut endless = Gather::new(0);
        for _ in 0..50 {
            assert_eq!(endless.note(b"data: on and on ", 0), None);
        }
    }
}
