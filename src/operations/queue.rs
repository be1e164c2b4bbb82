//! What waits in an isolate to be reported to the operations object, bounded by number and by bytes.

use std::collections::VecDeque;

use super::batch::BatchText;
use super::live_reports::LiveReports;
use super::outbox::{AfterSending, Outbox};
use crate::alerts::Observation;
use crate::config::Millis;
use crate::telemetry::RequestSummary;
use crate::telemetry::log_file::LogLines;
use crate::telemetry::metrics::{Family, Registry, SeriesRow, SeriesValue};
use crate::wire::record;

/// How many requests wait at most, and how many observations.
const MAX_WAITING: usize = 4_000;
/// The length of all requests that wait, and of all observations, in bytes of JSON.
const MAX_WAITING_BYTES: usize = 2 << 20;
/// How many requests a batch has at most, and how many observations.
const MAX_BATCH: usize = 250;
/// The length of a batch without its counters, in bytes. A row of the object has at most 2 MB.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How many samples of counters wait at most. Beyond that, names are counted together.
const MAX_SAMPLES: usize = 300;
/// How long counters wait for a report that takes them along, if they may cost a call of their own.
const SERIES_DELAY: Millis = 60_000;

/// What a batch has besides what waited.
#[derive(Debug)]
pub struct Stamp {
    /// The id of the batch: random.
    pub id: u64,
    /// The id of the isolate.
    pub isolate: u64,
    /// The gauges of the isolate.
    pub gauges: Vec<SeriesRow>,
    /// Lines for log files that go along; none with a batch that is not stored.
    pub lines: LogLines,
}

/// What waits.
#[derive(Debug)]
pub struct ReportQueue {
    /// As JSON, which their lengths are known by, and which takes less memory.
    summaries: Waiting<String>,
    observations: Waiting<Observation>,
    /// So many of the first observations were in a batch that did not arrive. They come back once.
    returned: usize,
    lost: u64,
    /// What was counted since the last batch.
    series: Registry,
    /// When the last batch was made.
    made_at: Millis,
    /// Whether a batch is made even if it has counters only.
    series_are_due: bool,
    outbox: Outbox<Unconfirmed>,
    /// Lines of a batch that did not arrive.
    returned_lines: LogLines,
    /// The last batch did not arrive.
    is_failing: bool,
    /// What watchers are told.
    pub live: LiveReports,
    is_off: bool,
}

/// What is left of a batch that has not been confirmed.
#[derive(Debug, Default)]
struct Unconfirmed {
    lost: u64,
    /// Those that were not in a batch before.
    observations: Vec<Observation>,
    sums: Vec<SeriesRow>,
    lines: LogLines,
}

impl Default for ReportQueue {
    fn default() -> Self {
        Self {
            summaries: Waiting::default(),
            observations: Waiting::default(),
            returned: 0,
            lost: 0,
            series: Registry::with_cap(MAX_SAMPLES),
            made_at: 0,
            series_are_due: false,
            outbox: Outbox::default(),
            returned_lines: LogLines::default(),
            is_failing: false,
            live: LiveReports::default(),
            is_off: false,
        }
    }
}

impl ReportQueue {
    /// Takes nothing from now on.
    pub fn turn_off(&mut self) {
        *self = Self { is_off: true, ..Self::default() };
    }

    /// Adds a request that has ended. One for which there is no room is counted.
    pub fn report(&mut self, summary: &RequestSummary) {
        if self.is_off {
            return;
        }
        let has_room = record::to_string(summary).is_ok_and(|json| {
            let bytes = json.len();
            self.summaries.push(json, bytes)
        });
        self.lost = self.lost.saturating_add(u64::from(!has_room));
    }

    /// Adds what an alert may be about, if there is room.
    pub fn observe(&mut self, observation: Observation) {
        if !self.is_off {
            let bytes = length(&observation);
            self.observations.push(observation, bytes);
        }
    }

    /// Adds to a counter.
    pub fn measure(&mut self, family: &'static Family, labels: &[&str], amount: u64) {
        if !self.is_off {
            self.series.observe(family, labels, amount);
        }
    }

    /// Whether counters are to be sent by themselves, because there was no batch for a while.
    pub fn series_become_due(&mut self, now: Millis) -> bool {
        // A clock that was set back does not stop it.
        self.series_are_due |= now < self.made_at || self.made_at.saturating_add(SERIES_DELAY) <= now;
        self.series_are_due
    }

    /// Whether lines for log files may go along with batches, because these arrive.
    pub fn carries_lines(&self) -> bool {
        !self.is_off && !self.is_failing
    }

    /// Takes the lines of batches that did not arrive. They have to be sent in another way.
    pub fn take_returned_lines(&mut self) -> LogLines {
        std::mem::take(&mut self.returned_lines)
    }

    /// Whether the caller is to send, because no other request is about to.
    pub fn becomes_sender(&mut self, now: Millis) -> bool {
        !self.is_off && self.outbox.becomes_sender(now)
    }

    /// The id and the JSON of the batch to send now; `None` if nothing waits that has to be sent. `stamp` is
    /// told whether the batch takes lines along.
    pub fn step(&mut self, now: Millis, stamp: impl FnOnce(bool) -> Stamp) -> Option<(u64, String)> {
        if let Some(unconfirmed) = self.outbox.take_abandoned() {
            self.take_back(unconfirmed);
        }
        if !self.outbox.is_full() {
            let is_due = std::mem::take(&mut self.series_are_due);
            if is_due || !self.summaries.items.is_empty() || !self.observations.items.is_empty() {
                self.made_at = now;
                let stamp = stamp(self.carries_lines());
                self.make_batch(stamp);
            } else if self.live.is_due(now) {
                self.make_live_batch(stamp(false));
            } else {
                self.outbox.stop();
                return None;
            }
        }
        self.outbox.send(now)
    }

    /// Whether the sender pauses before the next batch, because what waits would not fill one. Without a
    /// pause, where the object is far, each batch would be as long as its way takes.
    pub fn pauses(&mut self, now: Millis) -> bool {
        let is_full = self.summaries.fills_batch() || self.observations.fills_batch();
        let waits = !self.summaries.items.is_empty() || !self.observations.items.is_empty() || self.live.has_events();
        let pauses = waits && !is_full;
        if pauses {
            self.outbox.keep_sender(now);
        }
        pauses
    }

    fn make_batch(&mut self, Stamp { id, isolate, gauges, lines }: Stamp) {
        let sums = std::mem::replace(&mut self.series, Registry::with_cap(MAX_SAMPLES)).rows();
        let mut room = MAX_BATCH_BYTES;
        let summaries = self.summaries.take(&mut room);
        let observations = self.observations.take(&mut room);
        let old = self.returned.min(observations.len());
        self.returned = self.returned.saturating_sub(old);
        let lost = std::mem::take(&mut self.lost);
        let fresh = observations.iter().skip(old).cloned().collect();
        let lost_with_it = lost.saturating_add(summaries.len() as u64);
        let is_sum = |row: &&SeriesRow| !matches!(row.value, SeriesValue::Gauge { .. });
        let unconfirmed = Unconfirmed {
            lost: lost_with_it,
            observations: fresh,
            sums: sums.iter().filter(is_sum).cloned().collect(),
            lines: lines.clone(),
        };
        let series = sums.into_iter().chain(gauges).collect();
        let (live, live_dropped) = self.live.take();
        let batch = BatchText { id, isolate, observations, series, lost, lines, live, live_dropped };
        // What could not be written would be refused, and count as lost.
        self.outbox.put(id, batch.with(&summaries).unwrap_or_default(), unconfirmed);
    }

    /// Makes a batch that the object does not store.
    fn make_live_batch(&mut self, Stamp { id, isolate, .. }: Stamp) {
        let (live, live_dropped) = self.live.take();
        let batch = BatchText { id, isolate, live, live_dropped, ..BatchText::default() };
        self.outbox.put(id, serde_json::to_string(&batch).unwrap_or_default(), Unconfirmed::default());
    }

    /// What follows from sending the batch with this id.
    pub fn sent(&mut self, id: u64, has_arrived: bool, now: Millis) -> AfterSending<()> {
        self.is_failing = !has_arrived;
        match self.outbox.sent(id, has_arrived, now) {
            AfterSending::GiveUp(unconfirmed) => {
                self.take_back(unconfirmed);
                AfterSending::GiveUp(())
            }
            AfterSending::GoOn => AfterSending::GoOn,
            AfterSending::Wait => AfterSending::Wait,
            AfterSending::TakenOver => AfterSending::TakenOver,
        }
    }

    /// Counts what was lost with a batch. Its counters and observations wait for the next one, its lines to
    /// be sent in another way.
    fn take_back(&mut self, unconfirmed: Unconfirmed) {
        let Unconfirmed { lost, observations, sums, lines } = unconfirmed;
        self.is_failing = true;
        self.returned_lines.append(lines);
        self.lost = self.lost.saturating_add(lost);
        self.series.merge(&sums);
        self.returned = observations.into_iter().rev().fold(self.returned, |returned, observation| {
            let bytes = length(&observation);
            returned.saturating_add(usize::from(self.observations.put_back(observation, bytes)))
        });
    }
}

/// Items that wait, each with its length as JSON.
#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Waiting<T> {
    /// Adds an item of so many bytes, if there is room. Returns whether there was.
    fn push(&mut self, item: T, bytes: usize) -> bool {
        let fits = self.fits(bytes);
        if fits {
            self.bytes = self.bytes.saturating_add(bytes);
            self.items.push_back((item, bytes));
        }
        fits
    }

    /// Adds an item before all others, likewise.
    fn put_back(&mut self, item: T, bytes: usize) -> bool {
        let fits = self.fits(bytes);
        if fits {
            self.bytes = self.bytes.saturating_add(bytes);
            self.items.push_front((item, bytes));
        }
        fits
    }

    fn fits(&self, bytes: usize) -> bool {
        self.items.len() < MAX_WAITING
            && self.bytes.saturating_add(bytes) <= MAX_WAITING_BYTES
            && bytes <= MAX_BATCH_BYTES
    }

    fn fills_batch(&self) -> bool {
        self.items.len() >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES
    }

    /// Takes the first items that a batch has room for.
    fn take(&mut self, room: &mut usize) -> Vec<T> {
        let mut taken = Vec::new();
        while taken.len() < MAX_BATCH
            && self.items.front().is_some_and(|(_, bytes)| *bytes <= *room)
            && let Some((item, bytes)) = self.items.pop_front()
        {
            *room = room.saturating_sub(bytes);
            self.bytes = self.bytes.saturating_sub(bytes);
            taken.push(item);
        }
        taken
    }
}

/// The length of an observation as JSON. One of which JSON cannot be made fits nowhere.
fn length(observation: &Observation) -> usize {
    serde_json::to_string(observation).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batch;
    use super::*;
    use crate::operations::{LiveEvent, LiveRequest};
    use crate::telemetry::log_file::LogRecord;
    use crate::telemetry::metrics::LOST_RECEIPTS;

    fn summary(name: &str) -> RequestSummary {
        RequestSummary { route: name.to_owned(), ..RequestSummary::default() }
    }

    fn observation(number: u64) -> Observation {
        Observation::Spend { at: number, spent: 1 }
    }

    fn stamp(id: u64, lines: u64) -> Stamp {
        let record = |at| LogRecord { at, line: "{}".into() };
        let lines = LogLines { records: (0..lines).map(record).collect(), lost: lines };
        Stamp { id, isolate: 9, gauges: Vec::new(), lines }
    }

    fn step(queue: &mut ReportQueue, id: u64) -> Option<(u64, Batch)> {
        let (id, json) = queue.step(1_000, |_| stamp(id, 0))?;
        Some((id, serde_json::from_str(&json).unwrap()))
    }

    #[test]
    fn a_batch_that_is_not_confirmed_is_sent_again_under_its_id() {
        let mut queue = ReportQueue::default();
        queue.report(&summary("a"));
        let first = step(&mut queue, 1).unwrap();
        queue.report(&summary("b"));
        assert_eq!(queue.sent(1, false, 2_000), AfterSending::Wait);
        assert_eq!(step(&mut queue, 2).unwrap(), first);
        assert_eq!(queue.sent(1, true, 3_000), AfterSending::GoOn);
        let (id, second) = step(&mut queue, 3).unwrap();
        assert_eq!((id, second.summaries, second.lost), (3, vec![summary("b")], 0));
    }

    #[test]
    fn a_batch_that_is_given_up_is_counted_and_its_observations_come_back_once() {
        let mut queue = ReportQueue::default();
        queue.report(&summary("a"));
        queue.measure(&LOST_RECEIPTS, &[], 2);
        queue.observe(observation(1));
        queue.observe(observation(2));
        for id in [1, 2] {
            let (_, batch) = step(&mut queue, id).unwrap();
            assert_eq!(
                batch.observations.iter().take(2).cloned().collect::<Vec<_>>(),
                [observation(1), observation(2)]
            );
            assert_eq!(batch.series.len(), 1);
            assert_eq!(queue.sent(id, false, 0), AfterSending::Wait);
            step(&mut queue, 0);
            queue.observe(observation(3));
            assert_eq!(queue.sent(id, false, 0), AfterSending::GiveUp(()));
        }
        let (_, last) = step(&mut queue, 3).unwrap();
        assert_eq!((last.lost, last.observations), (1, vec![observation(3), observation(3)]));
    }

    #[test]
    fn lines_go_along_and_come_back_if_the_batch_did_not_arrive() {
        let mut queue = ReportQueue::default();
        queue.report(&summary("a"));
        let (_, json) = queue.step(0, |takes_lines| stamp(1, u64::from(takes_lines) * 2)).unwrap();
        let batch: Batch = serde_json::from_str(&json).unwrap();
        assert_eq!((batch.lines.records.len(), batch.lines.lost), (2, 2));
        assert!(queue.carries_lines());
        queue.sent(1, false, 0);
        assert!(!queue.carries_lines(), "what fails takes no more of them");
        assert_eq!(queue.step(0, |_| panic!("the batch is sent as it was")), Some((1, json)));
        assert!(queue.take_returned_lines().is_empty());
        queue.sent(1, false, 0);
        assert_eq!(queue.take_returned_lines(), batch.lines);
        assert!(queue.take_returned_lines().is_empty());
        assert!(step(&mut queue, 2).is_none());
        queue.report(&summary("b"));
        step(&mut queue, 3);
        queue.sent(3, true, 0);
        assert!(queue.carries_lines() && queue.take_returned_lines().is_empty());
    }

    #[test]
    fn the_sender_pauses_before_a_batch_that_would_not_be_full() {
        let mut queue = ReportQueue::default();
        assert!(!queue.pauses(0), "nothing waits");
        assert!(queue.becomes_sender(0));
        (0..MAX_BATCH + 1).for_each(|_| queue.report(&summary("a")));
        assert!(!queue.pauses(0), "a batch is full");
        step(&mut queue, 1);
        queue.sent(1, true, 2_000);
        assert!(queue.pauses(2_000), "one is left");
        assert!(!queue.becomes_sender(4_999), "the sender goes on");
        assert_eq!(step(&mut queue, 2).unwrap().1.summaries.len(), 1);
        queue.sent(2, true, 5_000);
        assert!(!queue.pauses(5_000) && step(&mut queue, 3).is_none());
    }

    #[test]
    fn queue_and_batches_are_bounded_by_bytes() {
        let mut queue = ReportQueue::default();
        let long = "x".repeat(100_000);
        (0..30).for_each(|_| queue.report(&summary(&long)));
        let mut sizes = Vec::new();
        let mut lost = 0;
        while let Some((id, json)) = queue.step(0, |_| stamp(1, 0)) {
            sizes.push(json.len());
            lost += serde_json::from_str::<Batch>(&json).unwrap().lost;
            queue.sent(id, true, 0);
        }
        assert_eq!((sizes.len(), lost), (2, 10));
        assert!(sizes.iter().all(|size| *size < 1_100_000), "{sizes:?}");
    }

    #[test]
    fn what_only_watchers_are_told_takes_no_counters_along() {
        let mut queue = ReportQueue::default();
        queue.measure(&LOST_RECEIPTS, &[], 2);
        assert!(step(&mut queue, 1).is_none());
        queue.live.add(LiveEvent::Started(LiveRequest { run: "a".into(), ..LiveRequest::default() }));
        let (_, batch) = step(&mut queue, 2).unwrap();
        assert!(batch.is_for_watchers_only() && batch.live.len() == 1);
        assert_eq!(queue.sent(2, true, 0), AfterSending::GoOn);
        queue.report(&summary("a"));
        let (_, batch) = step(&mut queue, 3).unwrap();
        assert_eq!((batch.series.len(), batch.live.len()), (1, 0));
    }

    #[test]
    fn a_queue_that_is_off_takes_nothing() {
        let mut queue = ReportQueue::default();
        queue.turn_off();
        queue.report(&summary("a"));
        queue.observe(observation(1));
        assert!(!queue.becomes_sender(0));
        assert!(step(&mut queue, 1).is_none());
    }
}
