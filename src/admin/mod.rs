//! The admin API: API keys, their receipts and their usage; and the health of
//! targets.

mod account;
mod export;
mod handle;
mod health;
mod json_response;
mod key_view;
mod keys;
mod query;
mod receipts;
mod registry;
mod routes;
mod signing;
mod table;
mod token_view;
mod usage;
mod usage_query;

pub use handle::{AdminCall, authenticate, handle};
pub use routes::{Action, AdminRoute, ROOT, ROUTES, owns, unknown_path};
pub use usage::list_own as list_own_usage;
