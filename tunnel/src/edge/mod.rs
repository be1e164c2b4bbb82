//! The shell around [`Exchange`](crate::exchange::Exchange) for workerd: one function for JavaScript.

mod body;
mod call;
mod context;
mod error;
mod js;
mod pump;
mod request;
mod response;
mod signal;
mod socket;
mod timer;

pub use call::tunnel;
