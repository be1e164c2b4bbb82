//! Anthropic's Messages API, as providers and as clients speak it.
//! Source: the API reference (<https://docs.anthropic.com/en/api/messages>, <https://docs.anthropic.com/en/api/errors>), and recorded traffic.

mod count;
mod errors;
mod models;
pub mod operations;
mod request;
mod response;
mod stream;
mod thinking;
mod wire;

use wire::api::{ENDPOINT, PLACEHOLDER_PREFIX, VERSION};

use super::auth::AuthScheme;
use super::bounds::COMMON;
use super::tap::EventTap;
use super::{ClientFormat, CountCall, ProviderFormat, Restream};
use crate::canonical::Thinking;
use crate::config::FormatKind;

/// The format's row in the table of formats.
pub const KIND: FormatKind = FormatKind { name: "anthropic", remote: true, root: "/v1", endpoint: ENDPOINT };

/// The format as providers speak it.
pub const UPSTREAM: ProviderFormat = ProviderFormat {
    kind: KIND,
    auth: AuthScheme::Header("x-api-key"),
    write: request::write,
    whole: response::read,
    usage: response::read_usage,
    stream: || Box::<stream::Decoder>::default(),
    tap: |options| Box::new(EventTap::new(Box::<stream::Decoder>::default(), options)),
    // The API ignores earlier thinking when thinking is off.
    recalls: |request| !matches!(request.thinking, None | Some(Thinking::Off)),
    refusal: errors::read,
    count: Some(CountCall { write: count::write, read: count::read }),
    embed: None,
};

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    operations: &[&operations::MESSAGES, &operations::COUNT_TOKENS],
    rules: COMMON,
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    restream: Restream::Events,
    end_passthrough: stream::end_passthrough,
    insert_cost: |_, _| {},
    error: |error, id| errors::write(error, Some(id)),
    models: models::write_list,
    model: models::write_one,
    mark: Some("anthropic-version"),
    id_header: "request-id",
    carried: &[("anthropic-version", Some(VERSION)), ("anthropic-beta", None)],
    own: Some(PLACEHOLDER_PREFIX),
    write_count: Some(count::write_response),
};
