//! Decisions as functions of values: keys, routing, the choice of a target and its health, prices, encodings,
//! and the class of a failure.

pub mod auth;
mod binding;
pub mod choose;
pub mod expected_cost;
pub mod failure;
pub mod fitting;
pub mod health;
pub mod model_card;
pub mod pricing;
pub mod region;
pub mod rendezvous;
pub mod routing;
pub mod seam;
pub mod speed;
pub mod tokens;
pub mod waiting;
