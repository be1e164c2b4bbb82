//! Encodings and framings, independent of what they carry: JSON that is edited in place, JSON arrays read
//! item by item, a bound on the memory of parsed JSON, server-sent events, base64, dates and time zones,
//! and amounts of money.

pub mod base64;
pub mod date;
pub mod dense;
pub mod dollars;
pub mod json;
pub mod list;
pub mod sse;
pub mod zone;
