//! Writes a response in the client's format. It belongs to the request and survives attempts: its id, its
//! time and the numbers of its choices stay the same whichever provider's response it writes.

use super::shown::{Passed, Recovered, Shown};
use crate::canonical::ResponseEvent;
use crate::config::Millis;
use crate::error::Error;
use crate::formats::tap::PassthroughEnd;
use crate::formats::{ClientFormat, Framing, ResponseHead, StreamEncoder, UsageReport};

/// The name by which a response says how it went on: of a header, or of a comment in its stream.
pub(super) const RECOVERED: &str = "x-llm-bridge-recovered";

/// Writes a streamed response.
pub(super) struct ResponseWriter {
    client: &'static ClientFormat,
    /// None if the provider's bytes pass.
    encoder: Option<Box<dyn StreamEncoder>>,
    /// What the client has got, if another attempt may go on with it.
    shown: Option<Box<Shown>>,
}

impl ResponseWriter {
    /// A writer for a stream of the provider's own bytes: it adds no more than a missing end.
    pub(super) fn passthrough(client: &'static ClientFormat) -> Self {
        Self { client, encoder: None, shown: None }
    }

    /// A writer that encodes events.
    pub(super) fn encoding(client: &'static ClientFormat, head: ResponseHead) -> Self {
        Self { client, encoder: Some((client.stream)(head)), shown: None }
    }

    /// The same, for a response that another attempt may go on with.
    pub(super) fn showing(self, shown: Shown) -> Self {
        Self { shown: Some(Box::new(shown)), ..self }
    }

    /// What the client has got, if another attempt may go on with it.
    pub(super) fn shown(&self) -> Option<&Shown> {
        self.shown.as_deref()
    }

    /// The same, to be changed.
    pub(super) fn shown_mut(&mut self) -> Option<&mut Shown> {
        self.shown.as_deref_mut()
    }

    /// How the response went on that an attempt had left unfinished, if it did.
    pub(super) fn recovered(&self) -> Option<Recovered> {
        self.shown.as_ref()?.recovered()
    }

    /// How the stream is cut into events.
    pub(super) fn framing(&self) -> &'static Framing {
        self.client.framing
    }

    /// What keeps the client waiting while the provider is silent. `has_begun`: an event may have passed.
    pub(super) fn keep_alive(&mut self, has_begun: bool) -> Vec<u8> {
        let framing = self.client.framing;
        let event = framing.keep_alive_event.filter(|_| has_begun);
        let own = self.encoder.as_mut().and_then(|encoder| encoder.keep_alive());
        own.unwrap_or_else(|| event.unwrap_or(framing.keep_alive).to_vec())
    }

    /// Tells when the response was completed.
    pub(super) fn completed_at(&mut self, now: Millis) {
        if let Some(encoder) = &mut self.encoder {
            encoder.completed_at(now / 1000);
        }
    }

    /// How a stream of the provider's own bytes is ended.
    pub(super) fn passthrough_end(&self) -> fn(PassthroughEnd<'_>, &mut Vec<u8>) {
        self.client.end_passthrough
    }

    /// Writes an event.
    pub(super) fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        let Some(encoder) = &mut self.encoder else { return };
        let Some(shown) = &mut self.shown else { return encoder.event(event, out) };
        let comment = self.client.framing.comment;
        shown.pass(event, &mut |passed| match passed {
            Passed::Event(event) => encoder.event(event, out),
            Passed::News(how) => {
                let comment = comment.map(|write| write(&format!("{RECOVERED}: {}", how.name())));
                out.extend_from_slice(comment.unwrap_or_default().as_bytes());
                encoder.recovered(how.name());
            }
        });
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
