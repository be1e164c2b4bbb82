//! Commands as objects receive them, and what they respond. Both are JSON, and cross to the wasm as bytes: of
//! a text, JavaScript would look at each character.

use js_sys::Uint8Array;
use worker::{Request, Response, ResponseBuilder, Result};

use crate::edge::slots::Settled;

/// The text of a command.
///
/// # Errors
/// It cannot be read.
pub(super) async fn read(request: &Request) -> Result<String> {
    let buffer = Settled::of(&request.inner().array_buffer()?).await?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    Ok(String::from_utf8(bytes).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()))
}

/// A response of this text.
pub(super) fn respond(text: String) -> Result<Response> {
    Ok(ResponseBuilder::new().fixed(text.into_bytes()))
}
