//! TLS to providers: rustls as a client, without sockets, a clock or randomness of its own.

mod connection;
mod context;
mod pem;
mod sessions;
mod words;

pub use connection::{TlsConnection, closed_in_handshake};
pub use context::TlsContext;
