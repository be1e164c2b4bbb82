//! LLM Bridge: one endpoint and one key in front of every large-language-model provider.
//!
//! The modules are listed from the outside in, in the order in which a request passes them. A module uses
//! only modules of later rows:
//!
//! ```text
//! edge
//! server
//! admin
//! gateway
//! operations
//! session, policy, ledger, reasoning_store, formats, provider, telemetry, reports, alerts
//! canonical, wire, config, tokens
//! catalogue
//! error, ids
//! ```

#[cfg(feature = "edge")]
pub mod edge;

pub mod server;

pub mod admin;

pub mod gateway;

pub mod operations;

pub mod alerts;
pub mod formats;
pub mod ledger;
pub mod policy;
pub mod provider;
pub mod reasoning_store;
pub mod reports;
pub mod session;
pub mod telemetry;

pub mod canonical;
pub mod config;
pub mod tokens;
pub mod wire;

pub mod catalogue;

pub mod error;
pub mod ids;
