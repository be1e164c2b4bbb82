//! The JSON of the Messages API: requests, responses and stream events.

pub(super) mod api;
pub(super) mod json;
pub(super) mod message;
pub(super) mod request;
pub(super) mod response;
