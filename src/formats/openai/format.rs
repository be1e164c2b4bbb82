//! The rows of the format in the table of formats.

use super::{assemble, edit, embed, errors, models, operations, passthrough, request, response, stream, tap, wire};
use crate::config::FormatKind;
use crate::formats::assemble::SseBuilder;
use crate::formats::bounds::{COMMON, RequestRules};
use crate::formats::call::ProviderCall;
use crate::formats::client_format::{ClientFormat, Restream};
use crate::formats::framing::SSE;
use crate::formats::listing::PLAIN_LISTING;
use crate::formats::operation::OperationKind;
use crate::formats::provider_format::ProviderFormat;

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind {
    name: "openai",
    remote: true,
    root: "",
    root_after_path: false,
    endpoint: wire::ENDPOINT,
    protected_fields: &["model", "messages", "stream"],
};

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    operations: &[&operations::CHAT, &operations::COMPLETION, &operations::EMBEDDING],
    rules: RequestRules {
        edit: edit::apply,
        usage_field: Some("stream_options"),
        may_stream: edit::may_stream,
        ..COMMON
    },
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    repeat: |_| None,
    carries_state: |_| false,
    kept: None,
    framing: &SSE,
    restream: Restream::Document(passthrough::restream),
    retap: None,
    fails_in_stream: |_| false,
    end_passthrough: passthrough::end_passthrough,
    insert_cost: passthrough::insert_cost,
    error: |error, _| errors::write(error),
    models: models::write_list,
    model: models::write_one,
    path_prefixes: &[],
    marker_header: None,
    marker_query: None,
    id_header: "x-request-id",
    forwarded_headers: &[],
    placeholder_prefix: None,
};

/// The format as providers speak it.
pub const PROVIDER: ProviderFormat = ProviderFormat {
    kind: KIND,
    signer: None,
    unsupported_settings: &["top_k"],
    tool_names_begin_with_letter: false,
    facts: &[],
    newer: Some("responses"),
    listing: Some(PLAIN_LISTING),
    write: request::write,
    whole: response::read,
    usage: wire::read_usage_json,
    stream: || Box::new(stream::Decoder::default()),
    tap: |options| Box::new(tap::ChatTap::new(options)),
    assemble: Some(|| Box::<SseBuilder<assemble::CompletionFold>>::default()),
    expects_reasoning_state: |_| false,
    refusal: errors::read,
    calls: &[ProviderCall { kind: OperationKind::Embed, write: embed::write_call }],
};
