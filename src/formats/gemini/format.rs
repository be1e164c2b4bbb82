//! The rows of the format in the table of formats.

use super::{assemble, count, embed, errors, models, operations, request, response, rules, sealed, stream, thinking};
use crate::catalogue::Fact;
use crate::catalogue::field::{Field, Fit, Value};
use crate::config::FormatKind;
use crate::formats::assemble::SseBuilder;
use crate::formats::call::ProviderCall;
use crate::formats::client_format::{ClientFormat, Restream};
use crate::formats::framing::{Framing, SSE};
use crate::formats::listing::{ModelListing, PLAIN_LISTING};
use crate::formats::operation::OperationKind;
use crate::formats::provider_format::ProviderFormat;
use crate::formats::tap::EventTap;

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind {
    name: "gemini",
    remote: true,
    root: "/v1beta",
    root_after_path: true,
    endpoint: "",
    protected_fields: &["model", "contents"],
};

/// The format as providers speak it.
pub const PROVIDER: ProviderFormat = ProviderFormat {
    kind: KIND,
    signer: None,
    unsupported_settings: &[],
    tool_names_begin_with_letter: true,
    facts: &[Fact { field: Field::ToolName, value: Value::Fit(Fit::Cut(64)) }],
    newer: None,
    listing: Some(ModelListing {
        path: "/models?pageSize=1000",
        prefix: "models/",
        methods: &["generateContent", "embedContent"],
        ..PLAIN_LISTING
    }),
    write: request::write,
    whole: response::read,
    usage: |_| None,
    stream: || Box::new(stream::Decoder::default()),
    tap: |options| Box::new(EventTap::new(Box::new(stream::Decoder::default()), &SSE, options)),
    assemble: Some(|| Box::<SseBuilder<assemble::ResponseFold>>::default()),
    expects_reasoning_state: |_| true,
    refusal: errors::read,
    calls: &[
        ProviderCall { kind: OperationKind::Embed, write: embed::write_call },
        ProviderCall { kind: OperationKind::Count, write: count::write_call },
    ],
};

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    operations: &[
        &operations::GENERATE,
        &operations::STREAM,
        &operations::COUNT_TOKENS,
        &operations::EMBED,
        &operations::EMBED_BATCH,
    ],
    rules: rules::RULES,
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    repeat: thinking::shows_thoughts,
    carries_state: sealed::carries_state,
    kept: None,
    framing: &EVENTS,
    restream: Restream::Events,
    retap: None,
    fails_in_stream: |_| false,
    end_passthrough: stream::end_passthrough,
    insert_cost: |_, _| {},
    error: |error, _| errors::write(error),
    models: models::write_list,
    model: models::write_one,
    path_prefixes: &["/v1beta/", "/v1alpha/"],
    marker_header: Some("x-goog-api-key"),
    marker_query: None,
    id_header: "x-request-id",
    forwarded_headers: &[],
    placeholder_prefix: Some(sealed::PLACEHOLDER_PREFIX),
};

/// Events for clients. Google's SDKs take a comment for an event: for Python it is not JSON, and older ones for Node
/// read nothing behind it. They skip blank lines.
static EVENTS: Framing = Framing { keep_alive: b"\n\n", comment: None, ..SSE };

/// The format as clients speak it that want a stream as one array.
pub const ARRAY_CLIENT: ClientFormat = ClientFormat {
    operations: &[&operations::ARRAY],
    stream: |head| Box::new(stream::Encoder::array(head)),
    framing: &stream::ARRAY,
    retap: Some(|tap| Box::new(stream::ArrayTap::new(tap))),
    end_passthrough: stream::end_array,
    error: |error, _| in_array(&errors::write(error)),
    path_prefixes: &[],
    marker_header: None,
    ..CLIENT
};

fn in_array(item: &[u8]) -> Vec<u8> {
    [b"[", item, b"]"].concat()
}
