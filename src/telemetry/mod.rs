//! What is told of requests: log events and their rendering as lines, summaries, metrics, traces.

mod event;
pub mod log_file;
pub mod metrics;
pub mod otlp;
mod render;
mod summary;

pub use event::{
    AttemptFailed, CatalogueStale, Chunk, Event, EventKind, ExportDropped, LostReceipts, RequestEnd, RequestFields,
    RequestStart, RuntimeFailure,
};
pub use render::{render, render_in_file};
pub use summary::{AttemptSummary, BillLine, RequestSummary};
