//! Batches what is exported: what is sent when, what is sent again, and what is dropped. A value; its owner
//! sends, and reports what came of it.

use std::collections::VecDeque;

use super::response::SendResult;
use crate::config::Millis;

/// The first wait before a batch is sent again; it doubles with each try.
const FIRST_WAIT: Millis = 1_000;
/// The longest wait, whatever the back end asks for.
const MAX_WAIT: Millis = 300_000;

/// The bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// The most items that wait. Further ones are dropped.
    pub max_waiting: usize,
    /// The most bytes that wait. Lines of the log may contain conversations.
    pub max_waiting_bytes: usize,
    /// The most items of a batch; at least 1.
    pub max_batch: usize,
    /// The most bytes of a batch, unless its first item alone has more.
    pub max_batch_bytes: usize,
    /// How long an item waits for others, in milliseconds.
    pub delay: Millis,
    /// How often a batch is sent.
    pub max_tries: u32,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            max_waiting: 2_048,
            max_waiting_bytes: 4 << 20,
            max_batch: 512,
            max_batch_bytes: 1 << 20,
            delay: 5_000,
            max_tries: 5,
        }
    }
}

/// Why an item was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The queue was full.
    Full,
    /// The back end will never take its batch.
    Refused,
    /// The back end took its batch, except for some items.
    Rejected,
    /// Its batch was sent as often as is allowed.
    GaveUp,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Full, Self::Refused, Self::Rejected, Self::GaveUp];

    /// Its name, as the value of a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::GaveUp => "gave_up",
        }
    }
}

/// How many items were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    full: u64,
    refused: u64,
    rejected: u64,
    gave_up: u64,
}

impl Dropped {
    /// Those of a reason.
    pub fn by(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::Full => self.full,
            DropReason::Refused => self.refused,
            DropReason::Rejected => self.rejected,
            DropReason::GaveUp => self.gave_up,
        }
    }

    /// All.
    pub fn sum(&self) -> u64 {
        DropReason::ALL.into_iter().fold(0, |sum: u64, reason| sum.saturating_add(self.by(reason)))
    }

    fn add(&mut self, reason: DropReason, count: u64) {
        let total = match reason {
            DropReason::Full => &mut self.full,
            DropReason::Refused => &mut self.refused,
            DropReason::Rejected => &mut self.rejected,
            DropReason::GaveUp => &mut self.gave_up,
        };
        *total = total.saturating_add(count);
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum QueueStep<'q, T> {
    /// Nothing, until an item comes or the batch that was sent has ended.
    Idle,
    /// Ask again at this time.
    Wait(Millis),
    /// Send this batch, and report what came of it by [`ExportQueue::sent`].
    Send(&'q [T]),
}

/// Items that wait to be exported. One batch is under way at a time.
#[derive(Clone, Debug)]
pub struct ExportQueue<T> {
    limits: QueueLimits,
    /// What waits, each with its weight in bytes.
    waiting: VecDeque<(T, usize)>,
    waiting_bytes: usize,
    /// When the oldest item that waits came.
    since: Millis,
    batch: Option<Batch<T>>,
    taken: u64,
    dropped: Dropped,
}

/// A batch that is under way, or will be sent again.
#[derive(Clone, Debug)]
struct Batch<T> {
    items: Vec<T>,
    tries: u32,
    not_before: Millis,
    is_under_way: bool,
}

impl<T> ExportQueue<T> {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        let (waiting, dropped) = (VecDeque::new(), Dropped::default());
        Self { limits, waiting, waiting_bytes: 0, since: 0, batch: None, taken: 0, dropped }
    }

    /// Adds an item of about so many bytes, or drops it if the queue is full.
    pub fn push(&mut self, item: T, bytes: usize, now: Millis) {
        let waiting_bytes = self.waiting_bytes.saturating_add(bytes);
        if self.waiting.len() >= self.limits.max_waiting || waiting_bytes > self.limits.max_waiting_bytes {
            return self.dropped.add(DropReason::Full, 1);
        }
        if self.waiting.is_empty() {
            self.since = now;
        }
        self.waiting.push_back((item, bytes));
        self.waiting_bytes = waiting_bytes;
    }

    /// What to do at `now`.
    pub fn step(&mut self, now: Millis) -> QueueStep<'_, T> {
        if self.batch.is_none() {
            if self.waiting.is_empty() {
                return QueueStep::Idle;
            }
            // A clock that was set back must not prolong the wait.
            self.since = self.since.min(now);
            let due = self.since.saturating_add(self.limits.delay);
            if !self.fills_a_batch() && now < due {
                return QueueStep::Wait(due);
            }
            self.begin_batch(now);
        }
        match &mut self.batch {
            Some(batch) if !batch.is_under_way => batch.step(now),
            Some(_) | None => QueueStep::Idle,
        }
    }

    /// When something is to be sent next; `None` if nothing waits, or a batch is under way.
    pub fn due(&self, now: Millis) -> Option<Millis> {
        match &self.batch {
            Some(batch) if batch.is_under_way => None,
            Some(batch) => Some(batch.not_before.min(now.saturating_add(MAX_WAIT))),
            None if self.waiting.is_empty() => None,
            None if self.fills_a_batch() => Some(now),
            None => Some(self.since.min(now).saturating_add(self.limits.delay)),
        }
    }

    fn fills_a_batch(&self) -> bool {
        self.waiting.len() >= self.limits.max_batch || self.waiting_bytes >= self.limits.max_batch_bytes
    }

    fn begin_batch(&mut self, now: Millis) {
        let (mut items, mut batch_bytes) = (Vec::new(), 0_usize);
        while let Some((item, bytes)) = self.waiting.pop_front() {
            let fits =
                batch_bytes.saturating_add(bytes) <= self.limits.max_batch_bytes && items.len() < self.limits.max_batch;
            if !items.is_empty() && !fits {
                self.waiting.push_front((item, bytes));
                break;
            }
            items.push(item);
            batch_bytes = batch_bytes.saturating_add(bytes);
        }
        self.waiting_bytes = self.waiting_bytes.saturating_sub(batch_bytes);
        self.since = now;
        self.batch = Some(Batch { items, tries: 0, not_before: now, is_under_way: false });
    }

    /// What came of the batch that was sent. `jitter`: a random number; it spreads what several isolates send
    /// again.
    pub fn sent(&mut self, result: &SendResult, now: Millis, jitter: u64) {
        let Some(mut batch) = self.batch.take() else { return };
        let count = batch.items.len() as u64;
        match result {
            SendResult::Taken { rejected, .. } => {
                let rejected = count.min(*rejected);
                self.dropped.add(DropReason::Rejected, rejected);
                self.taken = self.taken.saturating_add(count - rejected);
            }
            SendResult::Refused { .. } => self.dropped.add(DropReason::Refused, count),
            SendResult::Again { .. } if batch.tries >= self.limits.max_tries => {
                self.dropped.add(DropReason::GaveUp, count);
            }
            SendResult::Again { wait } => {
                batch.wait(*wait, now, jitter);
                self.batch = Some(batch);
            }
        }
    }

    /// Whether a batch has been sent whose result is not known yet.
    pub fn is_under_way(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.is_under_way)
    }

    /// How many items back ends have taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How many items were dropped.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// How many items wait, those of the present batch included.
    pub fn held(&self) -> usize {
        self.waiting.len() + self.batch.as_ref().map_or(0, |batch| batch.items.len())
    }
}

impl<T> Batch<T> {
    fn step(&mut self, now: Millis) -> QueueStep<'_, T> {
        self.not_before = self.not_before.min(now.saturating_add(MAX_WAIT));
        if now < self.not_before {
            return QueueStep::Wait(self.not_before);
        }
        (self.is_under_way, self.tries) = (true, self.tries.saturating_add(1));
        QueueStep::Send(&self.items)
    }

    /// Waits for the time that the back end asked for, or longer with each try.
    fn wait(&mut self, asked: Option<Millis>, now: Millis, jitter: u64) {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.tries.saturating_sub(1).min(10));
        let wait = asked.unwrap_or(doubled + jitter % doubled);
        (self.is_under_way, self.not_before) = (false, now.saturating_add(wait.min(MAX_WAIT)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: SendResult = SendResult::Again { wait: None };

    fn limits() -> QueueLimits {
        QueueLimits {
            max_waiting: 5,
            max_waiting_bytes: 100,
            max_batch: 3,
            max_batch_bytes: 30,
            delay: 100,
            max_tries: 3,
        }
    }

    fn queue(items: u32) -> ExportQueue<u32> {
        let mut queue = ExportQueue::new(limits());
        (0..items).for_each(|item| queue.push(item, 1, 1_000));
        queue
    }

    fn taken(rejected: u64) -> SendResult {
        SendResult::Taken { rejected, message: String::new() }
    }

    #[test]
    fn a_batch_is_sent_when_it_is_full_or_old() {
        let mut few = queue(2);
        assert_eq!(few.step(1_050), QueueStep::Wait(1_100));
        assert_eq!(few.step(1_100), QueueStep::Send(&[0, 1]));
        assert_eq!(few.step(1_200), QueueStep::Idle);
        assert_eq!(queue(4).step(1_000), QueueStep::Send(&[0, 1, 2]));
        assert_eq!(queue(0).step(1_000), QueueStep::Idle);
    }

    #[test]
    fn a_full_queue_drops_what_comes() {
        let mut full = queue(7);
        assert_eq!((full.held(), full.dropped().by(DropReason::Full)), (5, 2));
        assert_eq!(full.step(1_000), QueueStep::Send(&[0, 1, 2]));
        full.push(9, 1, 1_000);
        assert_eq!(full.held(), 6);
    }

    #[test]
    fn bytes_are_bounded_like_items() {
        let mut heavy = queue(0);
        for (item, bytes) in [(0, 20), (1, 20), (2, 50), (3, 11), (4, 10)] {
            heavy.push(item, bytes, 1_000);
        }
        assert_eq!((heavy.held(), heavy.dropped().by(DropReason::Full)), (4, 1));
        for (batch, now) in [([0], 1_100), ([1], 1_200), ([2], 1_300), ([4], 1_400)] {
            assert_eq!(heavy.step(now), QueueStep::Send(&batch));
            heavy.sent(&taken(0), now, 0);
        }
        assert_eq!((heavy.held(), heavy.taken()), (0, 4));
    }

    #[test]
    fn a_batch_is_sent_again_after_waits_that_double_and_then_dropped() {
        let mut queue = queue(3);
        assert_eq!(queue.step(1_000), QueueStep::Send(&[0, 1, 2]));
        queue.sent(&AGAIN, 1_000, 0);
        assert_eq!(queue.step(1_999), QueueStep::Wait(2_000));
        assert_eq!(queue.step(2_000), QueueStep::Send(&[0, 1, 2]));
        queue.sent(&AGAIN, 2_000, 1);
        assert_eq!(queue.step(2_000), QueueStep::Wait(4_001));
        assert_eq!(queue.step(4_001), QueueStep::Send(&[0, 1, 2]));
        queue.sent(&AGAIN, 4_001, 0);
        assert_eq!(queue.dropped().by(DropReason::GaveUp), 3);
        assert_eq!(queue.step(9_000), QueueStep::Idle);
    }

    #[test]
    fn the_wait_that_a_back_end_asks_for_is_bounded() {
        for (asked, until) in [(7_000, 8_000), (u64::MAX, 1_000 + MAX_WAIT)] {
            let mut queue = queue(3);
            queue.step(1_000);
            queue.sent(&SendResult::Again { wait: Some(asked) }, 1_000, 5);
            assert_eq!(queue.step(1_000), QueueStep::Wait(until));
        }
    }

    #[test]
    fn a_partial_success_is_not_sent_again() {
        let mut queue = queue(3);
        queue.step(1_000);
        queue.sent(&taken(2), 1_000, 0);
        assert_eq!((queue.taken(), queue.dropped().by(DropReason::Rejected), queue.held()), (1, 2, 0));
    }

    #[test]
    fn a_back_end_cannot_reject_more_than_it_was_sent() {
        let mut queue = queue(3);
        queue.step(1_000);
        queue.sent(&taken(u64::MAX), 1_000, 0);
        assert_eq!(queue.dropped().sum(), 3);
        // A result without a batch changes nothing.
        queue.sent(&taken(0), 1_000, 0);
        assert_eq!(queue.taken(), 0);
    }

    #[test]
    fn a_refusal_drops_the_batch_and_the_next_one_is_sent() {
        let mut queue = queue(4);
        queue.step(1_000);
        queue.sent(&SendResult::Refused { status: 400 }, 1_000, 0);
        assert_eq!(queue.dropped().by(DropReason::Refused), 3);
        assert_eq!(queue.step(1_100), QueueStep::Send(&[3]));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_prolong_waits() {
        let mut queue = queue(1);
        assert_eq!(queue.step(10), QueueStep::Wait(110));
        assert_eq!(queue.step(110), QueueStep::Send(&[0]));
        queue.sent(&SendResult::Again { wait: Some(MAX_WAIT) }, 1_000_000, 0);
        assert_eq!(queue.step(0), QueueStep::Wait(MAX_WAIT));
    }
}
