//! What operators are shown and told: the batches in which isolates report what has happened to the one
//! object that keeps it, and what watchers see of running requests.

mod batch;
mod line_queue;
mod live_board;
mod live_command;
mod live_event;
mod live_flow;
mod live_reports;
mod live_tickets;
mod outbox;
mod queue;

pub use batch::{Batch, BatchRow, Recorded};
pub use line_queue::{LineQueue, LineStep};
pub use live_board::{LiveBoard, LiveNews, MAX_WATCHERS, OpenRun};
pub use live_command::{LiveCommand, LiveResponse};
pub use live_event::{FirstToken, LiveEvent, LiveRequest};
pub use live_flow::{FlowStep, LiveFlow};
pub use outbox::{AfterSending, Outbox, RETRY_DELAY, TIME_LIMIT};
pub use queue::{ReportQueue, Stamp};
