//! Lines as they stand in a log file.

use std::borrow::Cow;

use serde::Deserialize;

use crate::config::{LogLevel, Millis};
use crate::wire::date::{read_time, write_time};
use crate::wire::json::quote;

/// The maximum length of a line in bytes. A row of the object's SQLite holds 2 MB.
pub(super) const MAX_LINE: usize = 1 << 20;

const TIMESTAMP: &str = "{\"timestamp\":";

/// A rendered line as it stands in a log file: every line begins with its timestamp, because lines are
/// searched by time. `logging.fields` may have hidden it, and failures of the runtime are rendered without
/// one.
pub fn in_file(line: String, at: Millis) -> String {
    match line.strip_prefix('{') {
        Some(fields) if !line.starts_with(TIMESTAMP) => format!("{TIMESTAMP}\"{}\",{fields}", write_time(at)),
        _ => line,
    }
}

/// The line that stands for one that is longer than [`MAX_LINE`].
pub(super) fn too_long(line: &str, at: Millis) -> String {
    let head = LineHead::read(line).unwrap_or_default();
    let id = head.request_id.map_or(String::new(), |id| format!(",\"request_id\":{}", quote(&id)));
    let of = head.event.map_or(String::new(), |event| format!(",\"of\":{}", quote(&event)));
    let level = quote(head.level.as_deref().unwrap_or("error"));
    let (at, bytes) = (write_time(at), line.len());
    format!("{TIMESTAMP}\"{at}\",\"level\":{level},\"event\":\"log_line_too_long\"{id}{of},\"bytes\":{bytes}}}")
}

/// The line that reports lost ones.
pub(super) fn lost(lines: u64, at: Millis) -> String {
    let at = write_time(at);
    format!("{TIMESTAMP}\"{at}\",\"level\":\"warning\",\"event\":\"log_lines_lost\",\"lines\":{lines}}}")
}

/// The fields by which lines are searched.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LineHead<'l> {
    #[serde(borrow, default)]
    timestamp: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    level: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    event: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    pub(super) request_id: Option<Cow<'l, str>>,
}

impl<'l> LineHead<'l> {
    pub(super) fn read(line: &'l str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// When the line was logged, in milliseconds since 1970.
    pub(super) fn at(&self) -> Option<Millis> {
        read_time(self.timestamp.as_deref()?)
    }

    /// The level. A line without a known one counts as an error, so that it is always shown.
    pub(super) fn level(&self) -> LogLevel {
        const LEVELS: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error];
        let name = self.level.as_deref();
        LEVELS.into_iter().find(|level| Some(level.name()) == name).unwrap_or(LogLevel::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_timestamp_gets_one() {
        let hidden = r#"{"level":"error","event":"object_failed","error":"a"}"#;
        let expected =
            r#"{"timestamp":"1970-01-01T00:00:00.012Z","level":"error","event":"object_failed","error":"a"}"#;
        assert_eq!(in_file(hidden.to_owned(), 12), expected);
        assert_eq!(in_file(expected.to_owned(), 99), expected);
    }

    #[test]
    fn the_fields_of_a_search_are_read_from_a_line() {
        let line = r#"{"timestamp":"1970-01-01T00:00:00.012Z","level":"warning","event":"e","request_id":"r\"1","status":200}"#;
        let head = LineHead::read(line).unwrap();
        assert_eq!(head.at(), Some(12));
        assert_eq!(head.level(), LogLevel::Warning);
        assert_eq!(head.request_id.as_deref(), Some("r\"1"));
    }

    #[test]
    fn a_line_of_an_unknown_level_counts_as_an_error() {
        assert_eq!(LineHead::read("{}").unwrap().level(), LogLevel::Error);
        assert_eq!(LineHead::read("{}").unwrap().at(), None);
        assert!(LineHead::read("not JSON").is_none());
    }

    #[test]
    fn the_line_that_replaces_a_long_one_can_be_found_like_it() {
        let long = format!(
            "{{\"timestamp\":\"1970-01-01T00:00:00.012Z\",\"level\":\"debug\",\"event\":\"chunk\",\"request_id\":\"r1\",\"chunk\":\"{}\"}}",
            "x".repeat(MAX_LINE)
        );
        let short = too_long(&long, 12);
        let head = LineHead::read(&short).unwrap();
        assert_eq!(head.at(), Some(12));
        assert_eq!(head.level(), LogLevel::Debug);
        assert_eq!(head.request_id.as_deref(), Some("r1"));
        assert!(short.ends_with(&format!("\"of\":\"chunk\",\"bytes\":{}}}", long.len())), "{short}");
    }
}
