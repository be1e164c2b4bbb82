//! The JSON of the Responses API, as it is read and written.

pub(super) mod api;
pub(super) mod fields;
pub(super) mod response;
