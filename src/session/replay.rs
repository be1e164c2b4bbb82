//! The frames of a session that may have to be sent again, in a bounded memory. It does not know what they say.

use std::collections::VecDeque;
use std::rc::Rc;

/// Frames that are not known to have arrived.
#[derive(Debug, Default)]
pub struct ReplayBuffer {
    frames: VecDeque<(u64, Rc<str>)>,
    bytes: usize,
    /// The number of the newest frame.
    last: u64,
}

/// Why frames cannot be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayGap {
    /// Some after that number are not kept any more.
    Lost,
    /// There has been no such frame yet.
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

    /// Takes a frame, which has the number [`ReplayBuffer::next`].
    pub fn push(&mut self, text: &Rc<str>) {
        self.last = self.next();
        self.bytes += text.len();
        self.frames.push_back((self.last, Rc::clone(text)));
    }

    /// All frames up to this number have arrived.
    pub fn ack(&mut self, seq: u64) {
        while self.frames.front().is_some_and(|(number, _)| *number <= seq) {
            self.drop_first();
        }
    }

    /// Forgets the oldest frames that are more than so many bytes, though nobody knows whether they have arrived.
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
    /// If not all of them are there.
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

    /// All that is held, as text: each frame behind its number and its length in bytes.
    pub fn write(&self) -> String {
        self.frames.iter().map(|(number, text)| format!("{number} {}\n{text}", text.len())).collect()
    }

    /// What [`ReplayBuffer::write`] wrote, of a session whose newest frame has the number `last`. What is torn is left out.
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

/// The first frame of a text, and what follows it.
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

    #[test]
    fn what_has_not_arrived_is_sent_again() {
        let mut replay = ReplayBuffer::default();
        assert_eq!(replay.after(0), Ok(vec![]));
        ["a", "b", "c"].iter().for_each(|text| replay.push(&Rc::from(*text)));
        assert_eq!(texts(&replay.after(0).unwrap()), ["a", "b", "c"]);
        replay.ack(1);
        assert_eq!(texts(&replay.after(2).unwrap()), ["c"]);
        assert_eq!((replay.after(0), replay.after(4)), (Err(ReplayGap::Lost), Err(ReplayGap::Ahead)));
        replay.ack(3);
        assert_eq!((replay.after(3), replay.after(2), replay.bytes()), (Ok(vec![]), Err(ReplayGap::Lost), 0));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut replay = ReplayBuffer::default();
        ["a\n1 2\n", "é", ""].iter().for_each(|text| replay.push(&Rc::from(*text)));
        let mut read = ReplayBuffer::read(&replay.write(), 3);
        assert_eq!((texts(&read.after(0).unwrap()), read.bytes()), (vec!["a\n1 2\n", "é", ""], replay.bytes()));
        read = ReplayBuffer::read("", 3);
        assert_eq!((read.after(3), read.after(2)), (Ok(vec![]), Err(ReplayGap::Lost)));
    }

    #[test]
    fn the_oldest_make_way() {
        let mut replay = ReplayBuffer::default();
        ["aaaa", "bb", "c"].iter().for_each(|text| replay.push(&Rc::from(*text)));
        replay.shed(3);
        assert_eq!(texts(&replay.after(1).unwrap()), ["bb", "c"]);
        replay.shed(0);
        assert_eq!((replay.bytes(), replay.next()), (0, 4));
    }
}
