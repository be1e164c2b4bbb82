//! Builders: each takes the events of a stream of one format and gives the whole response.

use super::value::{Fields, Size};
use crate::error::{Error, Result};
use crate::formats::stream::oversized;
use crate::wire::sse::{Block, SseReader};

/// Builds a whole response from the bytes of a stream.
pub trait ResponseBuilder {
    /// Takes more of the stream.
    ///
    /// # Errors
    /// 502 if an event cannot be read, or does not fit what came before it.
    fn push(&mut self, bytes: &[u8]) -> Result<()>;

    /// The length of the response so far, in bytes, and the number of its values.
    fn size(&self) -> (usize, usize);

    /// The stream has ended, and was complete: reads what lacks only its last line end, and returns the
    /// response.
    ///
    /// # Errors
    /// As [`ResponseBuilder::push`].
    fn finish(self: Box<Self>) -> Result<Vec<u8>>;
}

/// The events of a format, folded into a whole response.
pub(in crate::formats) trait EventFold {
    /// Takes the data of an event, which is not empty.
    ///
    /// # Errors
    /// As [`ResponseBuilder::push`].
    fn event(&mut self, data: &[u8]) -> Result<()>;

    /// The size of the response so far.
    fn size(&self) -> Size;

    /// The response.
    ///
    /// # Errors
    /// 502 if it has no response.
    fn into_response(self) -> Result<Fields>;
}

/// A builder from server-sent events.
#[derive(Default)]
pub(in crate::formats) struct SseBuilder<F> {
    reader: SseReader,
    fold: F,
}

impl<F: EventFold> ResponseBuilder for SseBuilder<F> {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let (fold, mut read) = (&mut self.fold, Ok(()));
        self.reader.push(bytes, &mut |block| take(fold, &mut read, block));
        read
    }

    fn size(&self) -> (usize, usize) {
        let Size { bytes, nodes } = self.fold.size();
        (bytes, nodes)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>> {
        let Self { mut reader, mut fold } = *self;
        let mut read = Ok(());
        reader.finish(&mut |block| take(&mut fold, &mut read, block));
        read?;
        let length = fold.size().bytes;
        let mut out = Vec::with_capacity(length);
        fold.into_response()?.write(&mut out);
        Ok(out)
    }
}

/// Takes an event, unless an earlier one could not be read.
fn take(fold: &mut impl EventFold, read: &mut Result<()>, block: Block<'_>) {
    if read.is_err() {
        return;
    }
    if block.oversized {
        *read = Err(oversized());
    } else if let Some(data) = block.data.filter(|data| !data.trim_ascii().is_empty()) {
        *read = fold.event(data);
    }
}

/// The error for an event that cannot be read, or does not fit what came before it.
pub(in crate::formats) fn malformed() -> Error {
    let message = "The provider sent an event that cannot be read.";
    Error::upstream(502, "upstream_invalid_response", message)
}
