//! WebSocket upgrades, and connections without an API key, which wait in this isolate until a key arrives.

pub(super) mod pending;
mod pump;
pub(super) mod upgrade;
