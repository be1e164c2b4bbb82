//! The vendor-neutral model of requests and responses through which formats are translated. It has a field
//! only if two wire formats share the idea.

mod event;
mod names;
mod raw;
mod request;
pub mod usage;

pub use event::{FinishReason, ResponseEvent};
pub use names::UniqueNames;
pub use raw::{Raw, text_of};
pub use request::{
    Effort, Media, MediaKind, MediaSource, ModelRequest, Part, ResponseFormat, Role, Sampling, Thinking, Tool,
    ToolCall, ToolChoice, Turn,
};
pub use usage::{IMPOSSIBLE_COUNT, Usage, count, dollars, read_count};
