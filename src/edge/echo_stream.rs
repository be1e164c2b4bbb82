//! A stream of the gateway's own, written with the pauses of its story. It does not know what the bytes mean.

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{WritableStream, WritableStreamDefaultWriter};

use super::clock::now;
use super::context::Edge;
use super::stream::{abandon, pass, write};
use crate::config::Millis;
use crate::gateway::platform::CallError;
use crate::gateway::{EchoScript, FLUSH_INTERVAL, Platform as _, StreamEnd, StreamRelay};

/// Writes a stream of our own.
///
/// # Errors
/// It cannot be written. It has its receipt.
pub(super) fn tell(
    story: EchoScript,
    mut relay: StreamRelay,
    writable: &WritableStream,
    edge: &Edge,
) -> Result<(), JsValue> {
    let writer = match writable.get_writer() {
        Ok(writer) => writer,
        Err(fault) => {
            abandon(relay, None, edge);
            return Err(fault);
        }
    };
    let host = edge.clone();
    edge.wait_until_written(writable, async move {
        let end = tell_all(story, &mut relay, &writer, &host).await;
        let tail = relay.finish(end);
        // The books are closed before the last words: a client may take them late, or never.
        host.settle(relay.close(end, now()));
        if end != StreamEnd::ClientLeft {
            let _ = host.while_there(write(&writer, &tail)).await;
            let _ = host.while_there(JsFuture::from(writer.close())).await;
        }
    });
    Ok(())
}

/// The first content leaves at once; from then on, what comes faster than the pace leaves together.
async fn tell_all(
    story: EchoScript,
    relay: &mut StreamRelay,
    writer: &WritableStreamDefaultWriter,
    host: &Edge,
) -> StreamEnd {
    let (mut ready, mut owed) = (Vec::new(), 0);
    for (index, (pause, frames)) in story.enumerate() {
        owed += pause;
        if owed >= FLUSH_INTERVAL || (owed > 0 && index <= 2) {
            if let Err(end) = send(&std::mem::take(&mut ready), relay, writer, host).await {
                return end;
            }
            if let Err(end) = rest(std::mem::take(&mut owed), host).await {
                return end;
            }
        }
        pass(relay, &frames);
        ready.extend_from_slice(&frames);
    }
    send(&ready, relay, writer, host).await.map_or_else(|end| end, |()| StreamEnd::Closed)
}

/// Waits before what comes next. Nothing is left to hear once the client has left: the answer is our own, and what it takes is known.
async fn rest(time: Millis, host: &Edge) -> Result<(), StreamEnd> {
    let pause = async {
        host.pause(time).await;
        Ok(())
    };
    host.while_there(pause).await.map_err(|_| StreamEnd::ClientLeft)
}

/// Writes to the client, which may not take more than the time for the whole.
async fn send(
    bytes: &[u8],
    relay: &StreamRelay,
    writer: &WritableStreamDefaultWriter,
    host: &Edge,
) -> Result<(), StreamEnd> {
    host.heard(relay.said());
    match host.within(relay.left(now()), host.while_there(write(writer, bytes))).await {
        Ok(()) => Ok(()),
        Err(CallError::TimedOut) => Err(StreamEnd::TimedOut),
        Err(_) => Err(StreamEnd::ClientLeft),
    }
}
