//! Framings that do not know what they carry: JSON documents edited in place, how dense JSON is, arrays item by item, event streams,
//! base64, dates, amounts of money.

pub mod base64;
pub mod date;
pub mod dense;
pub mod dollars;
pub mod json;
pub mod list;
pub mod sse;
