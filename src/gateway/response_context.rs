//! How the response of an attempt is read, and written for the client.

use super::kept::ResponseKeeper;
use super::platform::Platform;
use super::reader::{ResponseReader, StreamOptions, TranslationContext};
use super::reasoning::ReasoningCache;
use super::writer::ResponseWriter;
use crate::config::Streaming;
use crate::formats::operation::{Operation, Reform, RequestEnvelope};
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
    /// The form that was asked for, if some hosts ignore it.
    pub(super) reform: Option<&'static Reform>,
    /// Empty where the client gets the provider's bytes, and needs no other.
    pub(super) head: ResponseHead,
    /// Where reasoning state is stored that the provider wants back and the client cannot carry.
    pub(super) cache: Option<ReasoningCache>,
    /// Keeps the response for later requests.
    pub(super) keeper: Option<ResponseKeeper>,
    /// The client carries that state itself, sealed.
    pub(super) carries_state: bool,
    /// The tools that were sent under other names than the client's.
    pub(super) tools: ToolNames,
    /// The length of the request in bytes.
    pub(super) prompt_length: u64,
}

impl ResponseContext {
    /// A reader of the provider's stream, the writer of the client's, and what keeps the response.
    pub(super) fn into_stream(self, streaming: &Streaming) -> (ResponseReader, ResponseWriter, Option<ResponseKeeper>) {
        if self.is_passthrough {
            let reader = ResponseReader::tapped(self.format, self.client, streaming, self.options);
            return (reader, ResponseWriter::passthrough(self.client), self.keeper);
        }
        let Self { cache, carries_state, tools, prompt_length, keeper, .. } = self;
        let context = TranslationContext { keeps_text: self.options.text, cache, carries_state, tools, prompt_length };
        let reader = ResponseReader::translating(context, self.format);
        (reader, ResponseWriter::encoding(self.client, self.head), keeper)
    }

    /// The same without what only one reader can have, for a stream that may turn out to be a document.
    pub(super) fn spare(&self) -> Self {
        Self { cache: None, keeper: None, tools: ToolNames::default(), head: self.head.clone(), ..*self }
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
        completed: None,
        model: envelope.model.name.clone(),
        include_usage: envelope.options.include_usage == Some(true),
        include_cost: envelope.options.include_cost,
        fingerprint: None,
        is_kept: false,
        repeated: (client.repeat)(&envelope.document),
    }
}
