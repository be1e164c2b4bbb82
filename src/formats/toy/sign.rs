//! Signs requests: an HMAC-SHA-256 of the time, the URL and the body, with the provider's key.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::formats::auth::SignableRequest;

/// The headers that carry the time, in milliseconds since 1970, and the signature.
pub(super) fn sign(request: &SignableRequest<'_>) -> Vec<(&'static str, String)> {
    let time = request.now.to_string();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(request.key.as_bytes()) else { return Vec::new() };
    [time.as_bytes(), b"\n", request.url.as_bytes(), b"\n", request.body].iter().for_each(|part| mac.update(part));
    let mut signature = String::new();
    for byte in mac.finalize().into_bytes() {
        let _ = write!(signature, "{byte:02x}");
    }
    vec![("x-toy-time", time), ("x-toy-signature", signature)]
}
