//! The settings of reports (`reporting` in the file).

use super::tags::TagNames;
use super::yaml::{Node, Table};

/// The longest name of a time zone.
const MAX_ZONE: usize = 64;

/// Which days reports have, what they can be grouped by, and for how long requests and sums are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporting {
    /// Whether isolates report requests and metrics at all.
    pub enabled: bool,
    /// The name of the time zone of days, as in IANA's database. Whether there is such a zone, the runtime
    /// knows.
    pub timezone: String,
    /// The tags that requests may have.
    pub tags: TagNames,
    /// Days for which a request is listed at least.
    pub keep_requests_days: u64,
    /// Days for which sums are kept at least.
    pub keep_sums_days: u64,
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            enabled: true,
            timezone: "UTC".into(),
            tags: TagNames::default(),
            keep_requests_days: 30,
            keep_sums_days: 800,
        }
    }
}

impl Reporting {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["enabled", "timezone", "tags", "keep_requests_days", "keep_sums_days"])?;
        let default = Self::default();
        let days = |key: &str| table.at(key).and_then(|node| node.count(1));
        Some(Self {
            enabled: table.at("enabled").and_then(|node| node.flag()).unwrap_or(default.enabled),
            timezone: table.at("timezone").and_then(|node| read_zone(&node)).unwrap_or(default.timezone),
            tags: read_tags(&table).unwrap_or(default.tags),
            keep_requests_days: days("keep_requests_days").unwrap_or(default.keep_requests_days),
            keep_sums_days: days("keep_sums_days").unwrap_or(default.keep_sums_days),
        })
    }
}

fn read_zone(node: &Node<'_>) -> Option<String> {
    let name = node.text()?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+');
    if (1..=MAX_ZONE).contains(&name.len()) && name.bytes().all(is_letter) {
        return Some(name);
    }
    node.fault("expected the name of a time zone in IANA's database, such as Asia/Kolkata or UTC");
    None
}

fn read_tags(table: &Table<'_>) -> Option<TagNames> {
    let node = table.at("tags")?;
    let names = node.list()?.into_iter().filter_map(|name| name.text()).collect();
    TagNames::new(names).map_err(|fault| node.fault(format!("the list {fault}"))).ok()
}
