//! Reads a stream on its way from the provider to a client of the same format.

use std::borrow::Cow;

use super::framing::Framing;
use super::stream::{OVERSIZED, StreamDecoder};
use super::summary::ResponseSummary;
use crate::canonical::ResponseEvent;
use crate::error::Error;

/// What a tap keeps, and what it lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapOptions {
    /// Keep the response's text, for operators who log it.
    pub text: bool,
    /// Pass well-formed events only. Otherwise all bytes pass.
    pub checked: bool,
    /// The smallest number of choices that a complete response has; 0 counts as 1.
    pub choices: u64,
    /// If checked: withhold an event that reports only the usage, because the gateway requested it and not
    /// the client.
    pub hides_usage: bool,
    /// If checked: withhold that event for the cost to be added to it. Usage beside other content passes, and
    /// is kept as well.
    pub withholds_usage: bool,
}

/// Reads a stream on its way from the provider to the client.
pub trait StreamTap {
    /// Reads more of the stream. Returns what may pass on.
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]>;

    /// No more bytes come: reads what only that tells. Nothing passes because of it.
    fn close(&mut self) {}

    /// The stream has ended: reads what was complete but for its last line end. Appends what of it may pass,
    /// and what separates that from more events. Returns whether the end marker has passed, so that no event
    /// may follow.
    fn finish(&mut self, out: &mut Vec<u8>) -> bool;

    /// Whether what has passed ends between two events, so that an event may be inserted.
    fn is_between_events(&self) -> bool;

    /// Whether only well-formed events pass.
    fn is_checked(&self) -> bool {
        false
    }

    /// The summary of the response so far.
    fn summary(&self) -> &ResponseSummary;
}

/// How a stream of the provider's own bytes has ended whose end marker has not passed.
#[derive(Clone, Copy, Debug)]
pub enum PassthroughEnd<'e> {
    /// The response is complete.
    Complete,
    /// The provider reported an error, which has passed.
    Reported,
    /// The response is incomplete.
    Incomplete(&'e Error),
}

/// Ends a tapped stream: appends what the client still has to get. `write_end` is that of the client's
/// format; `failure` is reported if the response is incomplete.
pub fn finish_tapped(
    tap: &mut dyn StreamTap,
    write_end: fn(PassthroughEnd<'_>, &mut Vec<u8>),
    failure: &Error,
    out: &mut Vec<u8>,
) {
    if tap.finish(out) {
        return;
    }
    let summary = tap.summary();
    let end = match (&summary.error, summary.is_complete()) {
        (Some(_), _) => PassthroughEnd::Reported,
        (None, true) => PassthroughEnd::Complete,
        (None, false) => PassthroughEnd::Incomplete(failure),
    };
    write_end(end, out);
}

/// A tap that decodes the stream: for formats that have none of their own. It lets all bytes pass.
pub(super) struct EventTap {
    decoder: Box<dyn StreamDecoder>,
    summary: ResponseSummary,
    /// What ends an event.
    boundary: &'static [u8],
    /// The last bytes that passed, without carriage returns.
    last: [u8; 2],
    /// No more bytes come.
    is_closed: bool,
}

impl EventTap {
    pub(super) fn new(decoder: Box<dyn StreamDecoder>, framing: &Framing, options: TapOptions) -> Self {
        let summary = ResponseSummary::default().keep_text(options.text);
        Self { decoder, summary, boundary: framing.boundary, last: *b"\n\n", is_closed: false }
    }

    fn read(&mut self, read: impl FnOnce(&mut dyn StreamDecoder, &mut dyn FnMut(ResponseEvent<'_>))) {
        let summary = &mut self.summary;
        read(self.decoder.as_mut(), &mut |event| {
            if matches!(&event, ResponseEvent::Failed(error) if error.code() == Some(OVERSIZED)) {
                // It passes unread, so it counts as content.
                (summary.has_content, summary.has_output, summary.content_after_usage) = (true, true, true);
            } else if summary.error.is_none() {
                summary.record(&event);
            }
        });
        self.summary.malformed = self.decoder.malformed();
    }
}

impl StreamTap for EventTap {
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        self.read(|decoder, each| decoder.push(bytes, each));
        // Two line ends have four bytes at most.
        for byte in bytes.iter().skip(bytes.len().saturating_sub(4)).filter(|byte| **byte != b'\r') {
            self.last = [self.last[1], *byte];
        }
        // An end marker without a response is withheld: an error takes its place.
        if self.summary.is_empty() {
            self.last = *b"..";
            return Cow::Owned(Vec::new());
        }
        Cow::Borrowed(bytes)
    }

    fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.read(|decoder, each| decoder.finish(each));
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        self.close();
        if self.summary.error.is_none() && !self.is_between_events() {
            out.extend_from_slice(self.boundary);
        }
        self.summary.has_ended && self.summary.is_complete()
    }

    fn is_between_events(&self) -> bool {
        self.last.ends_with(self.boundary)
    }

    fn summary(&self) -> &ResponseSummary {
        &self.summary
    }
}
