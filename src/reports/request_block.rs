//! Blocks of requests: a block is a JSON array of summaries, so that storing many requests takes one row;
//! those that were deleted are `null`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request_filter::RequestFilter;
use crate::config::Millis;
use crate::wire::date::DAY;

/// How many requests a block has at most: about 250 KB.
const MAX_REQUESTS: usize = 500;
/// How long its JSON is at most, unless it is one request: SQLite in a Durable Object takes rows of 2 MB.
const MAX_BYTES: usize = 1_000_000;

/// A block.
#[derive(Debug, Default)]
pub struct RequestBlock {
    /// How many requests it has.
    pub requests: usize,
    /// When the first of them ended.
    pub first_at: Millis,
    /// When the last of them ended.
    pub last_at: Millis,
    /// The JSON of its requests.
    pub json: String,
}

impl RequestBlock {
    /// Cuts requests into blocks. A block expires as a whole, so it has the requests of one day. The JSON of
    /// a request is kept as it is. One without a time ended with the one before it.
    pub fn cut<'j>(requests: impl IntoIterator<Item = &'j RawValue>) -> Vec<Self> {
        let mut blocks: Vec<Self> = Vec::new();
        for request in requests {
            let json = request.get();
            let at = end_of(json).unwrap_or_else(|| blocks.last().map_or(0, |block| block.last_at));
            match blocks.last_mut() {
                Some(block) if block.has_room(at, json) => block.push(at, json),
                _ => {
                    let mut block = Self { first_at: Millis::MAX, json: "[".to_owned(), ..Self::default() };
                    block.push(at, json);
                    blocks.push(block);
                }
            }
        }
        blocks.iter_mut().for_each(|block| block.json.push(']'));
        blocks
    }

    fn has_room(&self, at: Millis, json: &str) -> bool {
        self.requests < MAX_REQUESTS
            && self.json.len().saturating_add(json.len()) < MAX_BYTES
            && self.last_at / DAY == at / DAY
    }

    fn push(&mut self, at: Millis, json: &str) {
        if self.requests > 0 {
            self.json.push(',');
        }
        self.json.push_str(json);
        self.requests = self.requests.saturating_add(1);
        self.first_at = self.first_at.min(at);
        self.last_at = self.last_at.max(at);
    }
}

/// When a request ended. Our JSON of it begins with that, and the rest need not be read.
fn end_of(json: &str) -> Option<Millis> {
    #[derive(Deserialize)]
    struct EndOf {
        at: Millis,
    }
    let first = json.strip_prefix(r#"{"at":"#).and_then(|rest| rest.split_once(',')?.0.parse().ok());
    first.or_else(|| serde_json::from_str(json).map(|EndOf { at }| at).ok())
}

/// The requests of a block at their places, or what is wanted of each, and how many cannot be read.
pub(super) fn read_block<'j, T: Deserialize<'j>>(block: &'j str) -> (Vec<Option<T>>, u64) {
    if let Ok(requests) = serde_json::from_str(block) {
        return (requests, 0);
    }
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(block) else { return (Vec::new(), 1) };
    let mut unreadable = 0u64;
    let read = |element: &&'j RawValue| {
        let read = serde_json::from_str::<Option<T>>(element.get());
        unreadable = unreadable.saturating_add(u64::from(read.is_err()));
        read.unwrap_or_default()
    };
    (elements.iter().map(read).collect(), unreadable)
}

/// Deletes the requests of a block that a filter of a key and tags selects. One that cannot be read is
/// deleted if it has their names. Returns the block without them and their number; `None` if none is
/// selected.
pub fn delete_from(filter: &RequestFilter, block: &str) -> Option<(String, u64)> {
    let texts = filter.texts();
    let has_texts = |json: &str| texts.iter().all(|text| json.contains(text));
    if !has_texts(block) {
        return None;
    }
    let mut deleted = 0;
    let mut rest: Vec<&str> = Vec::new();
    for element in serde_json::from_str::<Vec<&RawValue>>(block).ok()? {
        let json = element.get();
        let selects = || serde_json::from_str(json).map_or(true, |request| filter.selects(&request));
        if json != "null" && has_texts(json) && selects() {
            rest.push("null");
            deleted += 1;
        } else {
            rest.push(json);
        }
    }
    (deleted > 0).then(|| (format!("[{}]", rest.join(",")), deleted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::RequestSummary;

    fn request(at: Millis, name: usize) -> RequestSummary {
        RequestSummary { at, key_id: "vk_1".into(), model: "m".repeat(name), ..RequestSummary::default() }
    }

    #[test]
    fn blocks_are_short_and_of_one_day() {
        let mut requests: Vec<RequestSummary> = (0..1_200).map(|n| request(DAY - 1_100 + n, 5)).collect();
        requests.extend((0..300).map(|n| request(DAY + 200 + n, 9_000)));
        let json = serde_json::to_string(&requests).unwrap();
        let blocks = RequestBlock::cut(serde_json::from_str::<Vec<&RawValue>>(&json).unwrap());
        let mut again = Vec::new();
        for block in &blocks {
            assert!(block.requests <= MAX_REQUESTS && block.json.len() <= MAX_BYTES);
            assert_eq!(block.first_at / DAY, block.last_at / DAY);
            let (read, unreadable) = read_block::<RequestSummary>(&block.json);
            assert_eq!((read.len(), unreadable), (block.requests, 0));
            again.extend(read.into_iter().flatten());
        }
        assert_eq!(again, requests);
        assert!(blocks.len() < 10);
        assert!(RequestBlock::cut([]).is_empty());
    }

    #[test]
    fn the_json_of_a_request_is_kept_as_it_is() {
        let json = r#"[{"at":5,"of":"a later build"},{"at":null}, {"at": 7 , "x":"\u0041"} ]"#;
        let blocks = RequestBlock::cut(serde_json::from_str::<Vec<&RawValue>>(json).unwrap());
        let [RequestBlock { requests: 3, first_at: 5, last_at: 7, json }] = blocks.as_slice() else {
            panic!("{blocks:?}")
        };
        assert_eq!(json, r#"[{"at":5,"of":"a later build"},{"at":null},{"at": 7 , "x":"\u0041"}]"#);
    }

    #[test]
    fn a_request_that_cannot_be_read_hides_no_other() {
        let good = serde_json::to_string(&request(1, 1)).unwrap();
        let block = format!(r#"[{good},{{"key_id":"vk_1"}},null,{{"key_id":"vk_2"}},{good}]"#);
        let (read, unreadable) = read_block::<RequestSummary>(&block);
        assert_eq!(read.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, false, true]);
        assert_eq!(unreadable, 2);
        let filter = RequestFilter { key_id: Some("vk_1".into()), ..RequestFilter::default() };
        let expected = r#"[null,null,null,{"key_id":"vk_2"},null]"#;
        assert_eq!(delete_from(&filter, &block), Some((expected.to_owned(), 3)));
        assert_eq!(delete_from(&filter, expected), None);
        assert_eq!(read_block::<RequestSummary>("{").1, 1);
    }
}
