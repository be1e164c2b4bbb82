//! The JSON of Chat Completions: requests, responses and chunks.

mod content;
mod fields;
mod response;
mod stream;
mod write;

pub(super) use content::{ContentPartFields, thinking_text};
pub(super) use fields::{MemberName, each, members, object, string, text, unquote, wrong};
pub(super) use response::{
    Answer, Choice, Delta, ErrorBody, ErrorFields, MOST, OutUsage, Vectors, is_error, is_object, read_usage, total,
    usage, words,
};
pub(super) use stream::DONE;
pub(super) use write::{single_line, write_json, write_number};
