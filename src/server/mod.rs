//! HTTP around the gateway: routes, CORS, request ids, and errors as responses. It knows no runtime, no key and no model.

mod cors;
mod fallback;
mod request_id;
mod router;
mod serve;

pub use fallback::internal_error;
pub use serve::serve;
