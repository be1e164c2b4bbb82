//! What operators are shown and told: the batches in which isolates report what has happened to the one
//! object that keeps it.

mod batch;

pub use batch::{Batch, BatchRow, Recorded};
