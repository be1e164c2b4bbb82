//! LLM Bridge: one endpoint and one key in front of every large-language-model provider.
//!
//! The modules stand in the order in which a request meets them, from the outside in; arrows go one way:
//! `edge → gateway → {session, policy, ledger, vault, adapters, provider} → {chat, wire, config, tokens} → error`.

#[cfg(feature = "edge")]
pub mod edge;
pub mod gateway;

pub mod adapters;
pub mod ledger;
pub mod policy;
pub mod provider;
pub mod session;
pub mod vault;

pub mod chat;
pub mod config;
pub mod tokens;
pub mod wire;

pub mod error;
