//! Small texts from addresses of the configuration.

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortController, RequestInit, RequestRedirect};

use super::byte_source::Source;
use super::js;
use super::slots::Settled;
use crate::gateway::platform::Broken;

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// Aborts a call whose response nobody waits for any more.
struct AbortedOnDrop(AbortController);

impl Drop for AbortedOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads a text. Redirects are not followed. The call is aborted when this is dropped.
///
/// # Errors
/// There is none, or it is too long.
pub(super) async fn fetch(url: &str) -> Result<String, Broken> {
    let call = AbortedOnDrop(AbortController::new().map_err(broken)?);
    let init = RequestInit::new();
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&call.0.signal()));
    let response = Settled::of(&js::fetch(url, &init).map_err(broken)?).await.map_err(broken)?;
    let response: web_sys::Response = response.dyn_into().map_err(broken)?;
    let mut source = response.body().filter(|_| response.ok()).and_then(|body| Source::new(body).ok()).ok_or(Broken)?;
    let mut bytes = Vec::new();
    while let Some(piece) = source.next().await.map_err(broken)? {
        bytes.extend(piece);
        if bytes.len() > MAX_TEXT {
            return Err(Broken);
        }
    }
    String::from_utf8(bytes).map_err(|_| Broken)
}

fn broken(_: JsValue) -> Broken {
    Broken
}
