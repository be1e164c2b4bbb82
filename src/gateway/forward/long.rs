//! A long whole response on its way to the client, piece by piece.

use super::write::write_within;
use crate::gateway::long_body::LongBodyRelay;
use crate::gateway::platform::{CallError, Piece as _, Platform};
use crate::gateway::relay::StreamEnd;
use crate::gateway::settle::settle;
use crate::gateway::wait::{note_received, renew_lease, while_client_stays, within};

/// Forwards a response whose beginning has been read, and settles the request.
pub(super) async fn forward<P: Platform>(
    platform: &P,
    mut stream: P::Stream,
    beginning: Vec<u8>,
    mut relay: LongBodyRelay,
    mut sink: P::Sink,
) {
    let mut end = write_pieces(platform, &mut stream, beginning, &mut relay, &mut sink).await;
    let left = end == StreamEnd::ClientLeft;
    if left && relay.hears_out() {
        end = read_to_end(platform, &mut stream, &mut relay).await;
    }
    let is_whole = end == StreamEnd::Closed && !left && relay.is_whole();
    if !is_whole {
        platform.abort(&stream);
    }
    settle(platform, relay.close(end, left, platform.now()));
    // A body that is not whole must not look whole: its length is missed, or its last chunk.
    let _ = match is_whole {
        true => while_client_stays(platform, platform.close(&mut sink)).await,
        false => while_client_stays(platform, platform.break_off(&mut sink)).await,
    };
}

async fn write_pieces<P: Platform>(
    platform: &P,
    stream: &mut P::Stream,
    beginning: Vec<u8>,
    relay: &mut LongBodyRelay,
    sink: &mut P::Sink,
) -> StreamEnd {
    let mut piece = beginning;
    loop {
        take(platform, relay, &piece);
        if let Err(end) = write_within(platform, sink, &piece, (relay.left(platform.now()), relay.heard())).await {
            return end;
        }
        piece = match within(platform, relay.left(platform.now()), platform.next(stream)).await {
            Ok(Some(next)) => next.to_vec(),
            Ok(None) => return StreamEnd::Closed,
            Err(CallError::TimedOut) => return StreamEnd::TimedOut,
            // The call to the provider ends with its client.
            Err(_) if platform.client_left() => return StreamEnd::ClientLeft,
            Err(_) => return StreamEnd::Broken,
        };
    }
}

/// Reads the rest of a response whose client has disconnected, for its usage.
async fn read_to_end<P: Platform>(platform: &P, stream: &mut P::Stream, relay: &mut LongBodyRelay) -> StreamEnd {
    loop {
        match within(platform, relay.left(platform.now()), platform.next(stream)).await {
            Ok(Some(piece)) => take(platform, relay, &piece.to_vec()),
            Ok(None) => return StreamEnd::Closed,
            Err(CallError::TimedOut) => return StreamEnd::TimedOut,
            Err(CallError::ClientLeft) => return StreamEnd::ClientLeft,
            Err(_) => return StreamEnd::Broken,
        }
    }
}

fn take<P: Platform>(platform: &P, relay: &mut LongBodyRelay, piece: &[u8]) {
    relay.pass(piece);
    note_received(platform, relay.heard());
    renew_lease(platform, || None);
}
