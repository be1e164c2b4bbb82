//! The JSON of Chat Completions: requests, responses and chunks.

mod content;
mod fields;
mod response;
mod stream;
mod write;

pub(super) use content::{PartIn, thought};
pub(super) use fields::{Key, each, members, object, string, text, unquote, wrong};
pub(super) use response::{
    Answer, Choice, Delta, ErrorBody, ErrorFields, MOST, OutUsage, Vectors, is_error, is_object, told, total, usage,
    words,
};
pub(super) use stream::DONE;
pub(super) use write::{flat, json, number};
