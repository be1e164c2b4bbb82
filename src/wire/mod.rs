//! Framings that do not know what they carry: JSON documents edited in place, event streams, base64, dates.

pub mod base64;
pub mod date;
pub mod json;
pub mod sse;
