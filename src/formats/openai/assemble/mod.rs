//! Whole responses from the chunks of a stream: chat completions and legacy completions.

mod completion;
mod message;

pub(super) use completion::CompletionFold;
