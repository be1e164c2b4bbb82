//! Calls providers through proxies: from a pipe of bytes to a proxy, to the HTTP response of the provider.
//!
//! The core is without a runtime: bytes and events go in, bytes and events come out. `edge` is the thin shell
//! around it for workerd, and the only module that knows JavaScript.

pub mod connect;
pub mod crypto;
#[cfg(feature = "edge")]
pub mod edge;
pub mod exchange;
pub mod fault;
pub mod handshake;
pub mod http1;
pub mod proxy;
pub mod socks;
pub mod target;
pub mod tls;
