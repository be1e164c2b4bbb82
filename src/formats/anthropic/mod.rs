//! Anthropic's Messages API, both as providers speak it and as clients do.
//! Source: the API reference (<https://docs.anthropic.com/en/api/messages>, <https://docs.anthropic.com/en/api/errors>), and recorded traffic.

mod blocks;
mod count;
mod encode;
mod errors;
mod inbound;
mod messages;
mod models;
mod outbound;
mod params;
mod reading;
mod reply;
mod stream;
mod turns;
mod wire;

use super::{ClientFormat, CountCall, CountOperation, ProviderFormat};
use crate::canonical::Thinking;
use crate::config::FormatKind;

/// The adapter's row in the table.
pub const KIND: FormatKind = FormatKind { name: "anthropic", remote: true, root: "/v1", endpoint: ENDPOINT };

/// The version of the API that is spoken (<https://docs.anthropic.com/en/api/versioning>).
pub const VERSION: &str = "2023-06-01";

/// The path of the endpoint below the API's root.
pub const ENDPOINT: &str = "/messages";

/// A signature that begins so is this gateway's: it stands where a client wants one, and proves nothing to the provider.
pub const OURS: &str = "llm-bridge:";

/// Anthropic as a provider.
pub const UPSTREAM: ProviderFormat = ProviderFormat {
    kind: KIND,
    key: |key| ("x-api-key", key.to_owned()),
    write: outbound::write,
    whole: reply::whole,
    usage: reply::told,
    stream: || Box::<stream::Stream>::default(),
    // Without thinking, earlier thoughts have no effect.
    recalls: |request| !matches!(request.thinking, None | Some(Thinking::Off)),
    refusal: errors::refusal,
    count: Some(CountCall { write: count::write, read: count::read }),
    embed: None,
};

/// Clients that speak as Anthropic's do.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    read: inbound::read,
    whole: encode::whole,
    stream: |head| Box::new(encode::Encoder::new(head)),
    error: |error, id| errors::body(error, Some(id)),
    models: models::list,
    model: models::one,
    mark: Some("anthropic-version"),
    id_header: "request-id",
    path: ENDPOINT,
    carried: &[("anthropic-version", Some(VERSION)), ("anthropic-beta", None)],
    own: Some(OURS),
    count: Some(CountOperation { path: count::ENDPOINT, read: inbound::prompt, answer: count::answer }),
};
