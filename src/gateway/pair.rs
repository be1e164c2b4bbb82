//! The two formats of an exchange, the client's and the provider's: what is sent, and how the answer is read. It knows neither.

use super::attempt::Attempt;
use super::dropped_fields::fits_header;
use super::reader::{ResponseReader, StreamOptions};
use super::reasoning::ReasoningCache;
use super::writer::ResponseWriter;
use crate::config::Streaming;
use crate::formats::operation::Operation;
use crate::formats::{ClientFormat, ProviderFormat, ResponseHead, Restream};

/// The request header by which a caller would rather be refused than have anything dropped.
const STRICT: &str = "x-llm-bridge-strict";

/// The response header that names what a provider was not told.
pub(super) const DROPPED: &str = "x-llm-bridge-dropped";

/// The response header that says that tokens were estimated here: the provider did not tell them.
pub(super) const ESTIMATED: &str = "x-llm-bridge-estimated";

/// How a client speaks, and what its headers say, for whoever has to know.
pub(super) struct Manner<'r> {
    pub(super) client: &'static ClientFormat,
    header: &'r dyn Fn(&str) -> Option<String>,
}

impl<'r> Manner<'r> {
    /// The manner of a client; `header` looks up one of its request's.
    pub(super) fn new(client: &'static ClientFormat, header: &'r dyn Fn(&str) -> Option<String>) -> Self {
        Self { client, header }
    }

    /// Whether it would rather be refused than have anything dropped.
    pub(super) fn is_strict(&self) -> bool {
        (self.header)(STRICT).is_some_and(|word| matches!(word.as_str(), "true" | "1"))
    }

    /// Headers for providers who speak the same.
    pub(super) fn carried(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.client.carried.iter().filter_map(|(name, usual)| {
            let own = (self.header)(name).filter(|value| fits_header(value));
            let value = own.or_else(|| usual.map(str::to_owned))?;
            Some((*name, value))
        })
    }
}

/// The two formats of an exchange, and what the head of its answer says.
pub(super) struct Pair<'m> {
    manner: &'m Manner<'m>,
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
        let (manner, native) = (attempt.manner, attempt.mode.is_passthrough());
        let needs_head = !native || matches!(manner.client.restream, Restream::Events);
        let head = if needs_head { head() } else { ResponseHead::default() };
        let safe = if native { None } else { safe() };
        Self { manner, upstream, operation: attempt.envelope.operation, head, native, safe }
    }

    /// The client's format.
    pub(super) fn client(&self) -> &'static ClientFormat {
        self.manner.client
    }

    /// A reader of the provider's stream, and the writer of the client's.
    pub(super) fn stream(self, streaming: &Streaming, options: StreamOptions) -> (ResponseReader, ResponseWriter) {
        let client = self.manner.client;
        if self.native {
            let reader = ResponseReader::tapped(self.upstream, streaming, options);
            return (reader, ResponseWriter::passthrough(client));
        }
        let reader = ResponseReader::translating(self.upstream, options.text, self.safe);
        (reader, ResponseWriter::encoding(client, self.head))
    }
}
