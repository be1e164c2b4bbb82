//! What of a session's frames is still on its way, where they pass through somebody who tells how many have been taken.

use std::collections::VecDeque;

/// Frames that were sent and are not known to have been taken.
#[derive(Debug, Default)]
pub struct FlowControl {
    frames: VecDeque<usize>,
    bytes: usize,
}

impl FlowControl {
    /// A frame of so many bytes has been sent.
    pub fn sent(&mut self, bytes: usize) {
        self.frames.push_back(bytes);
        self.bytes += bytes;
    }

    /// So many more have been taken, as decimal digits. What was sent before this memory began is not counted.
    pub fn taken(&mut self, report: &[u8]) {
        let number = std::str::from_utf8(report).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        for bytes in self.frames.drain(..self.frames.len().min(number)) {
            self.bytes -= bytes;
        }
    }

    /// Bytes on their way.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_what_was_sent_and_not_taken() {
        let mut flow = FlowControl::default();
        [5, 7, 11].into_iter().for_each(|bytes| flow.sent(bytes));
        flow.taken(b"2");
        assert_eq!(flow.bytes(), 11);
        flow.taken(b"x");
        flow.taken(b"");
        assert_eq!(flow.bytes(), 11);
        flow.taken(b"99999999999");
        flow.sent(3);
        assert_eq!(flow.bytes(), 3);
    }
}
