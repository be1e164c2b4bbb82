//! The two formats of an exchange, the client's and the provider's: what is sent, and how the answer is read. It knows neither.

use super::attempt::Attempt;
use super::reader::{ResponseReader, StreamOptions};
use super::reasoning::ReasoningCache;
use super::request_head::RequestHead;
use super::writer::ResponseWriter;
use crate::config::Streaming;
use crate::formats::operation::Operation;
use crate::formats::{ClientFormat, ProviderFormat, ResponseHead, Restream};

/// The response header that names what a provider was not told.
pub(super) const DROPPED: &str = "x-llm-bridge-dropped";

/// The response header that says that tokens were estimated here: the provider did not tell them.
pub(super) const ESTIMATED: &str = "x-llm-bridge-estimated";

/// The two formats of an exchange, and what the head of its answer says.
pub(super) struct Pair<'m> {
    request: &'m RequestHead<'m>,
    pub(super) upstream: &'static ProviderFormat,
    pub(super) operation: &'static Operation,
    /// Empty where the client gets the provider's bytes, and needs no other.
    pub(super) head: ResponseHead,
    /// Both speak the same, and nothing stands in the request that only the gateway understands.
    pub(super) native: bool,
    /// Where that is kept which the provider wants back and the client cannot carry.
    pub(super) safe: Option<ReasoningCache>,
}

impl<'m> Pair<'m> {
    /// The formats of an attempt at a provider of this format.
    pub(super) fn of(
        attempt: &Attempt<'_, '_, 'm>,
        upstream: &'static ProviderFormat,
        head: impl FnOnce() -> ResponseHead,
        safe: impl FnOnce() -> Option<ReasoningCache>,
    ) -> Self {
        let (request, native) = (attempt.head, attempt.mode.is_passthrough());
        let needs_head = !native || matches!(request.client.restream, Restream::Events);
        let head = if needs_head { head() } else { ResponseHead::default() };
        let safe = if native { None } else { safe() };
        Self { request, upstream, operation: attempt.envelope.operation, head, native, safe }
    }

    /// The client's format.
    pub(super) fn client(&self) -> &'static ClientFormat {
        self.request.client
    }

    /// A reader of the provider's stream, and the writer of the client's.
    pub(super) fn stream(self, streaming: &Streaming, options: StreamOptions) -> (ResponseReader, ResponseWriter) {
        let client = self.request.client;
        if self.native {
            let reader = ResponseReader::tapped(self.upstream, streaming, options);
            return (reader, ResponseWriter::passthrough(client));
        }
        let reader = ResponseReader::translating(self.upstream, options.text, self.safe);
        (reader, ResponseWriter::encoding(client, self.head))
    }
}
