//! The units of times and amounts.

/// Time in milliseconds.
pub type Millis = u64;

/// Money in billionths of a US dollar.
pub type Nanos = u64;
