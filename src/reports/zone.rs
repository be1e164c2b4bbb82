//! The time zones of reports.

pub use crate::wire::zone::{OffsetChange, Zone};
