//! The admin API on a scripted platform: keys, receipts, usage, log files, alerts and live requests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod access;
mod alerts;
mod audit;
mod concurrency;
mod config;
mod description;
mod egress;
mod health;
mod identities;
mod keys;
mod live;
mod logs;
mod models;
mod reports;
mod session;
mod setup;
#[path = "../support/mod.rs"]
mod support;
mod usage;
