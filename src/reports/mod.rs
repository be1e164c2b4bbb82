//! Sums of requests: by quarters of an hour, keys, providers, models and tags, and from there by the hours
//! and days of any time zone; and lists of requests.

mod accumulate;
mod cell;
mod histogram;
mod name_caps;
mod period;
mod quarter;
mod report;
mod report_command;
mod report_table;
mod request_block;
mod request_filter;
mod request_index;
mod request_page;
mod request_search;
mod rollup;
mod rollup_table;
mod sql_statement;
mod sums;
mod unfolded;

pub use crate::wire::zone::{OffsetChange, Zone};
pub use accumulate::accumulate;
pub use cell::{Cell, DELETED, Dimension, OTHER};
pub use histogram::{BOUNDS, Histogram};
pub use name_caps::NameCaps;
pub use period::{DayRange, Period, Resolution, Span, date_at, period_of, spans};
pub use quarter::Quarter;
pub use report::{Filter, Group, Report, ReportQuery};
pub use report_command::{MAX_ROWS, ReportCommand, ReportLine, ReportResponse, StoreSizes};
pub use report_table::{ReportRow, ReportTable};
pub use request_block::{RequestBlock, delete_from};
pub use request_filter::{RequestFilter, StatusRange};
pub use request_index::{BlockEntries, IndexKey, IndexRow, first_epoch};
pub use request_page::{IndexedRequest, RequestPage};
pub use request_search::RequestSearch;
pub use rollup::{Piece, Rollup, Source};
pub use rollup_table::RollupTable;
pub use sql_statement::{SqlStatement, SqlValue};
pub use sums::{OUTCOMES, Sums};
pub use unfolded::UnfoldedSums;
