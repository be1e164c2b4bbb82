//! Writing to the client of a streamed response.

use std::cell::Cell;

use crate::config::Millis;
use crate::gateway::live::report_piece;
use crate::gateway::platform::{Broken, CallError, Platform};
use crate::gateway::reasoning::Unstored;
use crate::gateway::record::RequestRecord;
use crate::gateway::relay::{Step, StreamEnd, StreamRelay};
use crate::gateway::wait::{note_received, while_client_stays, within};

/// Writes to the client, as long as it stays.
pub(super) async fn write<P: Platform>(platform: &P, sink: &mut P::Sink, bytes: &[u8]) -> Result<(), Broken> {
    while_client_stays(platform, platform.write(sink, bytes, &Cell::new(0))).await
}

/// Writes to the client, which may take no more than `left` milliseconds. `received`: how much of the
/// response has come, in bytes.
pub(in crate::gateway) async fn write_within<P: Platform>(
    platform: &P,
    sink: &mut P::Sink,
    bytes: &[u8],
    left: Millis,
    received: u64,
) -> Result<(), StreamEnd> {
    note_received(platform, received);
    match within(platform, left, write(platform, sink, bytes)).await {
        Ok(()) => Ok(()),
        Err(CallError::TimedOut) => Err(StreamEnd::TimedOut),
        Err(CallError::Ended) => Err(StreamEnd::Ended),
        Err(_) => Err(StreamEnd::ClientLeft),
    }
}

/// Writes the last bytes and ends the response.
pub(in crate::gateway) async fn write_end<P: Platform>(platform: &P, sink: &mut P::Sink, bytes: &[u8]) {
    let _ = write(platform, sink, bytes).await;
    let _ = while_client_stays(platform, platform.close(sink)).await;
}

/// Takes bytes of a provider's stream, and tells watchers and the log of them, as far as these want to know.
pub(in crate::gateway) fn push<'b, P: Platform>(
    platform: &P,
    record: &RequestRecord,
    relay: &mut StreamRelay,
    bytes: &'b [u8],
) -> Step<'b> {
    let now = platform.now();
    let step = relay.push(bytes, now);
    let first_content = relay.has_begun().then(|| relay.first_byte().unwrap_or(now));
    report_piece(platform, record, first_content, now);
    if relay.logs_chunks() {
        platform.log(&record.chunk_event(now, bytes));
    }
    step
}

/// Stores what has to be stored before the client gets what came with it: a client may come back with it at
/// once. Returns whether that may leave.
pub(in crate::gateway) async fn persist<P: Platform>(platform: &P, unstored: Option<Unstored>) -> bool {
    match unstored {
        Some(unstored) => unstored.store(platform).await,
        None => true,
    }
}
