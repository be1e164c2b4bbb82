//! The body of a streamed response: written by the gateway, or copied by the runtime.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::Fuse;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{AbortController, WritableStream, WritableStreamDefaultWriter};

use super::byte_source::Source;
use super::js;
use super::slots::Settled;
use crate::gateway::platform::Broken;

/// Bytes are copied to JavaScript in pieces of this size while the client takes them, not all at once.
const PIECE: usize = 256 << 10;

/// Where the body of a response is written.
pub(super) struct Sink {
    writable: WritableStream,
    /// Held while the gateway writes.
    writer: Option<WritableStreamDefaultWriter>,
}

impl Sink {
    pub(super) fn new(writable: WritableStream) -> Self {
        Self { writable, writer: None }
    }

    fn writer(&mut self) -> Result<&WritableStreamDefaultWriter, JsValue> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.writable.get_writer()?,
        };
        Ok(self.writer.insert(writer))
    }

    pub(super) async fn write(&mut self, bytes: &[u8], given: &Cell<usize>) -> Result<(), JsValue> {
        let writer = self.writer()?;
        for piece in bytes.chunks(PIECE) {
            let writing = writer.write_with_chunk(&Uint8Array::from(piece));
            given.set(given.get().saturating_add(piece.len()));
            Settled::of(&writing).await?;
        }
        Ok(())
    }

    pub(super) async fn close(&mut self) -> Result<(), JsValue> {
        let closing = self.writer()?.close();
        Settled::of(&closing).await.map(drop)
    }

    pub(super) async fn abort(&mut self) -> Result<(), JsValue> {
        let aborting = self.writer()?.abort();
        Settled::of(&aborting).await.map(drop)
    }

    /// Lets the runtime copy the unread rest of a source. The source then reads a second copy.
    pub(super) fn pipe(&mut self, source: &mut Source) -> Result<Pipe, JsValue> {
        if let Some(writer) = self.writer.take() {
            writer.release_lock();
        }
        let stop = AbortController::new()?;
        let piped = js::pipe(&source.split()?, &self.writable, &stop)?;
        Ok(Pipe { piped: Settled::of(&piped).fuse(), stop })
    }
}

/// A copy of a stream to a sink.
pub(super) struct Pipe {
    piped: Fuse<Settled>,
    stop: AbortController,
}

impl Pipe {
    pub(super) fn stop(&self) {
        self.stop.abort();
    }
}

impl Future for Pipe {
    type Output = Result<(), Broken>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.piped.poll_unpin(context).map(|done| done.map(drop).map_err(|_| Broken))
    }
}
