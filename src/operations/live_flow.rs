//! How much of what was sent to a watcher it has taken. The operations object cannot see that: whoever is
//! between it and the client takes what it sends. So it asks the client now and then.

/// After so many bytes, the client is asked to confirm.
const CHECK_AFTER: u64 = 64 << 10;
/// A client that has not confirmed so many bytes is too slow.
const MAX_UNCONFIRMED: u64 = 1 << 20;

/// What was sent to a watcher, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveFlow {
    sent: u64,
    /// How much had been sent when the client was last asked.
    asked: u64,
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
    pub fn step(&mut self, bytes: usize) -> FlowStep {
        if self.sent.saturating_sub(self.confirmed) > MAX_UNCONFIRMED {
            return FlowStep::TooSlow;
        }
        self.sent = self.sent.saturating_add(bytes as u64);
        if self.sent.saturating_sub(self.asked) < CHECK_AFTER {
            return FlowStep::Send;
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
        let sent = (0..1_000).take_while(|_| flow.step(2_000) != FlowStep::TooSlow).count();
        assert_eq!(sent, 525, "2,000 bytes each");
    }

    #[test]
    fn a_client_that_confirms_gets_everything() {
        let mut flow = LiveFlow::default();
        for _ in 0..10_000 {
            match flow.step(2_000) {
                FlowStep::Send => {}
                FlowStep::SendAndCheck(bytes) => flow.confirm(bytes),
                FlowStep::TooSlow => panic!("it has confirmed"),
            }
        }
        flow.confirm(u64::MAX);
        assert_eq!(flow.confirmed, flow.sent, "no more than was sent");
    }
}
