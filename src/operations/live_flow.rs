//! How much of what was sent to a watcher it has taken. The operations object cannot see that: whoever is
//! between it and the client takes what it sends. So it asks the client now and then. A client that has
//! vanished does not respond either.

use crate::config::Millis;

/// After so many bytes, the client is asked to confirm.
const CHECK_AFTER: u64 = 64 << 10;
/// After so much time, it is asked too, with the next message.
const CHECK_INTERVAL: Millis = 30_000;
/// A client that has not confirmed so many bytes is too slow.
const MAX_UNCONFIRMED: u64 = 1 << 20;
/// A client that was asked and has not confirmed for so long, has vanished.
const MAX_SILENCE: Millis = 60_000;

/// What was sent to a watcher, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveFlow {
    sent: u64,
    /// How much had been sent when the client was last asked.
    asked: u64,
    asked_at: Millis,
    confirmed: u64,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStep {
    /// Send it.
    Send,
    /// Send it, and ask the client to confirm so many bytes.
    SendAndCheck(u64),
    /// Disconnect the client.
    TooSlow,
}

impl LiveFlow {
    /// A message of so many bytes is to be sent.
    pub fn step(&mut self, bytes: usize, now: Millis) -> FlowStep {
        // The first message is sent when the client connects. A clock that was set back begins anew.
        if self.sent == 0 || now < self.asked_at {
            self.asked_at = now;
        }
        let silence = now.saturating_sub(self.asked_at);
        let is_asked = self.confirmed < self.asked;
        if self.sent.saturating_sub(self.confirmed) > MAX_UNCONFIRMED || is_asked && silence > MAX_SILENCE {
            return FlowStep::TooSlow;
        }
        self.sent = self.sent.saturating_add(bytes as u64);
        let is_due = self.sent.saturating_sub(self.asked) >= CHECK_AFTER || !is_asked && silence >= CHECK_INTERVAL;
        if !is_due {
            return FlowStep::Send;
        }
        if !is_asked {
            self.asked_at = now;
        }
        self.asked = self.sent;
        FlowStep::SendAndCheck(self.sent)
    }

    /// The client has taken so many bytes.
    pub fn confirm(&mut self, bytes: u64) {
        self.confirmed = self.confirmed.max(bytes.min(self.sent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_confirms_nothing_is_too_slow_after_a_mebibyte() {
        let mut flow = LiveFlow::default();
        let sent = (0..1_000).take_while(|_| flow.step(2_000, 0) != FlowStep::TooSlow).count();
        assert_eq!(sent, 525, "2,000 bytes each");
    }

    #[test]
    fn a_client_that_has_vanished_is_noticed_by_the_time() {
        let mut flow = LiveFlow::default();
        assert_eq!(flow.step(10, 5_000), FlowStep::Send);
        assert_eq!(flow.step(10, 34_999), FlowStep::Send);
        assert_eq!(flow.step(10, 35_000), FlowStep::SendAndCheck(30));
        assert_eq!(flow.step(10, 95_000), FlowStep::Send, "it has a minute");
        assert_eq!(flow.step(10, 95_001), FlowStep::TooSlow);
        flow.confirm(30);
        assert_eq!(flow.step(10, 95_002), FlowStep::SendAndCheck(50), "it is there");
        assert_eq!(flow.step(10, 1_000), FlowStep::Send, "the clock was set back");
    }

    #[test]
    fn a_client_that_confirms_gets_everything() {
        let mut flow = LiveFlow::default();
        for _ in 0..10_000 {
            match flow.step(2_000, 0) {
                FlowStep::Send => {}
                FlowStep::SendAndCheck(bytes) => flow.confirm(bytes),
                FlowStep::TooSlow => panic!("it has confirmed"),
            }
        }
        assert_eq!(flow.step(10, MAX_SILENCE * 5), FlowStep::SendAndCheck(20_000_010), "it was asked long ago");
        flow.confirm(u64::MAX);
        assert_eq!(flow.confirmed, flow.sent, "no more than was sent");
    }
}
