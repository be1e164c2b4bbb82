//! The Durable Objects, and commands to them.

mod account;
mod account_store;
mod budget_alerts;
pub(super) mod call;
mod command;
mod health;
mod log_files;
mod log_store;
mod operations;
mod reasoning_store;
mod region;
mod registry;
mod session;
mod sql;
