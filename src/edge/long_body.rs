//! A long whole answer on its way to the client, piece by piece. It does not know what the bytes mean.

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{WritableStream, WritableStreamDefaultWriter};

use super::byte_source::Source;
use super::clock::now;
use super::context::Edge;
use super::platform::Incoming;
use super::stream;
use crate::gateway::platform::CallError;
use crate::gateway::{LongBodyRelay, Platform as _, StreamEnd};

/// Passes an answer on whose beginning has been read.
///
/// # Errors
/// There is no way to the client. It has its receipt.
pub(super) fn carry(
    incoming: Incoming,
    head: Vec<u8>,
    mut transit: LongBodyRelay,
    writable: &WritableStream,
    edge: &Edge,
) -> Result<(), JsValue> {
    let writer = match writable.get_writer() {
        Ok(writer) => writer,
        Err(fault) => {
            abandon(&incoming, transit, edge);
            return Err(fault);
        }
    };
    let (source, cancel) = incoming.parts();
    let host = edge.clone();
    edge.wait_until_written(writable, async move {
        let end = match source {
            Some(mut source) => pass(&host, &mut source, head, &mut transit, &writer).await,
            None => (StreamEnd::Broken, false),
        };
        let whole = end == (StreamEnd::Closed, false) && transit.is_whole();
        if !whole {
            cancel.abort();
        }
        let (end, left) = end;
        host.settle(transit.close(end, left, now()));
        // A body that is not whole must not look whole: its length is missed, or its last chunk.
        let ended = if whole { writer.close() } else { writer.abort() };
        let _ = host.while_there(JsFuture::from(ended)).await;
    });
    Ok(())
}

/// Ends an answer that no response could be made of: its provider is let go of, and it has its receipt.
pub(super) fn abandon(incoming: &Incoming, transit: LongBodyRelay, edge: &Edge) {
    edge.cancel(incoming);
    edge.settle(transit.close(StreamEnd::Broken, false, now()));
}

/// How the answer ended, and whether its client left before.
async fn pass(
    host: &Edge,
    source: &mut Source,
    head: Vec<u8>,
    transit: &mut LongBodyRelay,
    writer: &WritableStreamDefaultWriter,
) -> (StreamEnd, bool) {
    let end = flow(host, source, head, transit, writer).await;
    let left = end == StreamEnd::ClientLeft;
    (if left && transit.hears_out() { hear_out(host, source, transit).await } else { end }, left)
}

async fn flow(
    host: &Edge,
    source: &mut Source,
    head: Vec<u8>,
    transit: &mut LongBodyRelay,
    writer: &WritableStreamDefaultWriter,
) -> StreamEnd {
    let mut piece = head;
    loop {
        hear(host, transit, &piece);
        match host.within(transit.left(now()), host.while_there(stream::write(writer, &piece))).await {
            Ok(()) => {}
            Err(CallError::TimedOut) => return StreamEnd::TimedOut,
            Err(_) => return StreamEnd::ClientLeft,
        }
        piece = match host.within(transit.left(now()), source.next()).await {
            Ok(Some(next)) => next,
            Ok(None) => return StreamEnd::Closed,
            Err(lost) => return ended(host, lost),
        };
    }
}

/// The client has left, but its answer is heard to the end, as long as a request may go on without its client.
async fn hear_out(host: &Edge, source: &mut Source, transit: &mut LongBodyRelay) -> StreamEnd {
    loop {
        match host.within(transit.left(now()), source.next()).await {
            Ok(Some(piece)) => hear(host, transit, &piece),
            Ok(None) => return StreamEnd::Closed,
            Err(CallError::TimedOut) => return StreamEnd::TimedOut,
            Err(CallError::ClientLeft) => return StreamEnd::ClientLeft,
            Err(_) => return StreamEnd::Broken,
        }
    }
}

fn ended(host: &Edge, lost: CallError) -> StreamEnd {
    match lost {
        CallError::TimedOut => StreamEnd::TimedOut,
        // The call to the provider ends with its client.
        _ if host.client_left() => StreamEnd::ClientLeft,
        _ => StreamEnd::Broken,
    }
}

fn hear(host: &Edge, transit: &mut LongBodyRelay, piece: &[u8]) {
    transit.pass(piece);
    host.heard(transit.heard());
    host.renew(|| None);
}
