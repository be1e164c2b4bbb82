//! A streamed response that an attempt may leave unfinished, and that another one goes on with.

use super::failure::Failure;
use super::relay::{StreamEnd, StreamRelay};
use super::shown::{Recovered, Shown};
use super::writer::ResponseWriter;
use crate::config::Millis;
use crate::error::Error;

impl StreamRelay {
    /// Whether another attempt may go on with the response, if this one breaks off.
    pub(super) fn is_resumable(&self) -> bool {
        self.writer.shown().is_some()
    }

    /// Whether the client has got something of the response by an earlier attempt.
    pub(super) fn has_client(&self) -> bool {
        self.writer.shown().is_some_and(Shown::has_begun)
    }

    /// Whether another attempt follows that may go on with what the client has got.
    pub(super) fn may_go_on(&self) -> bool {
        let may_go_on = self.writer.shown().is_some_and(Shown::may_go_on);
        self.rules.is_followed && may_go_on && !self.reader.summary().is_complete()
    }

    /// What another attempt cannot go on behind, or does not join.
    pub(super) fn fault(&self) -> Option<Error> {
        let (shown, summary) = (self.writer.shown()?, self.reader.summary());
        match (summary.is_complete(), summary.malformed > 0, shown.is_broken()) {
            (false, _, true) => Some(unjoined()),
            (false, true, false) => Some(unreadable()),
            (true, _, _) | (false, false, false) => None,
        }
    }

    /// The text of a response that was continued, of all attempts.
    pub(super) fn whole_text(&self) -> Option<&str> {
        let shown = self.writer.shown()?;
        shown.text().filter(|_| shown.recovered() == Some(Recovered::Joined))
    }

    /// Leaves the response unfinished, which ended so, for another attempt to go on with it. What has come is
    /// charged.
    pub(super) fn leave(mut self, end: StreamEnd, now: Millis) -> (Failure, ResponseWriter) {
        let error = self.reader.summary().error.clone().unwrap_or_else(|| self.error(end));
        let failure = self.fail_held(error, now);
        let first_byte = self.first_byte();
        self.writer.shown_mut().into_iter().for_each(|shown| shown.leave(first_byte));
        (failure, self.writer)
    }

    /// The writer of a response of which nothing has been read, or nothing that the client has got.
    pub(super) fn into_writer(self) -> ResponseWriter {
        self.writer
    }

    /// When the first bytes came of what the client has got, of whatever attempt.
    pub(super) fn first_shown(&self) -> Option<Millis> {
        self.writer.shown().and_then(Shown::first_byte).or(self.first_byte())
    }
}

/// The error of a stream with an event that means nothing.
pub(super) fn unreadable() -> Error {
    Error::upstream(502, "upstream_invalid_response", "The provider sent an event that cannot be read.")
}

/// The error of a response that does not continue what was sent.
fn unjoined() -> Error {
    let message = "The answer broke off, and what another model wrote does not continue it.";
    Error::upstream(502, "upstream_invalid_response", message)
}
