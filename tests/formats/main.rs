//! The wire formats from outside: each one's requests and answers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod anthropic;
mod gemini;
mod openai;
#[path = "../support/recordings.rs"]
mod recorded;
