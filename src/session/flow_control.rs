//! How much of what a session sends is still on its way, where its frames pass through another isolate.

use std::collections::VecDeque;

use super::server_frame::PONG;
use crate::config::Millis;

/// The session's side: frames that were sent, and that the other isolate has not reported as taken by the
/// client.
#[derive(Debug, Default)]
pub struct FlowControl {
    frames: VecDeque<usize>,
    bytes: usize,
}

impl FlowControl {
    /// A frame has been sent. Pongs are not counted, because the runtime sends some by itself.
    pub fn sent(&mut self, frame: &str) {
        if frame != PONG {
            self.frames.push_back(frame.len());
            self.bytes += frame.len();
        }
    }

    /// The client has taken more frames; `report` is their number in decimal digits. A number greater than
    /// that of the frames on their way counts frames that were sent before the object slept.
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

/// The other isolate's side: frames that were forwarded to the client, and that are not reported yet.
#[derive(Debug, Default)]
pub struct ForwardedFrames {
    frames: usize,
    characters: usize,
}

/// Forwarded frames are reported after this share of the session's buffer. The session counts bytes and the
/// isolate UTF-16 units, of which each may be three bytes; the session stops sending at a quarter of the
/// buffer.
const REPORTED_SHARE: usize = 32;

impl ForwardedFrames {
    /// After how many UTF-16 units a report is due, for a session's buffer of this many bytes.
    pub fn threshold(buffer: usize) -> usize {
        buffer / REPORTED_SHARE
    }

    /// Whether a frame of this many UTF-16 units may be a pong, which is not counted.
    pub fn may_be_pong(characters: usize) -> bool {
        characters == PONG.len()
    }

    /// A frame of this many UTF-16 units has been forwarded; whether a report is due.
    pub fn forwarded(&mut self, characters: usize, threshold: usize) -> bool {
        self.frames += 1;
        self.characters += characters;
        self.characters >= threshold
    }

    /// The report for `FlowControl::taken`. Counting starts anew.
    pub fn report(&mut self) -> String {
        std::mem::take(self).frames.to_string()
    }
}

/// The intervals at which it is checked whether a client has taken what was sent to it: short at first, then
/// doubled up to 64 ms.
pub fn poll_intervals() -> impl Iterator<Item = Millis> {
    (1..).map(|exponent: u32| 1 << exponent.min(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_what_was_sent_and_not_taken() {
        let mut flow = FlowControl::default();
        for frame in ["12345", "1234567", "12345678901", PONG] {
            flow.sent(frame);
        }
        flow.taken(b"2");
        assert_eq!(flow.bytes(), 11);
        flow.taken(b"x");
        flow.taken(b"");
        assert_eq!(flow.bytes(), 11, "no number");
        flow.taken(b"99999999999");
        flow.sent("123");
        assert_eq!(flow.bytes(), 3);
    }

    #[test]
    fn forwarded_frames_are_reported_after_a_share_of_the_buffer() {
        let mut forwarded = ForwardedFrames::default();
        let threshold = ForwardedFrames::threshold(320);
        assert!(!forwarded.forwarded(9, threshold));
        assert!(forwarded.forwarded(1, threshold));
        assert_eq!(forwarded.report(), "2");
        assert!(!forwarded.forwarded(9, threshold));
        assert_eq!(forwarded.report(), "1");
    }

    #[test]
    fn polling_slows_down() {
        let first: Vec<Millis> = poll_intervals().take(8).collect();
        assert_eq!(first, [2, 4, 8, 16, 32, 64, 64, 64]);
    }
}
