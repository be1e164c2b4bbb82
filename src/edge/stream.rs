//! The two relays on Workers' streams. *Overhear*: the runtime pumps the bytes, and a lazily read copy is listened to.
//! *Tell*: we write the bytes ourselves. Both end on an identity stream, so that we learn when the client leaves and have the last word.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{Either, select};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, ReadableStream, ReadableStreamByobReader, ReadableStreamGetReaderOptions,
    ReadableStreamReaderMode, StreamPipeOptions, WritableStream, WritableStreamDefaultWriter,
};
use worker::Delay;

use super::host::{Edge, Incoming, log, now};
use super::{body, js};
use crate::gateway::{End, Relay, Story};

/// Bytes of the copy that are read at once. Only plain reads: one that waits for a full view would starve the client.
const VIEW: u32 = 64 << 10;
/// The copy is read this often; in between, bytes pass without waking anybody.
const NAP: Duration = Duration::from_millis(500);
/// After a whole stream, the rest of the copy is there already.
const REST: Duration = Duration::from_secs(1);
/// After a break, the rest of the copy comes within this time or never.
const REST_AFTER_BREAK: Duration = Duration::from_millis(20);

/// Passes a provider's stream on, untouched, and listens.
pub(super) fn overhear(
    incoming: Incoming,
    held: Vec<u8>,
    relay: Relay,
    edge: &Edge,
) -> Result<ReadableStream, JsValue> {
    let (upstream, cancel) = incoming.rest();
    let (passed, copy) = js::tee(&upstream.ok_or(JsValue::NULL)?).ok_or(JsValue::NULL)?;
    let joint = js::IdentityTransformStream::new()?;
    let (readable, writable) = (joint.readable(), joint.writable());
    let listener = Listener { relay, copy: byob(&copy)?, reading: None, cancel, client: edge.client() };
    edge.context.wait_until(listener.run(held, passed, writable));
    Ok(readable)
}

/// First what was held back, then all else, natively.
async fn pump(held: Vec<u8>, passed: ReadableStream, writable: &WritableStream) -> Result<JsValue, JsValue> {
    let writer = writable.get_writer()?;
    write(&writer, &held).await?;
    writer.release_lock();
    let options = StreamPipeOptions::new();
    options.set_prevent_close(true);
    options.set_prevent_abort(true);
    JsFuture::from(passed.pipe_to_with_options(writable, &options)).await
}

/// Writes a stream of our own.
pub(super) fn tell(story: Story, mut relay: Relay, edge: &Edge) -> Result<ReadableStream, JsValue> {
    let joint = js::IdentityTransformStream::new()?;
    let (readable, writer) = (joint.readable(), joint.writable().get_writer()?);
    edge.context.wait_until(async move {
        let told = tell_all(story, &mut relay, &writer).await;
        let end = if told.is_ok() { End::Closed } else { End::ClientLeft };
        relay.finish(end);
        let _ = JsFuture::from(writer.close()).await;
        record(&relay, end);
    });
    Ok(readable)
}

async fn tell_all(story: Story, relay: &mut Relay, writer: &WritableStreamDefaultWriter) -> Result<(), JsValue> {
    let mut ready = Vec::new();
    for (pause, frames) in story {
        if pause > 0 {
            write(writer, &std::mem::take(&mut ready)).await?;
            Delay::from(Duration::from_millis(pause)).await;
        }
        push(relay, &frames);
        ready.extend_from_slice(&frames);
    }
    write(writer, &ready).await
}

async fn write(writer: &WritableStreamDefaultWriter, bytes: &[u8]) -> Result<(), JsValue> {
    if bytes.is_empty() {
        return Ok(());
    }
    JsFuture::from(writer.write_with_chunk(&Uint8Array::from(bytes))).await.map(|_| ())
}

fn byob(stream: &ReadableStream) -> Result<ReadableStreamByobReader, JsValue> {
    let options = ReadableStreamGetReaderOptions::new();
    options.set_mode(ReadableStreamReaderMode::Byob);
    stream.get_reader_with_options(&options).dyn_into().map_err(JsValue::from)
}

/// The flow of the stream itself.
trait Pump: Future<Output = Result<JsValue, JsValue>> {}
impl<F: Future<Output = Result<JsValue, JsValue>>> Pump for F {}

/// What a look at the copy brought.
#[derive(PartialEq, Eq)]
enum Heard {
    /// All that there was for now.
    Some,
    /// A full view: there may be more.
    Full,
    /// The end, or a break.
    End,
}

/// Listens to the copy of a stream while the runtime pumps the stream itself.
struct Listener {
    relay: Relay,
    copy: ReadableStreamByobReader,
    /// A read that has not come back yet; it survives being raced.
    reading: Option<JsFuture>,
    /// Breaks off the provider's answer.
    cancel: Option<AbortController>,
    client: AbortSignal,
}

impl Listener {
    async fn run(mut self, held: Vec<u8>, passed: ReadableStream, writable: WritableStream) {
        let end = self.flow(held, passed, &writable).await;
        self.drain(if end == End::Closed { REST } else { REST_AFTER_BREAK }).await;
        let tail = self.relay.finish(end);
        if end != End::ClientLeft {
            let _ = close(&writable, &tail).await;
        }
        record(&self.relay, end);
    }

    /// Until the stream has come to its end, or its time is over.
    async fn flow(&mut self, held: Vec<u8>, passed: ReadableStream, writable: &WritableStream) -> End {
        let mut pump = pin!(pump(held, passed, writable).fuse());
        let time = Delay::from(Duration::from_millis(self.relay.left(now())));
        let pumped = match select(pin!(self.listen(&mut pump)), time).await {
            Either::Left((pumped, _)) => Some(pumped),
            Either::Right(_) => None,
        };
        match pumped {
            Some(Ok(_)) => End::Closed,
            Some(Err(_)) if self.client.aborted() => End::ClientLeft,
            Some(Err(_)) => End::Broken,
            None => {
                self.cancel.iter().for_each(AbortController::abort);
                let _ = pump.await;
                End::TimedOut
            }
        }
    }

    /// Until the pump has come to its end.
    async fn listen(&mut self, pump: &mut Pin<&mut impl Pump>) -> Result<JsValue, JsValue> {
        loop {
            let heard = match select(pump.as_mut(), pin!(self.hear())).await {
                Either::Left((pumped, _)) => return pumped,
                Either::Right((heard, _)) => heard,
            };
            match heard {
                Heard::End => return pump.as_mut().await,
                Heard::Full => {}
                Heard::Some => {
                    if let Either::Left((pumped, _)) = select(pump.as_mut(), Delay::from(NAP)).await {
                        return pumped;
                    }
                }
            }
        }
    }

    /// What is left when the pump has ended.
    async fn drain(&mut self, patience: Duration) {
        while let Either::Right((Heard::Some | Heard::Full, _)) = select(Delay::from(patience), pin!(self.hear())).await
        {
        }
        let _ = JsFuture::from(self.copy.cancel()).await;
    }

    async fn hear(&mut self) -> Heard {
        let copy = &self.copy;
        let start = || JsFuture::from(copy.read_with_array_buffer_view(&Uint8Array::new_with_length(VIEW)));
        let step = self.reading.get_or_insert_with(start).await;
        self.reading = None;
        match step.and_then(|step| body::chunk(&step)) {
            Ok(Some(view)) => {
                push(&mut self.relay, &view.to_vec());
                if view.length() == VIEW { Heard::Full } else { Heard::Some }
            }
            Ok(None) | Err(_) => Heard::End,
        }
    }
}

async fn close(writable: &WritableStream, tail: &[u8]) -> Result<(), JsValue> {
    let writer = writable.get_writer()?;
    write(&writer, tail).await?;
    JsFuture::from(writer.close()).await.map(|_| ())
}

fn push(relay: &mut Relay, bytes: &[u8]) {
    if let Some(line) = relay.push(bytes, now()) {
        log(&line);
    }
}

fn record(relay: &Relay, end: End) {
    if let Some(line) = relay.record(end, now()) {
        log(&line);
    }
}
