//! The rows of the format in the table of formats.

use super::wire::api::{ENDPOINT, PLACEHOLDER_PREFIX, VERSION};
use super::{assemble, count, errors, models, operations, request, response, stream};
use crate::canonical::Thinking;
use crate::catalogue::Fact;
use crate::catalogue::field::{Field, Fit, Value};
use crate::config::FormatKind;
use crate::formats::assemble::SseBuilder;
use crate::formats::bounds::{COMMON, RequestRules};
use crate::formats::call::ProviderCall;
use crate::formats::client_format::{ClientFormat, Restream};
use crate::formats::framing::SSE;
use crate::formats::listing::{ModelListing, PLAIN_LISTING};
use crate::formats::operation::OperationKind;
use crate::formats::provider_format::ProviderFormat;
use crate::formats::tap::EventTap;
use crate::formats::ties::{MESSAGES_TIES, TieRules};

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind {
    name: "anthropic",
    remote: true,
    root: "/v1",
    root_after_path: true,
    endpoint: ENDPOINT,
    protected_fields: &["model", "messages", "stream"],
};

/// The format as providers speak it.
pub const PROVIDER: ProviderFormat = ProviderFormat {
    kind: KIND,
    signer: None,
    unsupported_settings: &["presence_penalty", "frequency_penalty"],
    tool_names_begin_with_letter: false,
    facts: &[
        Fact { field: Field::ToolName, value: Value::Fit(Fit::Cut(128)) },
        Fact { field: Field::CallId, value: Value::Fit(Fit::Hash(64)) },
    ],
    newer: None,
    listing: Some(ModelListing {
        path: "/models?limit=1000",
        headers: &[("anthropic-version", VERSION)],
        ..PLAIN_LISTING
    }),
    write: request::write,
    whole: response::read,
    usage: response::read_usage,
    stream: || Box::<stream::Decoder>::default(),
    tap: |options| Box::new(EventTap::new(Box::<stream::Decoder>::default(), &SSE, options)),
    assemble: Some(|| Box::<SseBuilder<assemble::MessageFold>>::default()),
    // The API ignores earlier thinking when thinking is off.
    expects_reasoning_state: |request| !matches!(request.thinking, None | Some(Thinking::Off)),
    refusal: errors::read,
    calls: &[ProviderCall { kind: OperationKind::Count, write: count::write_call }],
};

/// What ties a request, in the words of this API.
const TIES: TieRules = TieRules { dotted: true, ..MESSAGES_TIES };

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    operations: &[&operations::MESSAGES, &operations::COUNT_TOKENS],
    rules: RequestRules { ties: &TIES, ..COMMON },
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    repeat: |_| None,
    carries_state: |_| false,
    kept: None,
    framing: &SSE,
    restream: Restream::Events,
    retap: None,
    fails_in_stream: |_| false,
    end_passthrough: stream::end_passthrough,
    insert_cost: |_, _| {},
    error: |error, id| errors::write(error, Some(id)),
    models: models::write_list,
    model: models::write_one,
    path_prefixes: &[ENDPOINT],
    marker_header: Some("anthropic-version"),
    marker_query: None,
    id_header: "request-id",
    forwarded_headers: &[("anthropic-version", Some(VERSION)), ("anthropic-beta", None)],
    placeholder_prefix: Some(PLACEHOLDER_PREFIX),
};
