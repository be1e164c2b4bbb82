//! Searches blocks of requests, newest first.

use super::request_block::read_block;
use super::request_filter::RequestFilter;
use super::request_page::{IndexedRequest, RequestPage};

/// A search for the requests of one page.
pub struct RequestSearch {
    filter: RequestFilter,
    /// Texts that a block contains if any of its requests is selected.
    texts: Vec<String>,
    /// Only requests with lower numbers are wanted.
    before: u64,
    /// How many requests fill the page.
    limit: usize,
    found: Vec<IndexedRequest>,
    unreadable: u64,
}

impl RequestSearch {
    /// A search for at most `limit` requests with numbers lower than `before`.
    pub fn new(filter: RequestFilter, before: u64, limit: usize) -> Self {
        Self { texts: filter.texts(), filter, before, limit, found: Vec::new(), unreadable: 0 }
    }

    /// The request id that is searched for.
    pub fn request_id(&self) -> Option<&str> {
        self.filter.request_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Whether the page and one request of the next are found.
    pub fn is_full(&self) -> bool {
        self.found.len() > self.limit
    }

    /// How many requests of the searched blocks cannot be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Searches a block, older than those before. `first`: the number of its first request.
    pub fn search(&mut self, first: u64, block: &str) {
        if first >= self.before || !self.texts.iter().all(|text| block.contains(text)) {
            return;
        }
        let (requests, unreadable) = read_block(block);
        self.unreadable = self.unreadable.saturating_add(unreadable);
        let numbered = (first..).zip(requests).filter(|(number, _)| *number < self.before);
        let found = numbered.filter_map(|(number, summary)| Some(IndexedRequest { number, summary: summary? }));
        let mut found: Vec<IndexedRequest> = found.filter(|found| self.filter.selects(&found.summary)).collect();
        found.reverse();
        let room = self.limit.saturating_add(1).saturating_sub(self.found.len());
        self.found.extend(found.into_iter().take(room));
    }

    /// The page. `unread`: requests with lower numbers than this one have not been searched; 0 if all have.
    pub fn finish(mut self, unread: u64) -> RequestPage {
        let next = if self.is_full() {
            self.found.truncate(self.limit);
            self.found.last().map(|request| request.number)
        } else {
            Some(unread).filter(|unread| *unread > 0)
        };
        RequestPage { requests: self.found, next }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request_block::delete_from;
    use super::*;
    use crate::telemetry::RequestSummary;

    fn request(number: u64) -> RequestSummary {
        let key_id = format!("vk_{}", number % 3);
        RequestSummary { at: number * 10, key_id, request_id: format!("r{number}"), ..RequestSummary::default() }
    }

    /// Sixty requests in blocks of seven, the newest block first.
    fn blocks() -> Vec<(u64, String)> {
        let all: Vec<RequestSummary> = (0..60).map(request).collect();
        let blocks = all.chunks(7).zip(0..).map(|(block, n)| (n * 7, serde_json::to_string(block).unwrap()));
        let mut blocks: Vec<(u64, String)> = blocks.collect();
        blocks.reverse();
        blocks
    }

    /// The page before a number, for which a store reads at most `reads` blocks.
    fn page(filter: &RequestFilter, before: u64, limit: usize, reads: usize) -> RequestPage {
        let mut search = RequestSearch::new(filter.clone(), before, limit);
        let mut unread = 0;
        for (first, block) in blocks().iter().filter(|(first, _)| *first < before).take(reads) {
            search.search(*first, block);
            unread = *first;
            if search.is_full() {
                break;
            }
        }
        search.finish(unread)
    }

    #[test]
    fn pages_are_the_list() {
        let one_key = RequestFilter { key_id: Some("vk_1".into()), ..RequestFilter::default() };
        for filter in [RequestFilter::default(), one_key] {
            let expected: Vec<u64> = (0..60).rev().filter(|number| filter.selects(&request(*number))).collect();
            for (limit, reads) in [(1, 1), (7, 2), (59, 1), (60, 100), (61, 100)] {
                let (mut listed, mut before) = (Vec::new(), Some(u64::MAX));
                while let Some(next) = before {
                    let page = page(&filter, next, limit, reads);
                    assert!(page.requests.len() <= limit);
                    listed.extend(page.requests.iter().map(|request| request.number));
                    before = page.next;
                }
                assert_eq!(listed, expected, "{limit} a page, {reads} blocks read");
            }
        }
    }

    #[test]
    fn deleted_requests_leave_the_numbers_of_others() {
        let filter = RequestFilter { request_id: Some("r58".into()), ..RequestFilter::default() };
        let (first, block) = blocks().remove(0);
        let (rest, deleted) = delete_from(&filter, &block).unwrap();
        assert_eq!(deleted, 1);
        assert!(!rest.contains("r58"));
        let mut search = RequestSearch::new(RequestFilter::default(), u64::MAX, 10);
        search.search(first, &rest);
        let numbers: Vec<u64> = search.finish(0).requests.iter().map(|request| request.number).collect();
        assert_eq!(numbers, [59, 57, 56]);
        assert_eq!(delete_from(&filter, &rest), None);
    }

    #[test]
    fn a_list_reads_no_conversation() {
        let summary = serde_json::to_value(RequestSummary::default()).unwrap();
        for field in ["messages", "prompt", "response", "text", "body"] {
            assert!(summary.get(field).is_none(), "{field}");
        }
    }
}
