//! What operators are shown and told: the batches in which isolates report what has happened to the one
//! object that keeps it.

mod batch;
mod outbox;
mod queue;

pub use batch::{Batch, BatchRow, Recorded};
pub use outbox::{AfterSending, Outbox, RETRY_DELAY, TIME_LIMIT};
pub use queue::{ReportQueue, Stamp};
