//! Framings that do not know what they carry: JSON documents edited in place, and event streams.

pub mod date;
pub mod json;
pub mod sse;
