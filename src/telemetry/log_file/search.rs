//! Searches segments, newest first.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::line::LineHead;
use super::segment::{Segment, SegmentPlace};
use crate::config::{LogLevel, Millis};

/// The maximum length of all lines of a response, in bytes.
const MAX_FOUND: usize = 8 << 20;
/// After so many bytes a search is cut off.
const MAX_SEARCHED: u64 = 128 << 20;
/// After so many segments of the bucket a search is cut off: a request may make 50 calls.
const MAX_BUCKET_READS: u64 = 40;

/// How a line begins, before its timestamp.
const BEFORE_TIMESTAMP: &str = "{\"timestamp\":\"";
/// The length of every timestamp.
const TIMESTAMP_LENGTH: usize = "2026-11-27T00:00:00.000Z".len();

/// Which lines are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// How many at most.
    pub tail: usize,
    /// The lowest level.
    pub level: LogLevel,
    /// Those of this request.
    pub request_id: Option<String>,
    /// Those at this time or later, in milliseconds since 1970.
    pub from: Option<Millis>,
}

/// A search under way.
#[derive(Debug)]
pub struct LogSearch {
    query: LogQuery,
    found: VecDeque<String>,
    found_bytes: usize,
    searched_bytes: u64,
    bucket_reads: u64,
    has_more: bool,
}

impl LogQuery {
    /// The newest lines, whatever they are.
    pub fn newest(tail: usize) -> Self {
        Self { tail, level: LogLevel::Debug, request_id: None, from: None }
    }

    fn takes(&self, line: &str) -> bool {
        // Most lines are refused without being parsed.
        if self.request_id.as_deref().is_some_and(|id| !line.contains(id)) {
            return false;
        }
        if self.level == LogLevel::Debug && self.request_id.is_none() && self.from.is_none() {
            return true;
        }
        let head = LineHead::read(line).unwrap_or_default();
        let is_of_request = self.request_id.as_deref().is_none_or(|id| head.request_id.as_deref() == Some(id));
        let is_in_time = self.from.is_none_or(|from| head.at().is_none_or(|at| at >= from));
        is_of_request && is_in_time && head.level() >= self.level
    }
}

impl LogSearch {
    /// A search that has read nothing yet.
    pub fn new(query: LogQuery) -> Self {
        Self { query, found: VecDeque::new(), found_bytes: 0, searched_bytes: 0, bucket_reads: 0, has_more: false }
    }

    /// Whether a segment has to be searched. The caller asks about one after the other, the newest first.
    pub fn wants(&mut self, segment: &Segment) -> bool {
        let has_none = segment.lines == 0 || segment.place == SegmentPlace::Expired;
        if self.has_more || has_none || self.query.from.is_some_and(|from| segment.last < from) {
            return false;
        }
        self.searched_bytes = self.searched_bytes.saturating_add(segment.bytes);
        self.bucket_reads += u64::from(!segment.is_in_object());
        self.has_more = self.found.len() >= self.query.tail
            || self.searched_bytes > MAX_SEARCHED
            || self.bucket_reads > MAX_BUCKET_READS;
        !self.has_more
    }

    /// Searches the lines of a segment.
    pub fn search(&mut self, lines: &str) {
        for line in lines.lines().rev().filter(|line| self.query.takes(line)) {
            self.found_bytes = self.found_bytes.saturating_add(line.len());
            if self.found.len() >= self.query.tail || self.found_bytes > MAX_FOUND {
                self.has_more = true;
                return;
            }
            self.found.push_front(line.to_owned());
        }
    }

    /// The lines that were found, oldest first, and whether there may be more. Those of several isolates,
    /// and those that came along with reports, are not stored in the order of their times.
    pub fn finish(self) -> (Vec<String>, bool) {
        let mut lines: Vec<String> = self.found.into();
        lines.sort_by(|a, b| timestamp(a).cmp(timestamp(b)));
        (lines, self.has_more)
    }
}

/// The timestamp of a line. Lines without one come last, in the order in which they are stored.
fn timestamp(line: &str) -> &str {
    line.strip_prefix(BEFORE_TIMESTAMP).and_then(|rest| rest.get(..TIMESTAMP_LENGTH)).unwrap_or("~")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: Millis, level: &str, id: &str) -> String {
        let at = crate::wire::date::write_time(at);
        format!("{{\"timestamp\":\"{at}\",\"level\":\"{level}\",\"event\":\"e\",\"request_id\":\"{id}\"}}\n")
    }

    fn segment(first: Millis, last: Millis) -> Segment {
        let mut segment = Segment::open("logs", 1, first);
        segment.add(first, 10);
        segment.add(last, 10);
        segment
    }

    /// Searches segments, newest first. Returns the lines and whether there may be more.
    fn search(query: LogQuery, segments: &[&[String]]) -> (String, bool) {
        let mut search = LogSearch::new(query);
        for lines in segments {
            if search.wants(&segment(0, Millis::MAX)) {
                search.search(&lines.concat());
            }
        }
        let (lines, has_more) = search.finish();
        (lines.into_iter().map(|line| line + "\n").collect(), has_more)
    }

    #[test]
    fn the_newest_lines_are_found_across_segments_oldest_first() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|at| line(at, "info", "r"));
        let segments: [&[String]; 2] = [&[c.clone(), d.clone()], &[a.clone(), b.clone()]];
        let tail = |tail| search(LogQuery::newest(tail), &segments);
        assert_eq!(tail(3), ([b.clone(), c.clone(), d.clone()].concat(), true));
        assert_eq!(tail(2), ([c.clone(), d.clone()].concat(), true));
        assert_eq!(tail(4), ([a, b, c, d].concat(), false));
    }

    #[test]
    fn lines_that_were_stored_late_are_returned_in_their_order() {
        let [a, b, c] = [1, 2, 3].map(|at| line(at, "info", "r"));
        let late: [&[String]; 2] = [&[c.clone(), a.clone()], std::slice::from_ref(&b)];
        assert_eq!(search(LogQuery::newest(3), &late), ([a, b, c].concat(), false));
    }

    #[test]
    fn lines_are_chosen_by_level_request_and_time() {
        let lines = [
            line(1, "error", "r1"),
            line(2, "info", "r1"),
            line(3, "warning", "r2"),
            line(4, "info", "r12"),
            "{\"level\":\"info\"}\n".to_owned(),
        ];
        let all = || LogQuery::newest(10);
        let found = |query: LogQuery| search(query, &[&lines]).0;
        assert_eq!(
            found(LogQuery { level: LogLevel::Warning, ..all() }),
            [lines[0].clone(), lines[2].clone()].concat()
        );
        let of_request = LogQuery { request_id: Some("r1".to_owned()), ..all() };
        assert_eq!(found(of_request), lines[..2].concat());
        // A line without a readable time is shown rather than hidden.
        assert_eq!(found(LogQuery { from: Some(3), ..all() }), lines[2..].concat());
    }

    #[test]
    fn segments_that_ended_before_are_not_read() {
        let mut search = LogSearch::new(LogQuery { from: Some(100), ..LogQuery::newest(1) });
        assert!(!search.wants(&segment(1, 99)));
        assert!(search.wants(&segment(1, 100)));
        assert!(!search.wants(&Segment::open("logs", 1, 500)), "an empty one");
        assert_eq!(search.finish(), (Vec::new(), false));
    }

    #[test]
    fn a_search_is_cut_off_before_it_makes_too_many_calls() {
        let mut search = LogSearch::new(LogQuery::newest(1));
        let in_bucket = Segment { place: SegmentPlace::Bucket, ..segment(1, 2) };
        let read = (0..1000).filter(|_| search.wants(&in_bucket)).count();
        assert_eq!(read as u64, MAX_BUCKET_READS);
        assert_eq!(search.finish(), (Vec::new(), true));
    }
}
