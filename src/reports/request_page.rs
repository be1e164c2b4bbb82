//! Pages of a list of requests, newest first.

use crate::config::Millis;
use crate::telemetry::RequestSummary;

/// A request in the index. The index keeps no conversation, so that a list reads none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedRequest {
    /// Its number in the index. Later ones are higher.
    pub number: u64,
    /// The request.
    pub summary: RequestSummary,
}

/// A place in a list: between this request and the next older one. Requests that arrive later do not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the request ended.
    pub at: Millis,
    /// Its number in the index.
    pub number: u64,
}

/// Some requests of a list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestPage {
    /// The requests.
    pub requests: Vec<IndexedRequest>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl IndexedRequest {
    /// The place after it.
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.summary.at, number: self.number }
    }
}

impl Cursor {
    /// Writes it as `1795412345678-42`.
    pub fn write(self) -> String {
        format!("{}-{}", self.at, self.number)
    }

    /// Reads what [`Cursor::write`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let (at, number) = text.split_once('-')?;
        let cursor = Self { at: at.parse().ok()?, number: number.parse().ok()? };
        (cursor.write() == text).then_some(cursor)
    }
}

impl RequestPage {
    /// The page of at most `limit` requests that a store has read in the order of the list: one more than
    /// `limit`, if there are so many.
    pub fn of(read: impl IntoIterator<Item = IndexedRequest>, limit: usize) -> Self {
        let mut requests: Vec<IndexedRequest> = read.into_iter().take(limit.saturating_add(1)).collect();
        let has_more = requests.len() > limit;
        requests.truncate(limit);
        let next = requests.last().filter(|_| has_more).map(IndexedRequest::cursor);
        Self { requests, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<IndexedRequest> {
        let request = |number: u64| {
            // Several end at the same time, and some are indexed late.
            let at = number % 7 * 10;
            IndexedRequest { number, summary: RequestSummary { at, ..RequestSummary::default() } }
        };
        let mut requests: Vec<IndexedRequest> = (0..50).map(request).collect();
        requests.sort_by_key(|request| std::cmp::Reverse(request.cursor()));
        requests
    }

    /// What a store reads after a place.
    fn read(all: &[IndexedRequest], before: Option<Cursor>) -> Vec<IndexedRequest> {
        let is_older = |request: &&IndexedRequest| before.is_none_or(|before| request.cursor() < before);
        all.iter().filter(is_older).cloned().collect()
    }

    #[test]
    fn pages_are_the_list() {
        for limit in [1, 7, 49, 50, 51] {
            let (all, mut listed, mut before) = (requests(), Vec::new(), None);
            loop {
                let page = RequestPage::of(read(&all, before), limit);
                assert!(page.requests.len() <= limit);
                listed.extend(page.requests);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(listed, all, "{limit} a page");
        }
    }

    #[test]
    fn a_request_that_arrives_later_moves_no_page() {
        let mut all = requests();
        let first = RequestPage::of(read(&all, None), 10);
        let newest = RequestSummary { at: 10_000, ..RequestSummary::default() };
        all.insert(0, IndexedRequest { number: 50, summary: newest });
        let second = RequestPage::of(read(&all, first.next), 10);
        assert_eq!(second.requests, all[11..21]);
    }

    #[test]
    fn places_are_texts() {
        let cursor = Cursor { at: 1_795_412_345_678, number: 42 };
        assert_eq!(cursor.write(), "1795412345678-42");
        assert_eq!(Cursor::read("1795412345678-42"), Some(cursor));
        for text in ["", "1", "1-", "-1", "+1-2", "01-2", "1-2-3"] {
            assert_eq!(Cursor::read(text), None, "{text}");
        }
    }
}
