//! Writes a response in the client's format. It belongs to the request and survives attempts: its id, its
//! time and the numbers of its choices stay the same whichever provider's response it writes.

use crate::canonical::ResponseEvent;
use crate::error::Error;
use crate::formats::tap::PassthroughEnd;
use crate::formats::{ClientFormat, Framing, ResponseHead, StreamEncoder, UsageReport};

/// Writes a streamed response.
pub(super) struct ResponseWriter {
    client: &'static ClientFormat,
    /// None if the provider's bytes pass.
    encoder: Option<Box<dyn StreamEncoder>>,
}

impl ResponseWriter {
    /// A writer for a stream of the provider's own bytes: it adds no more than a missing end.
    pub(super) fn passthrough(client: &'static ClientFormat) -> Self {
        Self { client, encoder: None }
    }

    /// A writer that encodes events.
    pub(super) fn encoding(client: &'static ClientFormat, head: ResponseHead) -> Self {
        Self { client, encoder: Some((client.stream)(head)) }
    }

    /// How the stream is cut into events.
    pub(super) fn framing(&self) -> &'static Framing {
        self.client.framing
    }

    /// How a stream of the provider's own bytes is ended.
    pub(super) fn passthrough_end(&self) -> fn(PassthroughEnd<'_>, &mut Vec<u8>) {
        self.client.end_passthrough
    }

    /// Writes an event.
    pub(super) fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        if let Some(encoder) = &mut self.encoder {
            encoder.event(event, out);
        }
    }

    /// Writes the end of a stream of events: of a complete one, or with the `failure` of an incomplete one.
    /// Returns the JSON that reports the usage, if it was withheld for the cost to be added to it.
    pub(super) fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) -> Option<Vec<u8>> {
        let encoder = self.encoder.as_mut()?;
        encoder.finish(failure, out);
        encoder.withheld_usage().map(<[u8]>::to_vec)
    }

    /// Inserts a withheld report of the usage, with the cost, into the stream's end.
    pub(super) fn insert_cost(&self, report: UsageReport<'_>, tail: &mut Vec<u8>) {
        (self.client.insert_cost)(report, tail);
    }
}
