//! One call from the first byte to the proxy to the last of the response, as a state machine.

mod call;
mod machine;
mod request_body;
mod response;

pub use call::{Call, Limits};
pub use machine::{Event, Exchange};
