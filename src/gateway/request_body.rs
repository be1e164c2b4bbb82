//! A client's body in memory. It knows no key, and no format.

use std::pin::pin;

use futures::future::{Either, select};

use super::platform::{BodyError, Broken, Piece as _, Platform};
use super::{Bridge, MemoryReservation, Request, memory};
use crate::config::Millis;
use crate::error::{Error, Result};

/// How bodies in gzip and Zstandard begin; JSON never does.
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// A body of at most so many bytes is read in one step. A longer one would be held several times by the
/// platform as well.
const AT_ONCE: usize = 256 << 10;
/// The bytes that are reserved for a body of unknown length.
const UNANNOUNCED: usize = 64 << 10;
/// A refused body is read on only while its pieces come without a longer pause than this, in milliseconds …
const PAUSE: Millis = 250;
/// … and for no longer than this in all: its response waits for it.
const REFUSAL: Millis = 5_000;

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
        Some(length) if length > limit => return Err(unread(BodyError::TooLarge, limit)),
        length => bridge.memory.reserve(length.unwrap_or(0), now, now.saturating_add(bridge.config.max_total_time())),
    };
    let Some(room) = room else {
        if let Some(mut stream) = host.open_body(request.body) {
            discard(host, &mut stream, limit).await;
        }
        return Err(memory::full());
    };
    let bytes = read(host, request.body, announced, limit, &room).await.map_err(|why| unread(why, limit))?;
    if COMPRESSED.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Error::caller(415, "unsupported_encoding", "The body is compressed; send it as plain JSON."));
    }
    Ok(ReceivedBody { bytes, room })
}

/// Reads a body of at most `limit` bytes. `announced`: its length, if it is known; then `room` holds it
/// already. If not, `room` grows with it.
async fn read<P: Platform>(
    platform: &P,
    body: P::Body,
    announced: Option<usize>,
    limit: usize,
    room: &MemoryReservation,
) -> std::result::Result<Vec<u8>, BodyError> {
    if announced.is_some_and(|length| length <= AT_ONCE) {
        return platform.read_body(body).await.map_err(|Broken| BodyError::Broken);
    }
    let Some(mut stream) = platform.open_body(body) else { return Ok(Vec::new()) };
    let read = read_pieces(platform, &mut stream, announced, limit, room).await;
    if read == Err(BodyError::NoRoom) {
        discard(platform, &mut stream, limit).await;
    }
    read
}

async fn read_pieces<P: Platform>(
    platform: &P,
    stream: &mut P::Stream,
    announced: Option<usize>,
    limit: usize,
    room: &MemoryReservation,
) -> std::result::Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(announced.unwrap_or(UNANNOUNCED)).map_err(|_| BodyError::Broken)?;
    while let Some(piece) = platform.next(stream).await.map_err(|Broken| BodyError::Broken)? {
        let (held, length) = (bytes.len(), bytes.len().saturating_add(piece.length()));
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        if announced.is_none_or(|announced| length > announced) && !room.body(length) {
            return Err(BodyError::NoRoom);
        }
        if bytes.capacity() - held < piece.length() {
            // Not twice as much, as a vector would by itself.
            bytes.try_reserve_exact(piece.length().max(held / 4)).map_err(|_| BodyError::Broken)?;
        }
        piece.append_to(&mut bytes);
    }
    Ok(bytes)
}

/// Reads a refused body, at most `limit` bytes, and keeps nothing of it: a client that is still sending when
/// its connection closes may never see the refusal.
async fn discard<P: Platform>(platform: &P, stream: &mut P::Stream, limit: usize) {
    let reading = async {
        let mut taken = 0;
        while taken <= limit {
            match select(pin!(platform.next(stream)), platform.timer(PAUSE)).await {
                Either::Left((Ok(Some(piece)), _)) => taken = taken.saturating_add(piece.length()),
                _ => break,
            }
        }
    };
    select(pin!(reading), platform.timer(REFUSAL)).await;
}

fn unread(why: BodyError, limit: usize) -> Error {
    match why {
        BodyError::NoRoom => memory::full(),
        BodyError::TooLarge => Error::caller(
            413,
            "request_too_large",
            format!("The body is larger than this gateway takes ({limit} bytes)."),
        ),
        BodyError::Broken => Error::caller(400, "invalid_body", "The body broke off."),
    }
}
