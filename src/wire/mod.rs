//! Encodings and framings, independent of what they carry: JSON that is edited in place, JSON read into
//! types, arrays of it item by item, a bound on the memory of parsed JSON, server-sent events, byte order
//! marks, base64, dates and time zones, and amounts of money.

pub mod base64;
pub mod byte_order_mark;
pub mod date;
pub mod dense;
pub mod dollars;
pub mod json;
pub mod list;
mod members;
pub mod record;
pub mod sse;
pub mod typed;
pub mod zone;
