//! WebSocket upgrades, and connections without an API key, which wait in this isolate until a key arrives.

mod connection;
mod forward;
pub(super) mod pending;
pub(super) mod upgrade;
