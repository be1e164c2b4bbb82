//! A client's body in memory. It knows no key, and no format.

use super::platform::{self, Platform};
use super::{Bridge, MemoryReservation, Request, memory};
use crate::error::{Error, Result};

/// How bodies in gzip and Zstandard begin; JSON never does.
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// A body in memory, and the room that it takes there.
pub struct ReceivedBody {
    bytes: Vec<u8>,
    room: MemoryReservation,
}

impl ReceivedBody {
    /// Lets go of the body, and keeps its room.
    pub(super) fn into_room(self) -> MemoryReservation {
        self.room
    }
}

impl std::ops::Deref for ReceivedBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body, once there is room for it.
///
/// # Errors
/// 413 if it is too long; 503 if there is no room; 415 if it is compressed; 400 if it broke off.
pub async fn read_body<H: Platform>(bridge: &Bridge, host: &H, request: Request<'_, H>) -> Result<ReceivedBody> {
    let limit = bridge.config.max_body_bytes;
    let announced = (request.header)("content-length").and_then(|length| length.parse::<u64>().ok());
    let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let now = host.now();
    let room = match announced {
        Some(length) if length > limit => return Err(unread(platform::BodyError::TooLarge, limit)),
        length => bridge.memory.reserve(length.unwrap_or(0), now, now.saturating_add(bridge.config.longest())),
    };
    let Some(room) = room else {
        host.discard(request.body, limit).await;
        return Err(memory::full());
    };
    let bytes = host.read(request.body, announced, limit, &room).await.map_err(|why| unread(why, limit))?;
    if COMPRESSED.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Error::caller(415, "unsupported_encoding", "The body is compressed; send it as plain JSON."));
    }
    Ok(ReceivedBody { bytes, room })
}

fn unread(why: platform::BodyError, limit: usize) -> Error {
    match why {
        platform::BodyError::NoRoom => memory::full(),
        platform::BodyError::TooLarge => Error::caller(
            413,
            "request_too_large",
            format!("The body is larger than this gateway takes ({limit} bytes)."),
        ),
        platform::BodyError::Broken => Error::caller(400, "invalid_body", "The body broke off."),
    }
}
