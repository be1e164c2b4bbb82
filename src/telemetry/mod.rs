//! Log events as values, and their rendering as lines. The gateway makes events; the edge renders them where it writes the log.

mod event;
mod render;

pub use event::{Chunk, Event, EventKind, LostReceipts, RequestEnd, RequestFields, RequestStart, RuntimeFailure};
pub use render::render;
