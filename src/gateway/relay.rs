//! The end of an answer's way: what is heard of a stream while it passes, what has to be added at its end, and the record of it.
//! It is fed bytes and times; it waits for nothing.

use std::rc::Rc;

use super::Bridge;
use super::receipt::{Outcome, Receipt};
use crate::adapters::openai::overhear::Overhear;
use crate::config::Millis;
use crate::error::{Error, Result};

/// How the flow of bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender closed it.
    Closed,
    /// The connection broke.
    Broken,
    /// The time allowed was over.
    TimedOut,
    /// The client left.
    ClientLeft,
}

/// Listens to one streamed answer.
pub struct Relay {
    bridge: Rc<Bridge>,
    heard: Overhear,
    receipt: Receipt,
    deadline: Millis,
}

impl Relay {
    /// Begins to listen to an answer that has to end by `deadline`.
    pub fn new(bridge: Rc<Bridge>, receipt: Receipt, deadline: Millis) -> Self {
        let keeps_text = bridge.config.logging.fields.shows("response");
        let heard = if keeps_text { Overhear::keeping_text() } else { Overhear::default() };
        Self { bridge, heard, receipt, deadline }
    }

    /// How long the answer may still take.
    pub fn left(&self, now: Millis) -> Millis {
        self.deadline.saturating_sub(now)
    }

    /// Bytes have passed. Gives a line for the log, if pieces are logged.
    pub fn push(&mut self, bytes: &[u8], now: Millis) -> Option<String> {
        self.receipt.first_byte.get_or_insert(now);
        self.heard.push(bytes);
        let logging = &self.bridge.config.logging;
        if bytes.is_empty() { None } else { self.receipt.chunk_line(logging, now, bytes) }
    }

    /// Whether the answer has begun: content has come, or the end.
    pub fn has_begun(&self) -> bool {
        self.heard.has_content() || self.heard.is_whole()
    }

    /// The error of a stream that reported one before any content.
    ///
    /// # Errors
    /// The provider's error.
    pub fn failed_early(&self) -> Result<()> {
        self.heard.error().filter(|_| !self.heard.has_content()).map_or(Ok(()), |error| Err(error.clone()))
    }

    /// The stream ended before any content: that is an answer only if it says so.
    ///
    /// # Errors
    /// 502 if it does not.
    pub fn ended_early(&self) -> Result<()> {
        if self.heard.is_whole() { Ok(()) } else { Err(failure(End::Closed)) }
    }

    /// The flow has ended. Gives the bytes that the client still has to get.
    pub fn finish(&mut self, end: End) -> Vec<u8> {
        let failure = failure(end);
        let tail = self.heard.finish(&failure);
        self.receipt.outcome = match (self.heard.is_whole(), self.heard.error(), end) {
            (true, _, _) => Outcome::Complete,
            (false, Some(_), _) => Outcome::UpstreamError,
            (false, None, End::ClientLeft) => Outcome::ClientClosed,
            (false, None, End::TimedOut) => Outcome::TimedOut,
            (false, None, End::Closed | End::Broken) => Outcome::Truncated,
        };
        self.receipt.usage = self.heard.usage().or(self.receipt.usage);
        self.receipt.malformed = self.heard.malformed();
        tail
    }

    /// The log's line for the whole request, if its level is logged.
    pub fn record(&self, end: End, now: Millis) -> Option<String> {
        let cut = failure(end);
        let error = match self.receipt.outcome {
            Outcome::Complete | Outcome::ClientClosed | Outcome::Refused => None,
            Outcome::UpstreamError => self.heard.error(),
            Outcome::Truncated | Outcome::TimedOut => Some(&cut),
        };
        self.receipt.end_line(&self.bridge.config.logging, now, error, self.heard.text())
    }
}

fn failure(end: End) -> Error {
    match end {
        End::TimedOut => {
            Error::upstream(504, "upstream_timeout", "The provider did not finish its answer in the time allowed.")
        }
        End::Closed | End::Broken | End::ClientLeft => {
            Error::upstream(502, "stream_truncated", "The provider's answer broke off before its end.")
        }
    }
}
