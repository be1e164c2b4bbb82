//! The rows of the format in the table of formats.

use super::wire::api::ENDPOINT;
use super::{assemble, count, errors, kept, models, operations, request, response, rules, stream};
use crate::catalogue::Fact;
use crate::catalogue::field::{Field, Fit, Value};
use crate::config::FormatKind;
use crate::formats::assemble::SseBuilder;
use crate::formats::call::ProviderCall;
use crate::formats::client_format::{ClientFormat, Restream};
use crate::formats::framing::{Framing, SSE};
use crate::formats::listing::PLAIN_LISTING;
use crate::formats::operation::OperationKind;
use crate::formats::provider_format::ProviderFormat;
use crate::formats::tap::{EventTap, PassthroughEnd};

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind {
    name: "responses",
    remote: true,
    root: "",
    root_after_path: false,
    endpoint: ENDPOINT,
    protected_fields: &["model", "input", "stream", "store"],
};

/// Codex counts events as signs of life, and no comments. This one is of the API's own.
const EVENTS: Framing =
    Framing { keep_alive_event: Some(b"event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n"), ..SSE };

/// The format as providers speak it.
pub const PROVIDER: ProviderFormat = ProviderFormat {
    kind: KIND,
    signer: None,
    unsupported_settings: &["top_k", "presence_penalty", "frequency_penalty", "stop"],
    tool_names_begin_with_letter: false,
    facts: &[Fact { field: Field::ReasoningEffortWithTools, value: Value::Fit(Fit::Keep) }],
    newer: None,
    listing: Some(PLAIN_LISTING),
    write: request::write,
    whole: response::read,
    usage: response::read_usage,
    stream: || Box::<stream::Decoder>::default(),
    tap: |options| Box::new(EventTap::new(Box::<stream::Decoder>::default(), &SSE, options)),
    assemble: Some(|| Box::<SseBuilder<assemble::ResponseFold>>::default()),
    expects_reasoning_state: |_| true,
    refusal: errors::read,
    calls: &[ProviderCall { kind: OperationKind::Count, write: count::write_call }],
};

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    operations: &[&operations::RESPONSES, &operations::INPUT_TOKENS, &operations::COMPACT],
    rules: rules::RULES,
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    repeat: request::repeat,
    carries_state: request::carries_state,
    kept: Some(&kept::KEPT),
    framing: &EVENTS,
    restream: Restream::Events,
    retap: None,
    fails_in_stream: errors::fails_in_stream,
    end_passthrough: |end, out| {
        if let PassthroughEnd::Incomplete(failure) = end {
            errors::write_end(failure, out);
        }
    },
    insert_cost: |_, _| {},
    error: |error, _| errors::write(error),
    models: models::write_list,
    model: models::write_one,
    path_prefixes: &[ENDPOINT],
    marker_header: None,
    marker_query: Some("client_version"),
    id_header: "x-request-id",
    forwarded_headers: &[],
    placeholder_prefix: Some(request::PLACEHOLDER_PREFIX),
};
