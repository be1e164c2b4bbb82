//! Whole responses in a provider's own format, built from the events of its streams. Values are copied as
//! they were sent, and unknown fields are kept.

mod builder;
mod value;

pub use builder::ResponseBuilder;
pub(super) use builder::{EventFold, SseBuilder, malformed};
pub(super) use value::{Fields, PartRules, Rule, Rules, Size, Value, contents, each_item};
