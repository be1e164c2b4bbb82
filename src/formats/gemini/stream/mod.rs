//! Streamed responses: read from providers, written for clients.

mod array;
mod decode;
mod encode;

pub(super) use array::{ARRAY, ArrayTap, end_array};
pub(super) use decode::Decoder;
pub(super) use encode::{Encoder, end_passthrough};
