//! A whole answer, read.

use super::super::errors::invalid;
use super::super::wire::response::Chunk;
use super::events::{Answer, failure};
use crate::error::Result;
use crate::formats::EventSink;
use crate::wire::list;

/// Reads a whole answer that came with a status of success.
///
/// # Errors
/// 502 if it is none, or an error in spite of its status; 400 if the question was blocked. What that took is told all the same.
pub(crate) fn read(body: &[u8], each: EventSink<'_>) -> Result<()> {
    let none = || invalid("The provider answered with a status of success, but with a body that is no answer.");
    let (mut answer, mut failed) = (Answer::default(), None);
    read_each(body, |chunk| failed = failed.take().or_else(|| failure(&chunk))).ok_or_else(none)?;
    // Nothing is told of an answer that fails but its tokens.
    if let Some(failure) = failed {
        let _ = read_each(body, |chunk| answer.usage(&chunk, &mut *each));
        return Err(failure);
    }
    let mut read = Ok(());
    let _ = read_each(body, |chunk| {
        if read.is_ok() {
            read = answer.take(&chunk, &mut *each);
        }
    });
    read?;
    if !answer.is_whole() {
        return Err(invalid("The provider answered with a status of success, but with an answer that has no end."));
    }
    answer.close(each);
    Ok(())
}

/// Hands over an answer, or the chunks of one in a list, one by one; `None` if some of it is none.
fn read_each<'a>(body: &'a [u8], mut take: impl FnMut(Chunk<'a>)) -> Option<()> {
    if body.trim_ascii_start().starts_with(b"{") {
        take(serde_json::from_slice(body).ok()?);
        return Some(());
    }
    let all = |chunk| {
        take(chunk);
        true
    };
    list::each(std::str::from_utf8(body).ok()?, all).ok()
}
