//! Reads a provider's whole response.

use super::super::errors::{invalid, read_in_success, without_choices};
use super::super::wire::{is_error, says_error};
use super::events::{ChatEventReader, ResponseFields};
use crate::canonical::ResponseEvent;
use crate::error::Result;
use crate::formats::stream::EventSink;

/// Reads a whole response that came with a success status.
///
/// # Errors
/// 502 if the body is not a chat completion; the error's own status if it reports an error.
pub(crate) fn read(body: &[u8], emit: EventSink<'_>) -> Result<()> {
    let Ok(response) = serde_json::from_slice::<ResponseFields<'_>>(body) else {
        return Err(if is_error(body) {
            read_in_success(body)
        } else {
            invalid("a body that is not a chat completion")
        });
    };
    if response.error.is_some_and(says_error) {
        return Err(read_in_success(body));
    }
    if response.choices.is_none() {
        return Err(without_choices(body));
    }
    let mut reader = ChatEventReader::default();
    let mut failure = None;
    let read = reader.read_response(&response, body, &mut |event| match event {
        ResponseEvent::Failed(error) => failure = Some(error),
        event => emit(event),
    });
    read.ok_or_else(|| invalid("a body that is not a chat completion"))?;
    failure.map_or(Ok(()), Err)?;
    reader.end(emit);
    Ok(())
}
