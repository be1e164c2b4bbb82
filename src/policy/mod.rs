//! Decisions: functions of values; none waits for anything, none names a wire format.

pub mod auth;
mod catalogue;
pub mod price;
pub mod route;
pub mod tokens;
