//! Log events as values, and their rendering as lines.

mod event;
mod render;

pub use event::{
    AttemptFailed, CatalogueStale, Chunk, Event, EventKind, LostReceipts, RequestEnd, RequestFields, RequestStart,
    RuntimeFailure,
};
pub use render::render;
