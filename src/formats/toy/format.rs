//! The rows of the format in the table of formats.

use super::wire::{END_OF_LINE, rewrite_lines};
use super::{assemble, errors, operations, request, response, rules, sign, stream};
use crate::config::FormatKind;
use crate::formats::client_format::{ClientFormat, Restream};
use crate::formats::framing::Framing;
use crate::formats::provider_format::ProviderFormat;
use crate::formats::tap::EventTap;

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind {
    name: "toy",
    remote: true,
    root: "",
    root_after_path: false,
    endpoint: "",
    protected_fields: &["dialogue", "live"],
};

const FRAMING: Framing = Framing {
    content_type: "application/x-ndjson",
    boundary: END_OF_LINE,
    keep_alive: END_OF_LINE,
    keep_alive_event: None,
    comment: None,
    rewrite: rewrite_lines,
};

/// The format as providers speak it.
pub const PROVIDER: ProviderFormat = ProviderFormat {
    kind: KIND,
    signer: Some(sign::sign),
    unsupported_settings: &["top_p", "top_k", "presence_penalty", "frequency_penalty", "stop"],
    tool_names_begin_with_letter: false,
    facts: &[],
    newer: None,
    listing: None,
    write: request::write,
    whole: response::read,
    usage: |_| None,
    stream: || Box::<stream::Decoder>::default(),
    tap: |options| Box::new(EventTap::new(Box::<stream::Decoder>::default(), &FRAMING, options)),
    assemble: Some(|| Box::<assemble::LineBuilder>::default()),
    expects_reasoning_state: |_| false,
    refusal: errors::read,
    calls: &[],
};

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    operations: &[&operations::GENERATE],
    rules: rules::RULES,
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    repeat: |_| None,
    carries_state: |_| false,
    kept: None,
    framing: &FRAMING,
    restream: Restream::Events,
    retap: None,
    fails_in_stream: |_| false,
    end_passthrough: stream::end_passthrough,
    insert_cost: |_, _| {},
    error: |error, _| errors::write(error),
    models: |models| models.iter().flat_map(response::write_model).collect(),
    model: response::write_model,
    path_prefixes: &["/toy/"],
    marker_header: None,
    marker_query: None,
    id_header: "x-toy-request-id",
    forwarded_headers: &[("x-toy-version", Some("1"))],
    placeholder_prefix: None,
};
