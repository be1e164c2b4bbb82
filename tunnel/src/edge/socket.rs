//! A connection of the runtime, closed when it is dropped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use js_sys::{ArrayBuffer, Function, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    ReadableStreamByobReader, ReadableStreamGetReaderOptions, ReadableStreamReaderMode, WritableStreamDefaultWriter,
};

use super::js::{self, Socket};
use crate::proxy::{Proxy, Scheme};

/// The most bytes of one read.
const VIEW: u32 = 32 << 10;

/// What a read gives.
pub enum Received {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The other side sends no more.
    End,
    /// The connection broke.
    Broken,
}

/// A connection to a proxy.
pub struct Connection {
    socket: Socket,
    reader: ReadableStreamByobReader,
    writer: WritableStreamDefaultWriter,
    /// The memory of the last read, for the next one.
    buffer: Option<ArrayBuffer>,
    reading: Option<JsFuture>,
    writing: Option<JsFuture>,
}

/// A connection that is being made.
pub struct Opening {
    socket: Option<Socket>,
    opened: JsFuture,
}

impl Opening {
    /// Asks the runtime for a connection. It speaks TLS to proxies with the scheme `https` itself.
    ///
    /// # Errors
    /// What `connect` throws.
    pub fn new(connect: &Function, proxy: &Proxy) -> Result<Self, JsValue> {
        let address = js::object(&[("hostname", proxy.host.as_str().into()), ("port", proxy.port.into())]);
        let transport = if proxy.scheme == Scheme::Https { "on" } else { "off" };
        // Half-open, so that a provider that stops reading does not cut off what it has answered.
        let options = js::object(&[("secureTransport", transport.into()), ("allowHalfOpen", true.into())]);
        let socket: Socket = connect.call2(&JsValue::UNDEFINED, &address, &options)?.unchecked_into();
        let opened = JsFuture::from(socket.opened());
        Ok(Self { socket: Some(socket), opened })
    }

    /// The connection, once it is made.
    pub fn poll_opened(&mut self, context: &mut Context<'_>) -> Poll<Result<Connection, JsValue>> {
        let Poll::Ready(opened) = Pin::new(&mut self.opened).poll(context) else { return Poll::Pending };
        Poll::Ready(opened.and_then(|_| {
            let socket = self.socket.clone().ok_or(JsValue::UNDEFINED)?;
            let connection = Connection::of(socket)?;
            self.socket = None;
            Ok(connection)
        }))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            close(socket);
        }
    }
}

impl Connection {
    fn of(socket: Socket) -> Result<Self, JsValue> {
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        let reader = socket.readable().get_reader_with_options(&options).unchecked_into();
        let writer = socket.writable().get_writer()?;
        Ok(Self { socket, reader, writer, buffer: None, reading: None, writing: None })
    }

    /// The next bytes. A call that is given up can be made again.
    pub fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        let (reader, buffer) = (&self.reader, &mut self.buffer);
        let reading = self.reading.get_or_insert_with(|| {
            let memory = buffer.take();
            let view = memory.map_or_else(|| Uint8Array::new_with_length(VIEW), |memory| Uint8Array::new(&memory));
            JsFuture::from(reader.read_with_array_buffer_view(&view))
        });
        let Poll::Ready(result) = Pin::new(reading).poll(context) else { return Poll::Pending };
        self.reading = None;
        let Ok(step) = result else { return Poll::Ready(Received::Broken) };
        let value = js::get(&step, "value");
        if js::get(&step, "done").is_truthy() || value.is_undefined() {
            return Poll::Ready(Received::End);
        }
        let view: Uint8Array = value.unchecked_into();
        let bytes = view.to_vec();
        self.buffer = Some(view.buffer());
        Poll::Ready(Received::Bytes(bytes))
    }

    /// Whether a write is under way.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Begins to write. One write at a time.
    pub fn write(&mut self, bytes: &[u8]) {
        self.writing = Some(JsFuture::from(self.writer.write_with_chunk(&Uint8Array::from(bytes))));
    }

    /// Whether the write under way succeeded, once it has ended; pending for ever without one.
    pub fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some(writing) = &mut self.writing else { return Poll::Pending };
        let Poll::Ready(result) = Pin::new(writing).poll(context) else { return Poll::Pending };
        self.writing = None;
        Poll::Ready(result.is_ok())
    }
}

/// Whatever ends the call ends the connection: a dropped future, too.
impl Drop for Connection {
    fn drop(&mut self) {
        close(&self.socket);
    }
}

fn close(socket: &Socket) {
    if let Ok(closed) = socket.close() {
        spawn_local(async move {
            let _: Result<JsValue, JsValue> = JsFuture::from(closed).await;
        });
    }
}
