//! Asks for a stream, and gives a whole response: the events of a provider's stream, assembled to the
//! document that the provider would have sent at once.

use super::assemble::ResponseBuilder;
use super::provider_format::ProviderFormat;
use super::summary::{Completion, ResponseSummary};
use super::tap::{StreamTap, TapOptions};
use crate::error::{Error, Result};
use crate::wire::dense::max_nodes;

/// The bytes of a stream after which the response is measured again. A response of this length is measured
/// each time that it has grown by a quarter.
const MEASURE_EVERY: usize = 64 << 10;

/// What a response may take, and what it must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssembleOptions {
    /// The most bytes of the document. A stream may exceed it for a short while before that is noticed.
    pub max_bytes: usize,
    /// The smallest number of choices of a complete response; 0 counts as 1.
    pub choices: u64,
}

/// Assembles a stream to a whole response of the same format.
pub struct Assembler {
    options: AssembleOptions,
    /// Judges the stream as one that passes to a client of the same format.
    tap: Box<dyn StreamTap>,
    /// `None` after a failure, and at the end.
    builder: Option<Box<dyn ResponseBuilder>>,
    failure: Option<Error>,
    /// The length of the document when it was measured last, and the bytes that have come since.
    length: usize,
    unmeasured: usize,
}

impl Assembler {
    /// An assembler for a stream that has not begun. `None` if the format has none.
    pub fn new(format: &ProviderFormat, options: AssembleOptions) -> Option<Self> {
        let builder = format.assemble?();
        let tap = (format.tap)(TapOptions { choices: options.choices, ..TapOptions::default() });
        Some(Self { options, tap, builder: Some(builder), failure: None, length: 0, unmeasured: 0 })
    }

    /// Takes more of the stream. Its error is final: what comes later is ignored.
    ///
    /// # Errors
    /// The error that the provider reports in its stream; 502 if an event cannot be read, or if the response
    /// becomes too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.tap.push(bytes);
        let Some(builder) = &mut self.builder else { return Ok(()) };
        let built = builder.push(bytes);
        self.unmeasured = self.unmeasured.saturating_add(bytes.len());
        let outcome = self.tap.summary().check().and(built).and_then(|()| self.check_size());
        outcome.map_err(|error| self.fail(error))
    }

    /// The stream has ended: returns the whole response, which the format's reader of whole responses reads.
    ///
    /// # Errors
    /// As [`Assembler::push`]; 502 if the stream broke off, or holds no response.
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.tap.finish(&mut Vec::new());
        let document = self.check_end().and_then(|()| match self.builder.take() {
            Some(builder) => builder.finish(),
            None => Err(truncated()),
        });
        let document = document
            .and_then(|document| if document.len() > self.options.max_bytes { Err(too_long()) } else { Ok(document) });
        document.map_err(|error| self.fail(error))
    }

    /// What the stream says of itself: its usage, model and tier so far, also after a failure; and whether
    /// content has come ([`ResponseSummary::has_content`]).
    pub fn summary(&self) -> &ResponseSummary {
        self.tap.summary()
    }

    /// The bytes that the document had when it was measured last: after 64 KiB of the stream, or a quarter
    /// more than before.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Checks that a stream is complete that has ended.
    ///
    /// # Errors
    /// The provider's own error; 502 if it is not complete.
    fn check_end(&self) -> Result<()> {
        let summary = self.tap.summary();
        summary.check()?;
        if summary.is_empty() {
            return Err(empty());
        }
        // Some hosts send no end marker after a chat.
        let has_ended = summary.has_ended || matches!(summary.completion, Completion::FinishedOrEnded(_));
        if has_ended && summary.is_complete() { Ok(()) } else { Err(truncated()) }
    }

    fn check_size(&mut self) -> Result<()> {
        let Some(builder) = self.builder.as_ref() else { return Ok(()) };
        if self.unmeasured < MEASURE_EVERY.max(self.length / 4) {
            return Ok(());
        }
        let (bytes, nodes) = builder.size();
        (self.length, self.unmeasured) = (bytes, 0);
        let AssembleOptions { max_bytes, .. } = self.options;
        if bytes > max_bytes || nodes > max_nodes(max_bytes) { Err(too_long()) } else { Ok(()) }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.builder = None;
        self.failure = Some(error.clone());
        error
    }
}

fn truncated() -> Error {
    Error::upstream(502, "stream_truncated", "The provider's answer broke off before its end.")
}

fn empty() -> Error {
    let message = "The provider answered with a stream that holds no answer.";
    Error::upstream(502, "upstream_invalid_response", message)
}

fn too_long() -> Error {
    Error::upstream(502, "answer_too_large", "The provider's answer is longer than this gateway holds.")
}
