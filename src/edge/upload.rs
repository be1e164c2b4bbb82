//! The body of a request to a provider.

use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::JsValue;
use web_sys::{RequestInit, WritableStreamDefaultWriter};

use super::js;
use super::slots::Settled;

/// The maximum size of a body that is sent at once, in bytes. The runtime would hold several copies of a
/// longer one.
const AT_ONCE: usize = 256 << 10;
/// A longer body is sent in pieces of this size, in bytes.
const PIECE: usize = 256 << 10;

/// A body that is sent to a provider piece by piece, so that memory holds it only once.
pub(super) struct Upload {
    bytes: Rc<Vec<u8>>,
    writer: WritableStreamDefaultWriter,
}

/// Whether a body is sent piece by piece.
pub(super) fn is_long(bytes: &[u8]) -> bool {
    bytes.len() > AT_ONCE
}

/// Sets a long body of a request. Returns the upload that must be sent.
pub(super) fn outgoing(bytes: &Rc<Vec<u8>>, init: &RequestInit) -> Result<Upload, JsValue> {
    #[expect(clippy::cast_precision_loss, reason = "memory has fewer bytes than a double tells apart")]
    let pipe = js::FixedLengthStream::new(bytes.len() as f64)?;
    init.set_body(&pipe.readable());
    Ok(Upload { bytes: Rc::clone(bytes), writer: pipe.writable_side().get_writer()? })
}

impl Upload {
    /// Sends the body. The buffer is reused for each piece, because a piece has been taken when its write
    /// completes.
    pub(super) async fn send(self) -> Result<(), JsValue> {
        let buffer = ArrayBuffer::new(u32::try_from(PIECE.min(self.bytes.len())).unwrap_or_default());
        for piece in self.bytes.chunks(PIECE) {
            let length = u32::try_from(piece.len()).unwrap_or_default();
            let view = Uint8Array::new_with_byte_offset_and_length(&buffer, 0, length);
            view.copy_from(piece);
            Settled::of(&self.writer.write_with_chunk(&view)).await?;
        }
        Settled::of(&self.writer.close()).await.map(drop)
    }
}
