//! What the store of reports is asked, and its responses, as JSON.

use serde::{Deserialize, Serialize};

use super::period::Period;
use super::report::{Group, Report, ReportQuery};
use super::request_filter::RequestFilter;
use super::request_page::RequestPage;
use super::sums::Sums;
use crate::config::Millis;
use crate::wire::zone::Zone;

/// How many rows a report has at most.
pub const MAX_ROWS: usize = 20_000;

/// A command to the store of reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportCommand {
    /// Add up a report. `zone` has to have the offsets of its days.
    Report {
        /// What it is about.
        query: ReportQuery,
        /// The zone of its days.
        zone: Zone,
    },
    /// List requests.
    Requests {
        /// Which ones.
        filter: RequestFilter,
        /// Those with lower numbers; `None` for the newest.
        before: Option<u64>,
        /// How many at most.
        limit: usize,
    },
    /// Delete requests, some blocks at a time. The values of the filter's tags go from the sums as well,
    /// whose numbers stay.
    Delete {
        /// Which ones.
        filter: RequestFilter,
        /// Those with lower numbers; `None` at first.
        before: Option<u64>,
    },
    /// Say how full the store is.
    Size,
}

/// The response to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportResponse {
    /// A report.
    Report {
        /// Its rows.
        rows: Vec<ReportLine>,
        /// How many requests were lost in these days before they could be counted.
        lost: u64,
    },
    /// The report has more than [`MAX_ROWS`] rows.
    TooManyRows,
    /// Some requests.
    Requests(RequestPage),
    /// Some requests were deleted.
    Deleted {
        /// How many.
        requests: u64,
        /// The `before` of the next command, unless everything is done.
        next: Option<u64>,
        /// Whether requests could not be searched, because they wait to be moved to blocks.
        #[serde(default)]
        waiting: bool,
    },
    /// How full the store is.
    Size(StoreSizes),
    /// The command could not be read.
    Malformed,
}

/// A row of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportLine {
    /// Its period.
    pub period: Period,
    /// The values of its dimensions.
    pub values: Vec<Option<String>>,
    /// Its sums, in the order of [`Sums::columns`].
    pub sums: Vec<u64>,
}

/// How full the store of what operators are shown is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSizes {
    /// The size of its database in bytes.
    pub bytes: u64,
    /// The size at which the platform refuses writes.
    pub max_bytes: u64,
    /// How many requests have been recorded, those included whose entries have expired.
    pub recorded_requests: u64,
    /// When the oldest request ended that is kept.
    pub oldest_request_at: Option<Millis>,
    /// When the oldest quarter began that is in the sums.
    pub oldest_sum_at: Option<Millis>,
}

impl Report {
    /// Its rows, to be sent.
    pub fn lines(&self) -> Vec<ReportLine> {
        let line = |(group, sums): (&Group, &Sums)| ReportLine {
            period: group.period,
            values: group.values.clone(),
            sums: sums.values(),
        };
        self.rows.iter().map(line).collect()
    }

    /// The report of rows that were sent.
    pub fn of_lines(lines: Vec<ReportLine>) -> Self {
        let mut report = Self::default();
        for ReportLine { period, values, sums } in lines {
            report.add(Group { period, values }, &Sums::of_values(sums));
        }
        report
    }
}
