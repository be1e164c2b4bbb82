//! The admin API: API keys, their receipts and their usage; reports and requests across keys; the health of
//! targets; log files; the audit log; running requests.

mod access;
mod access_identity;
mod access_token;
mod account;
mod alerts;
mod anonymize;
mod audit;
mod audit_log;
mod audit_trail;
mod config_check;
mod config_view;
mod egress;
mod export;
mod handle;
mod health;
mod json_response;
mod key_view;
mod keys;
mod live;
mod live_filter;
mod live_ticket;
mod live_view;
mod logs;
mod models;
mod query;
mod receipts;
mod registry;
mod report_query;
mod report_store;
mod report_view;
mod reports;
mod requests;
mod routes;
mod serve;
mod session;
mod signing;
mod standing;
mod stores;
mod table;
mod token_view;
mod usage;
mod usage_query;

pub use audit::{AuditCaller, AuditEntry, AuditOutcome, FieldChange};
pub use audit_log::{
    AuditCommand, AuditPage, AuditQuery, AuditResponse, FailedSignIns, MAX_ENTRIES, MAX_NUMBER, MAX_REFUSALS,
};
pub use handle::AdminCall;
pub use live::LIVE_PATH;
pub use live_filter::LiveFilter;
pub use live_view::{live_message, live_snapshot};
pub use routes::{Access, Action, AdminRoute, ROOT, ROUTES, owns, unknown_path};
pub use serve::serve;
pub use usage::list_own as list_own_usage;
