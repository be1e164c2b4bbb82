//! How the response of an attempt is read, and written for the client.

use super::platform::Platform;
use super::reader::{ResponseReader, StreamOptions};
use super::reasoning::ReasoningCache;
use super::writer::ResponseWriter;
use crate::config::Streaming;
use crate::formats::operation::{Operation, RequestEnvelope};
use crate::formats::{ClientFormat, ProviderFormat, ResponseHead, ToolNames};

/// How the response of an attempt is read, and written for the client.
pub(super) struct ResponseContext {
    pub(super) client: &'static ClientFormat,
    pub(super) format: &'static ProviderFormat,
    pub(super) operation: &'static Operation,
    /// The client gets the provider's bytes.
    pub(super) is_passthrough: bool,
    /// The client asked for a stream.
    pub(super) is_stream: bool,
    /// The client asked for a whole response, which is assembled from a stream.
    pub(super) is_assembled: bool,
    pub(super) options: StreamOptions,
    /// Empty where the client gets the provider's bytes, and needs no other.
    pub(super) head: ResponseHead,
    /// Where reasoning state is stored that the provider wants back and the client cannot carry.
    pub(super) cache: Option<ReasoningCache>,
    /// The client carries that state itself, sealed.
    pub(super) carries_state: bool,
    /// The tools that were sent under other names than the client's.
    pub(super) tools: ToolNames,
}

impl ResponseContext {
    /// A reader of the provider's stream, and the writer of the client's.
    pub(super) fn into_stream(self, streaming: &Streaming) -> (ResponseReader, ResponseWriter) {
        if self.is_passthrough {
            let reader = ResponseReader::tapped(self.format, streaming, self.options);
            return (reader, ResponseWriter::passthrough(self.client));
        }
        let reader =
            ResponseReader::translating(self.format, self.options.text, (self.cache, self.carries_state), self.tools);
        (reader, ResponseWriter::encoding(self.client, self.head))
    }
}

/// The head of a response whose provider says nothing better.
pub(super) fn response_head<P: Platform>(
    platform: &P,
    client: &ClientFormat,
    envelope: &RequestEnvelope<'_>,
) -> ResponseHead {
    ResponseHead {
        random: platform.random_u128(),
        created: platform.now() / 1000,
        model: envelope.model.name.clone(),
        include_usage: envelope.options.include_usage == Some(true),
        include_cost: envelope.options.include_cost,
        fingerprint: None,
        repeated: (client.repeat)(&envelope.document),
    }
}
