//! A stream of the gateway's own, written with the pauses of its story. It does not know what the bytes mean.

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{WritableStream, WritableStreamDefaultWriter};

use super::host::{Edge, now};
use super::stream::{abandon, pass, write};
use crate::gateway::{End, Host as _, PACE, Relay, Story};

/// Writes a stream of our own.
///
/// # Errors
/// It cannot be written. It has its receipt.
pub(super) fn tell(story: Story, mut relay: Relay, writable: &WritableStream, edge: &Edge) -> Result<(), JsValue> {
    let writer = match writable.get_writer() {
        Ok(writer) => writer,
        Err(fault) => {
            abandon(relay, None, edge);
            return Err(fault);
        }
    };
    let host = edge.clone();
    edge.keep(async move {
        let told = tell_all(story, &mut relay, &writer, &host).await;
        let end = if told.is_ok() { End::Closed } else { End::ClientLeft };
        relay.finish(end);
        let _ = JsFuture::from(writer.close()).await;
        host.settle(relay.close(end, now()));
    });
    Ok(())
}

/// The first content leaves at once; from then on, what comes faster than the pace leaves together.
async fn tell_all(
    story: Story,
    relay: &mut Relay,
    writer: &WritableStreamDefaultWriter,
    host: &Edge,
) -> Result<(), JsValue> {
    let (mut ready, mut owed) = (Vec::new(), 0);
    for (index, (pause, frames)) in story.enumerate() {
        owed += pause;
        if owed >= PACE || (owed > 0 && index <= 2) {
            write(writer, &std::mem::take(&mut ready)).await?;
            host.pause(std::mem::take(&mut owed)).await;
        }
        pass(relay, &frames);
        ready.extend_from_slice(&frames);
    }
    write(writer, &ready).await
}
