//! The settings of log files.

use super::yaml::Node;

const DEFAULT_MAX_SIZE: u64 = 10 << 20;
/// A whole segment is held in memory when it is stored or searched.
const LARGEST_SIZE: u64 = 16 << 20;
const DEFAULT_BACKUPS: u64 = 5;
/// Each segment has a row in the object that writes.
const MOST_BACKUPS: u64 = 10_000;
/// The maximum length of `path` in bytes. A key of R2 has at most 1024.
const LONGEST_PATH: usize = 512;

/// The settings of log files. A log file is a series of segments, which never change once they are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLog {
    /// The folder of the segments, without a slash at its ends.
    pub path: String,
    /// The size of a segment in bytes at which the next one is begun.
    pub max_size: u64,
    /// How many closed segments are kept.
    pub backup_count: u64,
    /// For how many days a closed segment is kept; `None`: by their number only.
    pub keep_days: Option<u64>,
}

impl FileLog {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["path", "max_size", "backup_count", "keep_days"])?;
        let Some(path) = table.at("path") else {
            node.fault("`path` is missing: log files need a folder, such as `path: logs`");
            return None;
        };
        let count = |key: &str, least| table.at(key).and_then(|node| node.count(least));
        Some(Self {
            path: read_path(&path)?,
            max_size: table.at("max_size").map_or(Some(DEFAULT_MAX_SIZE), |node| read_max_size(&node))?,
            backup_count: table.at("backup_count").map_or(Some(DEFAULT_BACKUPS), |node| read_backups(&node))?,
            keep_days: count("keep_days", 1),
        })
    }
}

/// A path, without the steps that have no meaning in a bucket: `../logs/a.log` is `logs/a.log`.
fn read_path(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let steps: Vec<&str> = text.split('/').filter(|step| !["", ".", ".."].contains(step)).collect();
    let path = steps.join("/");
    if path.is_empty() || path.len() > LONGEST_PATH || path.contains(char::is_control) {
        node.fault(format!("expected a folder such as `logs`, of at most {LONGEST_PATH} bytes"));
        return None;
    }
    Some(path)
}

/// 0 means "no limit", as in Python.
fn read_max_size(node: &Node<'_>) -> Option<u64> {
    let bytes = node.count(0)?;
    if bytes == 0 || bytes > LARGEST_SIZE {
        node.note(format!("segments have at most {LARGEST_SIZE} bytes, so this value is used"));
        return Some(LARGEST_SIZE);
    }
    Some(bytes)
}

fn read_backups(node: &Node<'_>) -> Option<u64> {
    let backups = node.count(0)?;
    if backups > MOST_BACKUPS {
        node.fault(format!("expected at most {MOST_BACKUPS}"));
        return None;
    }
    Some(backups)
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value;

    use super::super::yaml::{Problem, Report};
    use super::*;

    fn read(text: &str) -> (Option<FileLog>, Vec<Problem>, Vec<Problem>) {
        let value: Value = serde_yaml::from_str(text).unwrap();
        let report = Report::new(text);
        let settings = FileLog::read(&Node::root(&value, &report));
        let (faults, notes) = report.take();
        (settings, faults, notes)
    }

    #[test]
    fn a_path_suffices() {
        let (settings, faults, notes) = read("path: logs");
        let expected = FileLog { path: "logs".to_owned(), max_size: 10 << 20, backup_count: 5, keep_days: None };
        assert_eq!(settings, Some(expected));
        assert_eq!((faults, notes), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_path_of_a_file_system_becomes_a_prefix() {
        for (text, path) in [("../logs/llm-bridge.log", "logs/llm-bridge.log"), ("/var//log/", "var/log"), ("./a", "a")]
        {
            assert_eq!(read(&format!("path: \"{text}\"")).0.unwrap().path, path);
        }
    }

    #[test]
    fn an_unusable_path_is_a_fault() {
        for text in ["path: ..", "path: \"/\"", "path: \"a\\nb\"", "max_size: 5", "path: [a]"] {
            let (settings, faults, _) = read(text);
            assert_eq!(settings, None, "{text}");
            assert_eq!(faults.len(), 1, "{text}");
        }
    }

    #[test]
    fn an_unlimited_segment_has_the_largest_size() {
        let (settings, faults, notes) = read("{ path: a, max_size: 0, backup_count: 0, keep_days: 3 }");
        let settings = settings.unwrap();
        assert_eq!(settings.max_size, LARGEST_SIZE);
        assert_eq!(settings.backup_count, 0);
        assert_eq!(settings.keep_days, Some(3));
        assert_eq!((faults.len(), notes.len()), (0, 1));
        assert_eq!(read("{ path: a, max_size: 99999999999 }").0.unwrap().max_size, LARGEST_SIZE);
    }

    #[test]
    fn more_segments_than_rows_are_a_fault() {
        assert_eq!(read("{ path: a, backup_count: 10001 }").1.len(), 1);
        assert_eq!(read("{ path: a, backup_count: 10000 }").0.unwrap().backup_count, 10_000);
    }
}
