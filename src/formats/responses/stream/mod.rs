//! Streams for clients.

mod encode;

pub(super) use encode::Encoder;
