//! An index of request ids: in which blocks a request may be. An id is found whatever its age, and what is
//! read for that is little.
//!
//! Ids are divided into buckets by their hash, and requests into epochs by their number. A row of the store
//! has the entries of one bucket in one epoch, so a search reads a row of each epoch, and the blocks that
//! have an id with the same hash. An entry is `HASH:BLOCK;`, with eight digits of the hash: they cannot be
//! turned back into an id.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::request_block::read_block;

/// Into how many buckets ids are divided. So many rows are written at most when blocks are indexed.
const BUCKETS: u64 = 16;
/// How many requests an epoch has: a row has about 70 KB then.
const EPOCH: u64 = 65_536;

/// The entries of one bucket in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRow {
    /// The bucket.
    pub bucket: u64,
    /// The epoch: those of later requests have greater numbers.
    pub epoch: u64,
    /// Entries, to be added to those that the row has.
    pub entries: String,
}

/// Where an id is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// The bucket of the id.
    pub bucket: u64,
    /// What the rows contain that have it.
    pub text: String,
}

impl IndexKey {
    /// The place of an id.
    pub fn of(id: &str) -> Self {
        let [a, b, c, d, bucket, ..] = Sha256::digest(id.as_bytes()).0;
        Self { bucket: u64::from(bucket) % BUCKETS, text: format!("{:08x}:", u32::from_be_bytes([a, b, c, d])) }
    }

    /// The blocks that may have the id, by the numbers of their first requests, from the entries of a row.
    pub fn blocks(&self, entries: &str) -> BTreeSet<u64> {
        let block = |entry: &str| entry.strip_prefix(&self.text)?.parse().ok();
        entries.split(';').filter_map(block).collect()
    }
}

/// The id of a request.
#[derive(Deserialize)]
struct IdOf<'j> {
    #[serde(borrow)]
    request_id: Cow<'j, str>,
}

/// The entries of some blocks.
#[derive(Debug, Default)]
pub struct BlockEntries(BTreeMap<(u64, u64), String>);

impl BlockEntries {
    /// Adds those of a block. `first`: the number of its first request.
    pub fn add(&mut self, first: u64, block: &str) {
        let (requests, _) = read_block(block);
        let ids: BTreeSet<Cow<'_, str>> =
            requests.into_iter().flatten().map(|IdOf { request_id }| request_id).collect();
        for id in ids {
            let IndexKey { bucket, text } = IndexKey::of(&id);
            let entries = self.0.entry((bucket, first / EPOCH)).or_default();
            entries.push_str(&format!("{text}{first};"));
        }
    }

    /// The rows to which they are to be added.
    pub fn rows(self) -> impl Iterator<Item = IndexRow> {
        self.0.into_iter().map(|((bucket, epoch), entries)| IndexRow { bucket, epoch, entries })
    }
}

/// The epoch before which nothing is left, if the oldest block begins with this request.
pub fn first_epoch(oldest: u64) -> u64 {
    oldest / EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::RequestSummary;

    fn block(ids: &[&str]) -> String {
        let request = |id: &&str| RequestSummary { request_id: (*id).to_owned(), ..RequestSummary::default() };
        serde_json::to_string(&ids.iter().map(request).collect::<Vec<_>>()).unwrap()
    }

    fn index<'b>(blocks: impl IntoIterator<Item = (u64, &'b str)>) -> Vec<IndexRow> {
        let mut entries = BlockEntries::default();
        blocks.into_iter().for_each(|(first, block)| entries.add(first, block));
        entries.rows().collect()
    }

    /// The blocks in which an id may be, by the rows of its bucket.
    fn find(rows: &[IndexRow], id: &str) -> Vec<u64> {
        let key = IndexKey::of(id);
        let rows = rows.iter().filter(|row| row.bucket == key.bucket && row.entries.contains(&key.text));
        rows.flat_map(|row| key.blocks(&row.entries)).collect()
    }

    #[test]
    fn each_id_is_found_in_its_blocks() {
        let names: Vec<String> = (0..2_000).map(|n| format!("request-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let blocks: Vec<(u64, String)> = names.chunks(100).zip(0..).map(|(ids, n)| (n * 5_000, block(ids))).collect();
        let rows = index(blocks.iter().map(|(first, json)| (*first, json.as_str())));
        for (ids, (first, _)) in names.chunks(100).zip(&blocks) {
            assert!(ids.iter().all(|id| find(&rows, id).contains(first)));
        }
        let candidates: usize = (0..2_000).map(|n| find(&rows, &format!("other-{n}")).len()).sum();
        assert!(candidates < 5, "{candidates} blocks are read in vain");
        let epochs: BTreeSet<u64> = rows.iter().map(|row| row.epoch).collect();
        assert_eq!(epochs, BTreeSet::from([0, 1]));
        assert!(rows.len() <= 2 * usize::try_from(BUCKETS).unwrap());
    }

    #[test]
    fn an_id_that_several_requests_have_is_in_all_their_blocks() {
        let rows = index([(0, block(&["a", "b", "a"]).as_str()), (70_000, block(&["a"]).as_str())]);
        assert_eq!(find(&rows, "a"), [0, 70_000]);
        assert_eq!(find(&rows, "b"), [0]);
        assert_eq!(find(&rows, ""), [0; 0]);
    }

    #[test]
    fn what_was_deleted_or_has_no_id_has_no_entry() {
        let odd = format!(r#"[null,{{"at":1}},{{"request_id":2}},{}"#, &block(&["kept"])[1..]);
        let rows = index([(5, odd.as_str()), (9, "{")]);
        assert_eq!(rows.len(), 1);
        assert_eq!(find(&rows, "kept"), [5]);
    }

    #[test]
    fn an_entry_hides_the_id() {
        let rows = index([(0, block(&["alice@example.com"]).as_str())]);
        assert_eq!(rows[0].entries.len(), "01234567:0;".len());
    }
}
