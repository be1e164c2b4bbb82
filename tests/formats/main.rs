//! The wire formats from outside: requests and responses of each, and the claims about translation between
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_update,
    reason = "a test may insist, and need not know every number of a usage"
)]

mod anthropic;
mod claims;
mod faults;
mod gemini;
mod openai;
#[path = "../support/recordings.rs"]
mod recorded;
#[path = "../support/mod.rs"]
mod support;
