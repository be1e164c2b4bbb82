//! A provider's whole answer into memory, as far as there is room for it. It knows no format.

use super::call::{self, GatheredBody};
use super::dispatch::{call_failed, left};
use super::platform::Platform;
use super::record::RequestRecord;
use super::{Bridge, memory};
use crate::error::{Error, Result};
use crate::policy::routing::Target;

/// Reads an answer, or the beginning of one that is longer than `most`.
pub(super) async fn read_answer<H: Platform>(
    bridge: &Bridge,
    host: &H,
    answer: H::Answer,
    target: &Target<'_>,
    most: usize,
    receipt: &mut RequestRecord,
) -> Result<GatheredBody<H>> {
    let first_byte = host.now();
    let room = bridge.memory.reserve(0, first_byte, first_byte.saturating_add(target.model.clocks.total));
    let room = room.ok_or_else(memory::full)?;
    let gathered = call::gather(host, answer, left(host, target, receipt), most, &room).await.map_err(call_failed)?;
    receipt.first_byte = Some(first_byte);
    Ok(gathered)
}

/// An answer that has to be held is longer than may be; its provider need not go on.
pub(super) fn too_long<H: Platform>(bridge: &Bridge, host: &H, rest: &H::Stream) -> Error {
    host.abort(rest);
    let most = bridge.config.max_answer_bytes;
    too_large(format!("The provider's answer is longer than this gateway holds ({most} bytes)."))
}

/// An answer is longer than the frame of a WebSocket that has to hold all of it.
pub fn unframed(most: usize) -> Error {
    too_large(format!(
        "The answer is longer than a frame may be ({most} bytes). Ask for it with `stream`, or over HTTP, where it passes in pieces."
    ))
}

fn too_large(message: String) -> Error {
    Error::upstream(502, "answer_too_large", message)
}

/// Reads all of an answer: a copy, and the bytes to hand on.
pub(super) async fn gather<H: Platform>(
    bridge: &Bridge,
    host: &H,
    answer: H::Answer,
    target: &Target<'_>,
    receipt: &mut RequestRecord,
) -> Result<(Vec<u8>, Option<H::Buffer>)> {
    match read_answer(bridge, host, answer, target, bridge.config.max_answer_bytes, receipt).await? {
        GatheredBody::Whole(bytes, buffer) => Ok((bytes, buffer)),
        GatheredBody::Long(rest, _) => Err(too_long(bridge, host, &rest)),
    }
}
