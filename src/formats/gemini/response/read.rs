//! Reads a provider's whole response.

use super::super::errors::invalid;
use super::super::wire::response::ResponseChunk;
use super::events::{ResponseReader, has_parts, read_failure};
use crate::error::Result;
use crate::formats::stream::EventSink;
use crate::wire::list;

/// Reads a whole response that came with a success status.
///
/// # Errors
/// 502 if the body is no response; 400 if the prompt was blocked; the error's own status if it reports one.
/// The usage is emitted even then.
pub(crate) fn read(body: &[u8], emit: EventSink<'_>) -> Result<()> {
    let not_a_response = || invalid("The provider answered with a success status, but its body is not a response.");
    let (mut reader, mut failure, mut said) = (ResponseReader::default(), None, false);
    let look = |chunk: ResponseChunk<'_>| {
        said |= has_parts(&chunk);
        failure = failure.take().or_else(|| read_failure(&chunk, said));
    };
    read_each(body, look).ok_or_else(not_a_response)?;
    // A failed response emits nothing but its usage.
    if let Some(failure) = failure {
        let _ = read_each(body, |chunk| reader.emit_usage(&chunk, &mut *emit));
        return Err(failure);
    }
    let mut read = Ok(());
    let _ = read_each(body, |chunk| {
        if read.is_ok() {
            read = reader.read_chunk(&chunk, &mut *emit);
        }
    });
    read?;
    if !reader.is_complete() {
        return Err(invalid("The provider answered with a success status, but its response is incomplete."));
    }
    reader.finish(emit);
    Ok(())
}

/// Hands the response, or each chunk of one in an array, to `take`; `None` if it is malformed.
fn read_each<'a>(body: &'a [u8], mut take: impl FnMut(ResponseChunk<'a>)) -> Option<()> {
    if body.trim_ascii_start().starts_with(b"{") {
        take(serde_json::from_slice(body).ok()?);
        return Some(());
    }
    let take_next = |chunk| {
        take(chunk);
        true
    };
    list::each(std::str::from_utf8(body).ok()?, take_next).ok()
}
