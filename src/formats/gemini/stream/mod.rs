//! Streamed responses: read from providers, written for clients.

mod decode;
mod encode;

pub(super) use decode::Decoder;
pub(super) use encode::{Encoder, end_passthrough};
