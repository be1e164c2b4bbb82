//! Anthropic's Messages API, both as providers speak it and as clients do.
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

use wire::api::{ENDPOINT, OURS, VERSION};

use super::bounds::COMMON;
use super::tap::EventTap;
use super::{ClientFormat, CountCall, ProviderFormat, Restream};
use crate::canonical::Thinking;
use crate::config::FormatKind;

/// The adapter's row in the table.
pub const KIND: FormatKind = FormatKind { name: "anthropic", remote: true, root: "/v1", endpoint: ENDPOINT };

/// Anthropic as a provider.
pub const UPSTREAM: ProviderFormat = ProviderFormat {
    kind: KIND,
    key: |key| ("x-api-key", key.to_owned()),
    write: request::write,
    whole: response::read,
    usage: response::events::told,
    stream: || Box::<stream::Decoder>::default(),
    tap: |options| Box::new(EventTap::new(Box::<stream::Decoder>::default(), options)),
    // Without thinking, earlier thoughts have no effect.
    recalls: |request| !matches!(request.thinking, None | Some(Thinking::Off)),
    refusal: errors::read,
    count: Some(CountCall { write: count::write, read: count::read }),
    embed: None,
};

/// Clients that speak as Anthropic's do.
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
    models: models::list,
    model: models::one,
    mark: Some("anthropic-version"),
    id_header: "request-id",
    carried: &[("anthropic-version", Some(VERSION)), ("anthropic-beta", None)],
    own: Some(OURS),
    write_count: Some(count::answer),
};
