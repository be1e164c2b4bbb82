//! Reads the body of a client's request into memory.

use std::pin::pin;

use futures::future::{Either, select};

use super::platform::{BodyError, Broken, Piece as _, Platform, ReadError};
use super::{Bridge, MemoryReservation, Request, memory};
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::wire::byte_order_mark::drop_byte_order_mark;

/// The first bytes of bodies in gzip and Zstandard. JSON never begins with them.
const COMPRESSED_MAGIC: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// The longest body that is read in one step, in bytes. The platform would hold several copies of a longer
/// one.
const ONE_STEP_BYTES: usize = 256 << 10;
/// The bytes that are reserved for a body of unknown length.
const UNANNOUNCED_BYTES: usize = 64 << 10;
/// The longest pause between two pieces of a refused body; after it, no more is read.
const MAX_DISCARD_PAUSE: Millis = 250;
/// The longest that a refused body is read. Its response waits for this.
const MAX_DISCARD_TIME: Millis = 5_000;

/// A body, and its reservation of memory.
pub struct ReceivedBody {
    bytes: Vec<u8>,
    reservation: MemoryReservation,
}

impl ReceivedBody {
    /// Keeps the body, and of its reservation what it takes itself.
    pub(super) fn keep(&self) {
        self.reservation.hold(self.bytes.len());
    }

    /// The same with other bytes, which may be longer.
    ///
    /// # Errors
    /// 400 if they are too long; 503 if there is not enough memory.
    pub(super) fn replaced(self, bytes: Vec<u8>, limit: usize) -> Result<Self> {
        if bytes.len() > limit {
            let message = "The conversation is too long with what this request refers to. Send fewer items.";
            return Err(Error::caller(400, "conversation_too_long", message));
        }
        if !self.reservation.hold_body(bytes.len()) {
            return Err(memory::full());
        }
        Ok(Self { bytes, ..self })
    }

    /// Drops the body, and keeps its reservation of memory.
    pub(super) fn into_room(self) -> MemoryReservation {
        self.reservation
    }
}

impl std::ops::Deref for ReceivedBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body, after it has reserved the memory for it.
///
/// # Errors
/// 413 if the body is too long, 503 if there is not enough memory, 415 if the body is compressed, 400 if it
/// is incomplete.
pub async fn read_body<P: Platform>(bridge: &Bridge, platform: &P, request: Request<'_, P>) -> Result<ReceivedBody> {
    let limit = bridge.config.max_body_bytes;
    let announced = (request.header)("content-length").and_then(|length| length.parse::<u64>().ok());
    let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let now = platform.now();
    let reservation = match announced {
        Some(length) if length > limit => return Err(body_error(BodyError::TooLarge, limit)),
        length => bridge.memory.reserve(length.unwrap_or(0), now, now.saturating_add(bridge.config.max_total_time())),
    };
    let Some(reservation) = reservation else {
        if let Some(mut stream) = platform.open_body(request.body) {
            discard(platform, &mut stream, limit).await;
        }
        return Err(memory::full());
    };
    let mut bytes =
        read(platform, request.body, announced, limit, &reservation).await.map_err(|error| body_error(error, limit))?;
    drop_byte_order_mark(&mut bytes);
    if COMPRESSED_MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(Error::caller(415, "unsupported_encoding", "The body is compressed; send it as plain JSON."));
    }
    Ok(ReceivedBody { bytes, reservation })
}

/// Reads a body of at most `limit` bytes. `announced`: its length, if known; `reservation` then covers it
/// already. Otherwise, `reservation` grows with the body.
async fn read<P: Platform>(
    platform: &P,
    body: P::Body,
    announced: Option<usize>,
    limit: usize,
    reservation: &MemoryReservation,
) -> std::result::Result<Vec<u8>, BodyError> {
    if announced.is_some_and(|length| length <= ONE_STEP_BYTES) {
        return platform.read_body(body).await.map_err(|Broken| BodyError::Broken);
    }
    let Some(mut stream) = platform.open_body(body) else { return Ok(Vec::new()) };
    let read = read_pieces(platform, &mut stream, announced, limit, reservation).await;
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
    reservation: &MemoryReservation,
) -> std::result::Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(announced.unwrap_or(UNANNOUNCED_BYTES)).map_err(|_| BodyError::Broken)?;
    while let Some(piece) = platform.next(stream).await.map_err(|_: ReadError| BodyError::Broken)? {
        let (held, length) = (bytes.len(), bytes.len().saturating_add(piece.length()));
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        if announced.is_none_or(|announced| length > announced) && !reservation.hold_body(length) {
            return Err(BodyError::NoRoom);
        }
        if bytes.capacity() - held < piece.length() {
            // By a quarter; a vector would double its capacity.
            bytes.try_reserve_exact(piece.length().max(held / 4)).map_err(|_| BodyError::Broken)?;
        }
        piece.append_to(&mut bytes);
    }
    Ok(bytes)
}

/// Reads and drops at most `limit` bytes of a refused body: a client that is still sending when its
/// connection closes may never see the refusal.
async fn discard<P: Platform>(platform: &P, stream: &mut P::Stream, limit: usize) {
    let reading = async {
        let mut discarded = 0;
        while discarded <= limit {
            match select(pin!(platform.next(stream)), platform.timer(MAX_DISCARD_PAUSE)).await {
                Either::Left((Ok(Some(piece)), _)) => discarded = discarded.saturating_add(piece.length()),
                _ => break,
            }
        }
    };
    select(pin!(reading), platform.timer(MAX_DISCARD_TIME)).await;
}

fn body_error(error: BodyError, limit: usize) -> Error {
    match error {
        BodyError::NoRoom => memory::full(),
        BodyError::TooLarge => Error::caller(
            413,
            "request_too_large",
            format!("The body is larger than this gateway takes ({limit} bytes)."),
        ),
        BodyError::Broken => Error::caller(400, "invalid_body", "The body broke off."),
    }
}
