//! What all isolates together know of the health of providers, models and keys: the state of one object, and
//! the commands to it. No storage and no clock: the caller passes the time, and writes what is returned.

mod command;
mod shared;

pub use command::{
    HealthCommand, HealthEntry, HealthReset, HealthResponse, HealthReturn, HealthSubject, HealthView, SubjectKind,
};
pub use shared::{MAX_ENTRIES, SharedHealth};
