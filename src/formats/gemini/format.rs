//! The rows of the format in the table of formats.

use super::{assemble, count, embed, errors, models, operations, request, response, rules, stream};
use crate::config::FormatKind;
use crate::formats::assemble::SseBuilder;
use crate::formats::call::ProviderCall;
use crate::formats::client_format::{ClientFormat, Restream};
use crate::formats::framing::SSE;
use crate::formats::operation::OperationKind;
use crate::formats::provider_format::ProviderFormat;
use crate::formats::tap::EventTap;

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind {
    name: "gemini",
    remote: true,
    root: "/v1beta",
    root_after_path: false,
    endpoint: "",
    protected_fields: &["model", "contents"],
};

/// The format as providers speak it.
pub const PROVIDER: ProviderFormat = ProviderFormat {
    kind: KIND,
    signer: None,
    unsupported_settings: &[],
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
    repeat: |_| None,
    carries_state: |_| false,
    framing: &SSE,
    restream: Restream::Events,
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
    placeholder_prefix: None,
};

/// The format as clients speak it that want a stream as one array. The array comes when it is complete.
pub const ARRAY_CLIENT: ClientFormat = ClientFormat {
    operations: &[&operations::ARRAY],
    whole: |head, events| in_array(&response::write(head, events)),
    error: |error, _| in_array(&errors::write(error)),
    path_prefixes: &[],
    marker_header: None,
    ..CLIENT
};

fn in_array(item: &[u8]) -> Vec<u8> {
    [b"[", item, b"]"].concat()
}
