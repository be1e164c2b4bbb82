//! The JSON of Chat Completions: requests, responses and chunks.

mod api;
mod content;
mod fields;
mod response;
mod write;

pub(super) use api::{DONE, ENDPOINT};
pub(super) use content::{ContentPartFields, details_text, thinking_text};
pub(super) use fields::{MemberName, each, members, object, string, text, unquote, wrong};
pub(super) use response::{
    DeltaText, EmbeddingsResponse, ErrorBody, ErrorFields, MAX_ITEMS, READ_MEMBERS, TappedChoice, TappedResponse,
    WrittenUsage, append_countable, choice_number, delta_length, has_value, has_values, is_error, is_object,
    read_prompt_usage, read_usage, read_usage_json, says_error, served_fields,
};
pub(super) use write::{single_line, write_json, write_number};
