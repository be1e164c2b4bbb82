//! The health of targets and keys in one isolate, and its exchange with the object that all isolates share.

mod exchange;
mod known;
mod list;
mod pool;
mod store;

pub use known::POLL_INTERVAL;
pub use list::{KnownWhere, OutState, StateRow};
pub use pool::{KeyPool, PoolKey};
pub use store::{CandidateRules, HealthStore};
