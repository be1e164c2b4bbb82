//! Commands to the object that writes log files, and its responses.

use serde::{Deserialize, Serialize};

use super::batch::LogBatch;
use super::search::LogQuery;
use super::status::LogStatus;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogCommand {
    /// Writes lines.
    Append(LogBatch),
    /// Reads the newest lines that match.
    Read(LogQuery),
    /// Reads how full the log files are.
    Status,
}

/// Lines that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The newest lines that match, oldest first.
    pub lines: Vec<String>,
    /// Whether older lines may match as well: there were more than asked for, or the search was cut off.
    pub has_more: bool,
    /// The number of segments that should have been searched and could not be read.
    pub unread_segments: u64,
    /// How full the log files are.
    pub status: LogStatus,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogResponse {
    /// The lines are stored.
    Appended,
    /// Lines that were found.
    Page(LogPage),
    /// How full the log files are.
    Status {
        /// Their segments.
        status: LogStatus,
        /// The bytes that the object's database takes.
        database_bytes: u64,
    },
    /// The configuration names no log file.
    Disabled,
    /// The command could not be parsed.
    Malformed,
}
