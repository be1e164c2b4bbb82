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
mod assemble;
mod claims;
mod faults;
mod gemini;
mod openai;
#[path = "../support/recordings.rs"]
mod recorded;
mod responses;
#[path = "../support/mod.rs"]
mod support;
mod toy;

use llm_bridge::formats::{PROVIDER_FORMATS, ProviderFormat};

/// The formats of providers, but for the one that exists in tests only: it cannot express tools.
fn shipped_formats() -> impl Iterator<Item = &'static ProviderFormat> {
    PROVIDER_FORMATS.iter().filter(|format| format.kind.name != "toy")
}
