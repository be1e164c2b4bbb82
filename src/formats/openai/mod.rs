//! OpenAI's Chat Completions, and everything that speaks it.
//! Source: the OpenAI API reference, "Chat" (<https://platform.openai.com/docs/api-reference/chat>), and recorded traffic.

mod calls;
mod decode;
pub mod encode;
mod fields;
pub mod inbound;
pub mod limit;
mod messages;
mod models;
pub mod outbound;
pub mod overhear;
mod parts;
mod read;
pub mod served;
pub mod tally;
pub mod task;
mod tools;
mod turns;
pub mod whole;
mod wire;
mod write;

use super::{ClientFormat, ProviderFormat};
use crate::config::FormatKind;

/// The adapter's row in the table.
pub const KIND: FormatKind = FormatKind { name: "openai", remote: true, root: "", endpoint: outbound::ENDPOINT };

/// The end of every stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// The format as clients speak it.
pub const CLIENT: ClientFormat = ClientFormat {
    name: KIND.name,
    read: read::read,
    whole: |head, events| whole::write(head, None, events),
    stream: |head| Box::new(encode::Stream::new(head, None)),
    error: |error, _| inbound::error(error),
    models: models::list,
    model: models::one,
    mark: None,
    id_header: "x-request-id",
    path: outbound::ENDPOINT,
    carried: &[],
    own: None,
    count: None,
};

/// The format as providers speak it.
pub const UPSTREAM: ProviderFormat = ProviderFormat {
    kind: KIND,
    key: |key| ("authorization", format!("Bearer {key}")),
    write: write::write,
    whole: decode::whole,
    usage: wire::told,
    stream: || Box::new(decode::Stream::default()),
    recalls: |_| false,
    refusal: outbound::refusal,
    count: None,
    embed: None,
};
