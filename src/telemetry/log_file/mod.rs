//! Log files: segments of lines that never change once they are closed, kept by a Durable Object and, if
//! there is one, a bucket of R2.

mod batch;
mod command;
mod line;
mod row;
mod search;
mod segment;
mod status;
mod task;
mod write;
mod writer;

pub use batch::{LogBatch, LogLines, LogRecord};
pub use command::{LogCommand, LogPage, LogResponse};
pub use line::in_file;
pub use row::LineRow;
pub use search::{LogQuery, LogSearch};
pub use segment::{Segment, SegmentPlace};
pub use status::{LogBacklog, LogCounts, LogStatus};
pub use task::BucketTask;
pub use write::LogWrite;
pub use writer::{LogSnapshot, LogWriter};
