//! Decisions as functions of values: keys, routing, prices, encodings, and the class of a failure.

pub mod auth;
pub mod failure;
pub mod model_card;
pub mod pricing;
pub mod routing;
pub mod tokens;
pub mod waiting;
