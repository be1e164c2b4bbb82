//! A long whole response on its way to the client, piece by piece.

use super::write::write_within;
use crate::gateway::long_body::LongBodyRelay;
use crate::gateway::platform::{CallError, Piece as _, Platform};
use crate::gateway::relay::{AttemptEnd, StreamEnd};
use crate::gateway::wait::{check_in, note_received, while_client_stays, within};

/// A long response that was forwarded, and whose stream still has to be ended.
pub(in crate::gateway) struct ForwardedBody<P: Platform> {
    pub(in crate::gateway) end: AttemptEnd,
    pub(in crate::gateway) last: BodyEnd<P>,
}

/// The end of a client's body.
pub(in crate::gateway) struct BodyEnd<P: Platform> {
    is_whole: bool,
    sink: P::Sink,
}

impl<P: Platform> BodyEnd<P> {
    /// Ends the body. One that is not whole must not look whole: its length is missed, or its last chunk.
    pub(in crate::gateway) async fn close(mut self, platform: &P) {
        let _ = match self.is_whole {
            true => while_client_stays(platform, platform.close(&mut self.sink)).await,
            false => while_client_stays(platform, platform.break_off(&mut self.sink)).await,
        };
    }
}

/// Forwards a response whose beginning has been read.
pub(in crate::gateway) async fn forward_body<P: Platform>(
    platform: &P,
    mut stream: P::Stream,
    beginning: Vec<u8>,
    mut relay: LongBodyRelay,
    mut sink: P::Sink,
) -> ForwardedBody<P> {
    let mut end = write_pieces(platform, &mut stream, beginning, &mut relay, &mut sink).await;
    let left = end == StreamEnd::ClientLeft;
    if left && relay.outlives_client() {
        end = read_to_end(platform, &mut stream, &mut relay).await;
    }
    let is_whole = end == StreamEnd::Closed && !left && relay.is_whole();
    if !is_whole {
        platform.abort(&stream);
    }
    ForwardedBody { end: relay.finish(end, left, platform.now()), last: BodyEnd { is_whole, sink } }
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
        push(platform, relay, &piece);
        if let Err(end) = write_within(platform, sink, &piece, relay.left(platform.now()), relay.received()).await {
            return end;
        }
        piece = match within(platform, relay.left(platform.now()), platform.next(stream)).await {
            Ok(Some(next)) => next.to_vec(),
            Ok(None) => return StreamEnd::Closed,
            Err(CallError::TimedOut) => return StreamEnd::TimedOut,
            Err(CallError::Ended) => return StreamEnd::Ended,
            Err(CallError::TooLarge) => return StreamEnd::TooLarge,
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
            Ok(Some(piece)) => push(platform, relay, &piece.to_vec()),
            Ok(None) => return StreamEnd::Closed,
            Err(CallError::TimedOut) => return StreamEnd::TimedOut,
            Err(CallError::Ended) => return StreamEnd::Ended,
            Err(CallError::TooLarge) => return StreamEnd::TooLarge,
            Err(CallError::ClientLeft) => return StreamEnd::ClientLeft,
            Err(_) => return StreamEnd::Broken,
        }
    }
}

fn push<P: Platform>(platform: &P, relay: &mut LongBodyRelay, piece: &[u8]) {
    relay.push(piece);
    note_received(platform, relay.received());
    check_in(platform, || None);
}
