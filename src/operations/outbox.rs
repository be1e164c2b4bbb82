//! The batch that is under way from an isolate to an object. It is kept until the object has confirmed it,
//! and sent again as it was, under its id, so that it counts once.

use crate::config::Millis;

/// How long an object may take to confirm a batch.
pub const TIME_LIMIT: Millis = 5_000;
/// The pause before a batch is sent again.
pub const RETRY_DELAY: Millis = 1_000;
/// How often a batch is sent at most.
const MAX_SENT: u32 = 2;
/// If a request that was to send has not gone on for this time, it was cut off, and another takes over.
const SENDER_TIMEOUT: Millis = 3_000;

/// No sender takes longer between two steps.
const LONGEST_STEP: Millis = TIME_LIMIT + SENDER_TIMEOUT;

/// The batch under way, and who sends. `T`: what is left to do if it does not arrive.
#[derive(Debug)]
pub struct Outbox<T> {
    batch: Option<SentBatch<T>>,
    /// Until this time, some request is going to send.
    sender_until: Millis,
}

#[derive(Debug)]
struct SentBatch<T> {
    id: u64,
    command: String,
    sent: u32,
    contents: T,
}

/// What follows from a result.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterSending<T> {
    /// Send the next batch.
    GoOn,
    /// Send again after [`RETRY_DELAY`].
    Wait,
    /// The batch is given up. The sender stops, because the next one would fare no better.
    GiveUp(T),
    /// Another sender has taken over. This one stops.
    TakenOver,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { batch: None, sender_until: 0 }
    }
}

impl<T> Outbox<T> {
    /// Whether the caller is to send, because no other request is about to.
    pub fn becomes_sender(&mut self, now: Millis) -> bool {
        // A clock that was set back must not keep others from sending for as long.
        let is_sending = now < self.sender_until && self.sender_until <= now.saturating_add(LONGEST_STEP);
        let becomes_sender = !is_sending;
        if becomes_sender {
            self.sender_until = now.saturating_add(SENDER_TIMEOUT);
        }
        becomes_sender
    }

    /// The sender goes on.
    pub fn keep_sender(&mut self, now: Millis) {
        self.sender_until = now.saturating_add(SENDER_TIMEOUT);
    }

    /// The sender stops.
    pub fn stop(&mut self) {
        self.sender_until = 0;
    }

    /// Whether a batch is under way.
    pub fn is_full(&self) -> bool {
        self.batch.is_some()
    }

    /// Takes a batch. `contents`: what is left to do if it does not arrive.
    pub fn put(&mut self, id: u64, command: String, contents: T) {
        self.batch = Some(SentBatch { id, command, sent: 0, contents });
    }

    /// The batch that a request which was cut off has sent for the last time.
    pub fn take_abandoned(&mut self) -> Option<T> {
        self.batch.take_if(|batch| batch.sent >= MAX_SENT).map(|batch| batch.contents)
    }

    /// The id and the command to send now.
    pub fn send(&mut self, now: Millis) -> Option<(u64, String)> {
        let batch = self.batch.as_mut()?;
        batch.sent = batch.sent.saturating_add(1);
        self.sender_until = now.saturating_add(LONGEST_STEP);
        Some((batch.id, batch.command.clone()))
    }

    /// What follows from sending the batch with this id.
    pub fn sent(&mut self, id: u64, has_arrived: bool, now: Millis) -> AfterSending<T> {
        let Some(batch) = self.batch.take_if(|batch| batch.id == id) else { return AfterSending::TakenOver };
        if has_arrived {
            return AfterSending::GoOn;
        }
        if batch.sent >= MAX_SENT {
            self.stop();
            return AfterSending::GiveUp(batch.contents);
        }
        self.batch = Some(batch);
        self.sender_until = now.saturating_add(RETRY_DELAY).saturating_add(SENDER_TIMEOUT);
        AfterSending::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox<&'static str> {
        let mut outbox = Outbox::default();
        assert!(outbox.becomes_sender(0) && !outbox.becomes_sender(1));
        outbox.put(7, "batch".into(), "contents");
        assert_eq!(outbox.send(1_000), Some((7, "batch".into())));
        outbox
    }

    #[test]
    fn a_batch_is_sent_again_as_it_was_and_then_given_up() {
        let mut outbox = outbox();
        assert_eq!(outbox.sent(7, false, 2_000), AfterSending::Wait);
        assert_eq!(outbox.send(3_000), Some((7, "batch".into())));
        assert_eq!(outbox.sent(7, false, 4_000), AfterSending::GiveUp("contents"));
        assert!(!outbox.is_full() && outbox.becomes_sender(4_000));
    }

    #[test]
    fn a_batch_of_a_sender_that_was_cut_off_is_kept() {
        let mut outbox = outbox();
        assert!(!outbox.becomes_sender(8_999) && outbox.becomes_sender(9_000));
        assert_eq!(outbox.take_abandoned(), None);
        assert_eq!(outbox.send(9_000), Some((7, "batch".into())));
        assert!(outbox.becomes_sender(17_000));
        assert_eq!(outbox.take_abandoned(), Some("contents"));
        assert_eq!(outbox.sent(7, true, 17_001), AfterSending::TakenOver);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_from_sending() {
        let mut outbox = outbox();
        assert!(!outbox.becomes_sender(1_000), "it sends");
        assert!(outbox.becomes_sender(0), "nobody knows whether it does");
        assert_eq!(outbox.send(0), Some((7, "batch".into())));
    }

    #[test]
    fn a_batch_that_has_arrived_makes_room() {
        let mut outbox = outbox();
        assert_eq!(outbox.sent(7, true, 2_000), AfterSending::GoOn);
        assert_eq!(outbox.send(2_000), None);
    }
}
