//! The accounts and the registry of API keys: limits, reservations of requests under way, receipts, sums. No
//! storage and no clock: the caller passes the time, and writes what is returned to be written.

mod account;
mod admission;
mod api_key;
mod command;
mod count_quota;
pub mod health;
pub mod key_schema;
pub mod key_text;
mod letters;
mod limits;
mod receipt;
pub mod registry;
mod reservations;
pub mod secret;
pub mod signing;
mod sliding_window;
mod snapshot;
mod spend;
mod token_counts;
mod totals;
mod unreadable;
mod usage_totals;
mod write;

pub use account::AccountLedger;
pub use admission::{AdmissionRefusal, AdmissionRequest, CountRequest, OutputCost, RateLimit, RateLimitStatus};
pub use api_key::{ApiKey, KeyStatus, id_of};
pub use command::{AccountCommand, AccountResponse, LimitStanding};
pub use limits::{Budget, KeyLimits, Period};
pub use receipt::{AttemptEntry, LEASE, LOST, Receipt, Reservation, ReservationLease};
pub use secret::KeySecret;
pub use sliding_window::SPAN;
pub use snapshot::{AccountSnapshot, ReceiptRow};
pub use spend::{BudgetSpend, day_of};
pub use token_counts::TokenCounts;
pub use totals::{Totals, UsageReport};
pub use unreadable::UnreadableRecord;
pub use write::AccountWrite;
