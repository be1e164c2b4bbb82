//! HTTP around the gateway: routes, CORS headers, request ids, and errors as responses.

mod cors;
mod fallback;
mod metrics;
mod request_id;
mod router;
mod serve;

pub use fallback::internal_error;
pub use serve::serve;
