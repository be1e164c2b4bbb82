//! The admin API: API keys, their receipts and their usage; reports and requests across keys; the health of
//! targets; log files.

mod access;
mod account;
mod audit;
mod export;
mod handle;
mod health;
mod json_response;
mod key_view;
mod keys;
mod logs;
mod query;
mod receipts;
mod registry;
mod report_query;
mod report_store;
mod report_view;
mod reports;
mod requests;
mod routes;
mod signing;
mod table;
mod token_view;
mod usage;
mod usage_query;

pub use access::authenticate;
pub use audit::{AuditCaller, AuditEntry, AuditOutcome, FieldChange};
pub use handle::{AdminCall, handle};
pub use routes::{Access, Action, AdminRoute, ROOT, ROUTES, owns, unknown_path};
pub use usage::list_own as list_own_usage;
