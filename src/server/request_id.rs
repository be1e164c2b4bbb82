//! The id of a request, by which its client, the log and its receipt name it.

use crate::gateway::Platform;

/// The header in which the id comes and goes.
pub const REQUEST_ID: &str = "x-request-id";

/// The client's own id, if it is harmless in headers and logs; else a new one.
pub fn request_id<H: Platform>(host: &H, header: &dyn Fn(&str) -> Option<String>) -> String {
    let is_harmless = |id: &String| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
    };
    header(REQUEST_ID).filter(is_harmless).unwrap_or_else(|| format!("req_{:032x}", host.random_u128()))
}
