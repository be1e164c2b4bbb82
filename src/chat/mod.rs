//! A conversation, free of any vendor: the hub of translation. A field stands here only if two wire formats share the idea.

mod event;
mod names;
mod raw;
mod request;
pub mod usage;

pub use event::{Event, Finish};
pub use names::Names;
pub use raw::Raw;
pub use request::{
    Call, Effort, Media, MediaKind, Part, Request, Role, Sampling, Shape, Source, Thinking, Tool, ToolChoice, Turn,
};
pub use usage::{ABSURD, Usage, count, read_count};
