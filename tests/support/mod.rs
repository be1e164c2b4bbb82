//! A scripted platform, and a client of a gateway on it.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test uses its part of it, and may insist"
)]

mod client;
mod platform;
pub mod schema;
mod script;
mod timer;
mod world;

pub use client::{Got, ask, asking, bridge};
pub use script::Script;
pub use world::{Fate, World};
