//! A whole answer of a provider's, read.

use super::super::outbound::{in_spite, invalid};
use super::super::wire::is_error;
use super::events::{Answer, State};
use crate::canonical::ResponseEvent;
use crate::error::Result;
use crate::formats::EventSink;

/// Reads a whole answer that came with a status of success.
///
/// # Errors
/// 502 if it is none, or an error in spite of its status.
pub(crate) fn read(body: &[u8], each: EventSink<'_>) -> Result<()> {
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
        return Err(if is_error(body) { in_spite(body) } else { invalid("a body that is not a chat completion") });
    };
    if answer.error.is_some() {
        return Err(in_spite(body));
    }
    if answer.choices.is_none() {
        return Err(invalid("a body that has no choices"));
    }
    let mut state = State::default();
    let mut failure = None;
    let read = state.answer(&answer, body, &mut |event| match event {
        ResponseEvent::Failed(error) => failure = Some(error),
        event => each(event),
    });
    read.ok_or_else(|| invalid("a body that is not a chat completion"))?;
    failure.map_or(Ok(()), Err)?;
    each(ResponseEvent::End);
    Ok(())
}
