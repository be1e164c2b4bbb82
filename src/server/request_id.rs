//! The id of a request in its response, in the log and in its receipt.

use crate::gateway::Platform;

/// The header with the id, in requests and responses.
pub const REQUEST_ID: &str = "x-request-id";

/// The client's own id, if it is safe in headers and logs; otherwise a new one.
pub fn request_id<P: Platform>(platform: &P, header: &dyn Fn(&str) -> Option<String>) -> String {
    let is_safe = |id: &String| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
    };
    header(REQUEST_ID).filter(is_safe).unwrap_or_else(|| format!("req_{:032x}", platform.random_u128()))
}
