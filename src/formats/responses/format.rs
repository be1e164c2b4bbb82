//! The row of the format in the table of formats.

use super::wire::api::ENDPOINT;
use super::{errors, models, operations, request, response, rules, stream};
use crate::formats::client_format::{ClientFormat, Restream};
use crate::formats::framing::SSE;

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: "responses",
    operations: &[&operations::RESPONSES],
    rules: rules::RULES,
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    repeat: request::repeat,
    carries_state: request::carries_state,
    framing: &SSE,
    restream: Restream::Events,
    // No provider of this format is called yet.
    end_passthrough: |_, _| {},
    insert_cost: |_, _| {},
    error: |error, _| errors::write(error),
    models: models::write_list,
    model: models::write_one,
    path_prefixes: &[ENDPOINT],
    marker_header: None,
    marker_query: Some("client_version"),
    id_header: "x-request-id",
    forwarded_headers: &[],
    placeholder_prefix: None,
};
