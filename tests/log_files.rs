//! Log files over a simulated object and a simulated bucket: whatever is written, fails, or is opened anew,
//! the lines that are kept are the newest ones, whole and in their order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

use std::collections::BTreeMap;

use llm_bridge::config::{FileLog, LogLevel};
use llm_bridge::telemetry::log_file::{
    BucketTask, LineRow, LogBatch, LogQuery, LogRecord, LogSearch, LogSnapshot, LogWrite, LogWriter, Segment,
    SegmentPlace,
};
use proptest::prelude::*;

/// 2026-11-27T00:00:00Z.
const START: u64 = 1_795_737_600_000;
const DAY: u64 = 86_400_000;
const MAX_SIZE: u64 = 300;

fn settings() -> FileLog {
    FileLog { path: "logs".to_owned(), max_size: MAX_SIZE, backup_count: 3, keep_days: None }
}

/// The object's tables, and the bucket.
#[derive(Default)]
struct Store {
    lines: BTreeMap<u64, String>,
    rows: BTreeMap<u64, Vec<LineRow>>,
    segments: BTreeMap<u64, String>,
    counts: Option<String>,
    bucket: BTreeMap<String, String>,
}

impl Store {
    fn apply(&mut self, writes: Vec<LogWrite>) {
        for write in writes {
            match write {
                LogWrite::AddLines { segment, row, lines } => {
                    assert!(lines.ends_with('\n') && lines.len() <= 1 << 20);
                    let held = self.lines.entry(segment).or_default();
                    assert_eq!(held.len() as u64, row.offset);
                    assert_eq!((lines.len() as u64, lines.lines().count() as u64), (row.bytes, row.lines));
                    self.rows.entry(segment).or_default().push(row);
                    held.push_str(&lines);
                }
                LogWrite::PutSegment(number, description) => drop(self.segments.insert(number, description)),
                LogWrite::DeleteLines(number) => {
                    assert!(self.lines.remove(&number).is_some() && self.rows.remove(&number).is_some());
                }
                LogWrite::DeleteSegment(number) => assert!(self.segments.remove(&number).is_some()),
                LogWrite::PutCounts(counts) => self.counts = Some(counts),
            }
        }
    }

    fn open(&self, settings: FileLog, has_bucket: bool) -> LogWriter {
        let segments = self.segments.values().cloned().collect();
        let newest = self.segments.keys().last().and_then(|number| self.rows.get(number)).cloned().unwrap_or_default();
        let read = newest.iter().rev().take(LogSnapshot::ROWS).rev();
        let rows = read.map(|row| serde_json::to_string(row).unwrap()).collect();
        LogWriter::open(settings, has_bucket, &LogSnapshot { segments, rows, counts: self.counts.clone() })
    }

    /// Whether it knows of a batch when it is opened.
    fn knows(&self, batch: &LogBatch) -> bool {
        let newest = self.segments.keys().last().and_then(|number| self.rows.get(number));
        newest.is_some_and(|rows| rows.iter().any(|row| row.batch == Some(batch.id)))
    }

    /// The lines of a segment, wherever they are.
    fn text(&self, segment: &Segment) -> &str {
        match segment.place {
            SegmentPlace::Open | SegmentPlace::Object => &self.lines[&segment.number],
            SegmentPlace::Bucket => &self.bucket[&segment.key],
            SegmentPlace::Expired => "",
        }
    }
}

/// A writer with its store, and all lines that it was given.
struct Log {
    writer: LogWriter,
    store: Store,
    settings: FileLog,
    has_bucket: bool,
    now: u64,
    written: String,
    batches: u64,
}

impl Log {
    fn new(settings: FileLog, has_bucket: bool) -> Self {
        let store = Store::default();
        let writer = store.open(settings.clone(), has_bucket);
        Self { writer, store, settings, has_bucket, now: START, written: String::new(), batches: 0 }
    }

    /// Writes a batch of lines of these lengths.
    fn append(&mut self, lengths: &[usize]) -> LogBatch {
        self.batches += 1;
        let id = self.batches;
        let line = |(number, length): (usize, &usize)| format!("{{\"l\":\"{id}.{number} {}\"}}", "x".repeat(*length));
        let lines: Vec<String> = lengths.iter().enumerate().map(line).collect();
        lines.iter().for_each(|line| self.written.extend([line.as_str(), "\n"]));
        let records = lines.into_iter().map(|line| LogRecord { at: self.now, line }).collect();
        let batch = LogBatch { id, records, lost: 0 };
        self.send(batch.clone());
        batch
    }

    fn send(&mut self, batch: LogBatch) {
        let mut writes = Vec::new();
        self.writer.append(batch, self.now, &mut writes);
        self.store.apply(writes);
    }

    fn tick(&mut self) {
        let mut writes = Vec::new();
        self.writer.tick(self.now, &mut writes);
        self.store.apply(writes);
    }

    /// What happens in the bucket, whether or not its response arrives.
    fn carry_out(&mut self, task: &BucketTask) {
        match task {
            BucketTask::Put { segment, key } => {
                let text = self.store.lines[segment].clone();
                let earlier = self.store.bucket.insert(key.clone(), text.clone());
                assert!(earlier.is_none_or(|earlier| earlier == text), "a segment in the bucket has changed");
            }
            BucketTask::Delete { key, .. } => drop(self.store.bucket.remove(key)),
        }
    }

    /// Does tasks in the bucket until none is left or the bucket is to be left alone.
    fn work(&mut self, limit: usize) {
        for _ in 0..limit {
            let Some(task) = self.writer.next_task(self.now) else { return };
            self.carry_out(&task);
            let mut writes = Vec::new();
            self.writer.task_done(&task, &mut writes);
            self.store.apply(writes);
        }
    }

    fn reopen(&mut self) {
        let before: Vec<Segment> = self.writer.segments().cloned().collect();
        self.writer = self.store.open(self.settings.clone(), self.has_bucket);
        assert_eq!(self.writer.segments().cloned().collect::<Vec<_>>(), before);
    }

    /// The lines that are kept, oldest first.
    fn kept(&self) -> String {
        self.writer.segments().rev().map(|segment| self.store.text(segment)).collect()
    }

    fn check(&self) {
        let kept = self.kept();
        assert!(self.written.ends_with(&kept), "the newest lines are kept");
        let cut = self.written.len() - kept.len();
        assert!(cut == 0 || self.written.as_bytes()[cut - 1] == b'\n', "lines are whole");
        let mut newer = u64::MAX;
        for segment in self.writer.segments() {
            assert!(segment.number < newer);
            newer = segment.number;
            self.check_segment(segment);
        }
        let backups = self.writer.segments().filter(|segment| is_backup(segment)).count();
        assert!(backups as u64 <= self.settings.backup_count);
        let status = self.writer.status();
        assert_eq!(status.bytes, kept.len() as u64);
        assert_eq!(status.object_bytes, self.store.lines.values().map(String::len).sum::<usize>() as u64);
    }

    fn check_segment(&self, segment: &Segment) {
        if segment.place == SegmentPlace::Expired {
            return;
        }
        let text = self.store.text(segment);
        assert_eq!(segment.bytes, text.len() as u64);
        assert_eq!(segment.lines, text.lines().count() as u64);
        assert!(segment.bytes <= self.settings.max_size || segment.lines == 1, "{segment:?}");
    }
}

fn is_backup(segment: &Segment) -> bool {
    matches!(segment.place, SegmentPlace::Object | SegmentPlace::Bucket)
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Repeat,
    Wait(u64),
    SetBack(u64),
    Tick,
    Work(usize),
    /// The bucket does the task, or not, and its response is lost.
    Fail(bool),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0_usize..400, 0..6).prop_map(Step::Append),
        1 => Just(Step::Repeat),
        2 => (0..DAY).prop_map(Step::Wait),
        1 => (0..DAY).prop_map(Step::SetBack),
        2 => Just(Step::Tick),
        2 => (0_usize..4).prop_map(Step::Work),
        1 => any::<bool>().prop_map(Step::Fail),
        2 => Just(Step::Reopen),
    ]
}

proptest! {
    #[test]
    fn the_newest_lines_are_kept_whole_and_in_order(steps in prop::collection::vec(step(), 0..60), has_bucket: bool) {
        let mut log = Log::new(settings(), has_bucket);
        let mut latest = None;
        for step in steps {
            match step {
                Step::Append(lengths) => latest = Some(log.append(&lengths)),
                Step::Repeat => latest.iter().cloned().for_each(|batch| log.send(batch)),
                Step::Wait(time) => log.now += time,
                Step::SetBack(time) => log.now = (log.now - time).max(START),
                Step::Tick => log.tick(),
                Step::Work(limit) => log.work(limit),
                Step::Fail(is_done) => {
                    if let Some(task) = log.writer.next_task(log.now) {
                        if is_done {
                            log.carry_out(&task);
                        }
                        log.writer.task_failed(log.now);
                    }
                }
                // A batch is remembered in memory, and with its row as long as the object has it.
                Step::Reopen => {
                    log.reopen();
                    latest = latest.filter(|batch| log.store.knows(batch));
                }
            }
            log.check();
        }
        // Later than any clock before, so that the bucket is not left alone any more.
        log.now += 100 * DAY;
        log.tick();
        log.work(usize::MAX);
        log.check();
        if has_bucket {
            let kept: Vec<String> = log.writer.segments().map(|segment| segment.key.clone()).rev().collect();
            let mut stored: Vec<String> = log.store.bucket.keys().cloned().collect();
            stored.sort_by_key(|key| key.rsplit('/').next().unwrap().to_owned());
            prop_assert_eq!(kept, stored);
            prop_assert_eq!(log.store.lines.len(), 0);
            prop_assert_eq!(log.writer.wake_at(), None);
        } else {
            prop_assert_eq!(log.store.bucket.len(), 0);
        }
    }

    #[test]
    fn a_search_finds_what_a_reader_of_all_lines_finds(
        lengths in prop::collection::vec(0_usize..80, 0..40),
        tail in 1_usize..30,
    ) {
        let mut log = Log::new(settings(), true);
        for (count, length) in lengths.iter().enumerate() {
            log.append(&[*length]);
            if count % 7 == 0 {
                log.work(1);
            }
        }
        let kept = log.kept();
        let all: Vec<&str> = kept.lines().collect();
        let mut search = LogSearch::new(LogQuery::newest(tail));
        for segment in log.writer.segments() {
            if search.wants(segment) {
                search.search(log.store.text(segment));
            }
        }
        let (found, has_more) = search.finish();
        prop_assert_eq!(&found, &all[all.len().saturating_sub(tail)..]);
        prop_assert_eq!(has_more, all.len() > tail);
    }
}

#[test]
fn a_batch_is_one_row_and_the_segment_is_described_now_and_then() {
    let mut log = Log::new(FileLog { max_size: 1 << 20, ..settings() }, false);
    let mut writes = Vec::new();
    for id in 1..=320 {
        let records = vec![LogRecord { at: START, line: "{}".to_owned() }; 3];
        log.writer.append(LogBatch { id, records, lost: 0 }, START, &mut writes);
    }
    let rows = writes.iter().filter(|write| matches!(write, LogWrite::AddLines { .. })).count();
    assert_eq!(rows, 320);
    assert!(writes.len() <= rows + 320 / 32 + 2, "{}", writes.len());
    log.store.apply(writes);
    log.reopen();
    assert_eq!(log.writer.status().bytes, 320 * 9);
}

#[test]
fn a_batch_that_was_not_stored_to_its_end_is_written_again() {
    let mut log = Log::new(FileLog { max_size: 16 << 20, ..settings() }, false);
    log.append(&[10]);
    let line = |at: u64| LogRecord { at, line: format!("{{\"l\":\"{}\"}}", "x".repeat(700_000)) };
    let batch = LogBatch { id: 99, records: vec![line(START + 1), line(START + 2)], lost: 0 };
    let mut writes = Vec::new();
    log.writer.append(batch.clone(), START, &mut writes);
    // The object stored the first of two rows, and failed.
    writes.truncate(1);
    log.store.apply(writes);
    log.writer = log.store.open(log.settings.clone(), false);
    let open = log.writer.segments().next().unwrap().clone();
    assert_eq!(open.lines, 1);
    // What the object cuts off then.
    log.store.lines.get_mut(&open.number).unwrap().truncate(usize::try_from(open.bytes).unwrap());
    log.store.rows.get_mut(&open.number).unwrap().truncate(1);
    log.send(batch.clone());
    log.send(batch);
    log.reopen();
    assert_eq!(log.writer.segments().next().unwrap().lines, 3);
}

#[test]
fn segments_lie_under_their_day_and_are_closed_when_it_is_over() {
    let mut log = Log::new(settings(), true);
    log.append(&[10]);
    assert_eq!(log.writer.wake_at(), Some(START + DAY));
    log.now = START + DAY - 1;
    log.tick();
    assert_eq!(log.writer.next_task(log.now), None);
    log.now += 1;
    log.tick();
    let key = "logs/2026-11-27/00000001.jsonl".to_owned();
    assert_eq!(log.writer.next_task(log.now), Some(BucketTask::Put { segment: 1, key: key.clone() }));
    assert!(log.writer.wake_at().unwrap() <= log.now);
    log.work(1);
    assert_eq!(log.store.bucket[&key], log.written);
    assert_eq!(log.writer.wake_at(), None);
    log.append(&[10]);
    let keys: Vec<&str> = log.writer.segments().map(|segment| segment.key.as_str()).collect();
    assert_eq!(keys, ["logs/2026-11-28/00000002.jsonl", &key]);
}

#[test]
fn a_bucket_that_fails_is_asked_less_and_less_often() {
    let mut log = Log::new(settings(), true);
    log.append(&[200, 200]);
    let mut waits = Vec::new();
    for _ in 0..8 {
        log.writer.task_failed(log.now);
        let until = log.writer.wake_at().unwrap();
        assert_eq!(log.writer.next_task(until - 1), None);
        assert!(log.writer.next_task(until).is_some());
        waits.push((until - log.now) / 1000);
        log.now = until;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
    assert_eq!(log.writer.status().bucket_failures, 8);
    log.work(1);
    assert_eq!(log.writer.status().bucket_failures, 0);
}

#[test]
fn lines_that_the_bucket_never_took_are_counted_when_they_expire() {
    let mut log = Log::new(settings(), true);
    log.append(&[200, 200, 200, 200]);
    log.writer.task_failed(log.now);
    assert_eq!(log.writer.status().counts.unsent_lines, 0);
    log.append(&[200, 200]);
    assert_eq!(log.writer.status().counts.unsent_lines, 2);
    log.reopen();
    assert_eq!(log.writer.status().counts.unsent_lines, 2);
    log.check();
}

#[test]
fn lost_lines_are_counted_and_reported_in_the_file() {
    let mut log = Log::new(settings(), false);
    log.send(LogBatch { id: 1, records: Vec::new(), lost: 7 });
    log.send(LogBatch { id: 2, records: Vec::new(), lost: 3 });
    assert_eq!(log.writer.status().counts.lost_lines, 10);
    let expected =
        "{\"timestamp\":\"2026-11-27T00:00:00.000Z\",\"level\":\"warning\",\"event\":\"log_lines_lost\",\"lines\":7}\n";
    assert!(log.kept().starts_with(expected), "{}", log.kept());
}

#[test]
fn closed_segments_expire_after_the_days_that_they_are_kept() {
    let mut log = Log::new(FileLog { keep_days: Some(2), ..settings() }, false);
    log.append(&[200, 200]);
    assert_eq!(log.writer.wake_at(), Some(START + DAY));
    log.now += DAY;
    log.tick();
    assert_eq!(log.writer.segments().count(), 2);
    assert_eq!(log.writer.wake_at(), Some(START + 2 * DAY));
    log.now += DAY;
    log.tick();
    assert_eq!(log.writer.segments().count(), 0);
    assert_eq!(log.store.lines.len() + log.store.segments.len(), 0);
    assert_eq!(log.writer.wake_at(), None);
    log.append(&[10]);
    assert_eq!(log.writer.segments().next().unwrap().number, 3, "numbers are never used again");
}

#[test]
fn without_its_bucket_the_writer_forgets_what_has_expired_there() {
    let mut log = Log::new(settings(), true);
    log.append(&[200, 200]);
    log.work(1);
    log.has_bucket = false;
    log.reopen();
    assert_eq!(log.writer.next_task(log.now), None);
    log.append(&[200, 200, 200]);
    let first = log.writer.segments().next_back().unwrap();
    assert_eq!((first.number, first.place), (2, SegmentPlace::Object));
}

#[test]
fn a_long_line_is_replaced_and_many_lines_are_divided_into_rows() {
    let mut log = Log::new(FileLog { max_size: 16 << 20, ..settings() }, false);
    log.append(&[700_000, 700_000, 700_000]);
    log.check();
    assert_eq!(log.writer.segments().count(), 1);
    let long = format!("{{\"level\":\"info\",\"request_id\":\"r1\",\"response\":\"{}\"}}", "x".repeat(2 << 20));
    let expected = format!("\"event\":\"log_line_too_long\",\"request_id\":\"r1\",\"bytes\":{}}}", long.len());
    log.send(LogBatch { id: 99, records: vec![LogRecord { at: START, line: long }], lost: 0 });
    let mut search =
        LogSearch::new(LogQuery { request_id: Some("r1".to_owned()), level: LogLevel::Info, ..LogQuery::newest(1) });
    for segment in log.writer.segments() {
        assert!(search.wants(segment));
        search.search(log.store.text(segment));
    }
    let (lines, _) = search.finish();
    assert!(lines[0].ends_with(&expected), "{lines:?}");
}

#[test]
fn a_line_break_in_a_line_does_not_make_two() {
    let mut log = Log::new(settings(), false);
    let record = LogRecord { at: START, line: "{\"a\":\r\n1}".to_owned() };
    log.send(LogBatch { id: 1, records: vec![record], lost: 0 });
    assert_eq!(log.kept(), "{\"a\":  1}\n");
}
