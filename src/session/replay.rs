//! The numbered frames of a session that may have to be sent again.

use std::collections::VecDeque;
use std::rc::Rc;

/// Frames that the client has not acknowledged.
#[derive(Debug, Default)]
pub struct ReplayBuffer {
    frames: VecDeque<(u64, Rc<str>)>,
    bytes: usize,
    /// The number of the newest frame.
    last: u64,
}

/// Why a client cannot resume after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayGap {
    /// Some of the frames after it are no longer held.
    Lost,
    /// It has not been sent yet.
    Ahead,
}

impl ReplayBuffer {
    /// The number of the next frame.
    pub fn next(&self) -> u64 {
        self.last.saturating_add(1)
    }

    /// The number of the newest frame.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a frame, with the number [`ReplayBuffer::next`].
    pub fn push(&mut self, text: &Rc<str>) {
        self.last = self.next();
        self.bytes += text.len();
        self.frames.push_back((self.last, Rc::clone(text)));
    }

    /// Drops the frames up to this number: they have arrived.
    pub fn ack(&mut self, seq: u64) {
        while self.frames.front().is_some_and(|(number, _)| *number <= seq) {
            self.drop_first();
        }
    }

    /// Drops the oldest frames until at most `limit` bytes are held.
    pub fn shed(&mut self, limit: usize) {
        while self.bytes > limit {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        self.bytes -= self.frames.pop_front().map_or(self.bytes, |(_, text)| text.len());
    }

    /// The frames after this number.
    ///
    /// # Errors
    /// Not all of them are held.
    pub fn after(&self, seq: u64) -> Result<Vec<Rc<str>>, ReplayGap> {
        if seq > self.last {
            return Err(ReplayGap::Ahead);
        }
        let floor = self.frames.front().map_or(self.last, |(number, _)| number.saturating_sub(1));
        if seq < floor {
            return Err(ReplayGap::Lost);
        }
        Ok(self.frames.iter().filter(|(number, _)| *number > seq).map(|(_, text)| Rc::clone(text)).collect())
    }

    /// All frames as text, each after its number and its length in bytes. The form is stored.
    pub fn write(&self) -> String {
        self.frames.iter().map(|(number, text)| format!("{number} {}\n{text}", text.len())).collect()
    }

    /// Reads what [`ReplayBuffer::write`] wrote, up to the first incomplete frame. `last` is the number of
    /// the session's newest frame.
    pub fn read(mut text: &str, last: u64) -> Self {
        let mut replay = Self { last, ..Self::default() };
        while let Some((number, frame, rest)) = first(text) {
            replay.bytes += frame.len();
            replay.frames.push_back((number, frame.into()));
            text = rest;
        }
        replay
    }
}

/// The number and text of the first frame, and the rest.
fn first(text: &str) -> Option<(u64, &str, &str)> {
    let (head, rest) = text.split_once('\n')?;
    let (number, length) = head.split_once(' ')?;
    let (frame, rest) = rest.split_at_checked(length.parse().ok()?)?;
    Some((number.parse().ok()?, frame, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frames: &[Rc<str>]) -> Vec<&str> {
        frames.iter().map(AsRef::as_ref).collect()
    }

    fn holding(frames: &[&str]) -> ReplayBuffer {
        let mut replay = ReplayBuffer::default();
        frames.iter().for_each(|text| replay.push(&Rc::from(*text)));
        replay
    }

    #[test]
    fn unacknowledged_frames_can_be_sent_again() {
        let mut replay = holding(&["a", "b", "c"]);
        assert_eq!(texts(&replay.after(0).unwrap()), ["a", "b", "c"]);
        replay.ack(1);
        assert_eq!(texts(&replay.after(2).unwrap()), ["c"]);
        assert_eq!(replay.after(0), Err(ReplayGap::Lost));
        assert_eq!(replay.after(4), Err(ReplayGap::Ahead));
        replay.ack(3);
        assert_eq!(replay.after(3), Ok(vec![]));
        assert_eq!(replay.after(2), Err(ReplayGap::Lost));
        assert_eq!(replay.bytes(), 0);
    }

    #[test]
    fn without_frames_there_is_nothing_to_send() {
        assert_eq!(ReplayBuffer::default().after(0), Ok(vec![]));
        let restored = ReplayBuffer::read("", 3);
        assert_eq!(restored.after(3), Ok(vec![]));
        assert_eq!(restored.after(2), Err(ReplayGap::Lost));
    }

    #[test]
    fn written_frames_are_read_back() {
        let replay = holding(&["a\n1 2\n", "é", ""]);
        let read = ReplayBuffer::read(&replay.write(), 3);
        assert_eq!(texts(&read.after(0).unwrap()), ["a\n1 2\n", "é", ""]);
        assert_eq!(read.bytes(), replay.bytes());
    }

    #[test]
    fn the_oldest_frames_are_dropped_first() {
        let mut replay = holding(&["aaaa", "bb", "c"]);
        replay.shed(3);
        assert_eq!(texts(&replay.after(1).unwrap()), ["bb", "c"]);
        replay.shed(0);
        assert_eq!(replay.bytes(), 0);
        assert_eq!(replay.next(), 4);
    }
}
