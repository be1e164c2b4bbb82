//! Decisions: functions of values; none waits for anything, none names a wire format.

pub mod auth;
pub mod failure;
pub mod model_card;
pub mod pricing;
pub mod routing;
pub mod tokens;
