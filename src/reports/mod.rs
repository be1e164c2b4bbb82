//! Sums of requests: by quarters of an hour, keys, providers, models and tags, and from there by the hours
//! and days of any time zone; and lists of requests.

mod accumulate;
mod cell;
mod histogram;
mod name_caps;
mod period;
mod quarter;
mod report;
mod report_table;
mod request_filter;
mod request_index;
mod request_page;
mod sql_statement;
mod sums;
mod zone;

pub use accumulate::accumulate;
pub use cell::{Cell, Dimension, OTHER};
pub use histogram::{BOUNDS, Histogram};
pub use name_caps::NameCaps;
pub use period::{DayRange, Period, Resolution, Span, period_of, spans};
pub use quarter::Quarter;
pub use report::{Filter, Group, Report, ReportQuery};
pub use report_table::{ReportRow, ReportTable};
pub use request_filter::{ColumnValue, Comparison, Condition, INDEX_COLUMNS, IndexColumn, RequestFilter, StatusRange};
pub use request_index::RequestIndex;
pub use request_page::{Cursor, IndexedRequest, RequestPage};
pub use sql_statement::{SqlStatement, SqlValue};
pub use sums::{OUTCOMES, Sums};
pub use zone::{OffsetChange, Zone};
