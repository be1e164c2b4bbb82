//! The Durable Object of one WebSocket session: a shell around [`crate::session::Session`], which decides.

mod connect;
mod memory;
mod object;
mod request;
mod running;
mod socket;
mod state;
mod store;
