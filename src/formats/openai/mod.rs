//! OpenAI's Chat Completions, and everything that speaks it.
//! Source: the OpenAI API reference, "Chat" (<https://platform.openai.com/docs/api-reference/chat>), and recorded traffic.

mod edit;
pub mod errors;
pub mod inbound;
mod models;
pub mod operations;
pub mod outbound;
pub mod overhear;
mod request;
pub mod response;
pub mod stream;
mod wire;

use super::auth::AuthScheme;
use super::bounds::{COMMON, RequestRules};
use super::{ClientFormat, ProviderFormat, Restream};
use crate::config::FormatKind;

/// The adapter's row in the table.
pub const KIND: FormatKind = FormatKind { name: "openai", remote: true, root: "", endpoint: outbound::ENDPOINT };

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    operations: &[&operations::CHAT, &operations::COMPLETION, &operations::EMBEDDING],
    rules: RequestRules { edit: edit::apply, ..COMMON },
    whole: response::write,
    stream: |head| Box::new(stream::Encoder::new(head)),
    restream: Restream::Document(inbound::as_stream),
    end_passthrough: inbound::end_passthrough,
    insert_cost: inbound::insert_cost,
    error: |error, _| errors::write(error),
    models: models::write_list,
    model: models::write_one,
    mark: None,
    id_header: "x-request-id",
    carried: &[],
    own: None,
    write_count: None,
};

/// The format as providers speak it.
pub const UPSTREAM: ProviderFormat = ProviderFormat {
    kind: KIND,
    auth: AuthScheme::Bearer,
    write: request::write,
    whole: response::read,
    usage: wire::read_usage,
    stream: || Box::new(stream::Decoder::default()),
    tap: |options| Box::new(overhear::ChatTap::new(options)),
    recalls: |_| false,
    refusal: errors::read,
    count: None,
    embed: None,
};
