//! The health of providers, models and keys, as one isolate knows it: breakers of targets, and rests of keys.
//! Every decision is a function of the state, an event and the time that is passed in; nothing happens by a
//! timer.

mod availability;
mod breaker;
mod jitter;
mod reason;
mod record;
mod rest;
mod state;
mod subject;

pub use availability::Availability;
pub use breaker::{Breaker, BreakerState};
pub use jitter::jitter;
pub use reason::reason_of;
pub use record::{HealthChange, HealthEvidence, HealthRecord, RecordState};
pub use rest::Rest;
pub use state::{AttemptFailure, Health, MAX_RECORDS, RunningAttempt};
pub use subject::{Place, Subject};

#[cfg(test)]
mod tests;
