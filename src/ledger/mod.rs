//! The books of one account: what its key may do, what is promised to requests under way, what has been used. They know no
//! storage and no clock: they are told the time, and say what has to be written down.

mod account;
mod api_key;
mod command;
mod count_quota;
pub mod key_schema;
mod limits;
mod receipt;
pub mod registry;
mod reservation;
pub mod secret;
pub mod signing;
mod sliding_window;
mod snapshot;
mod spend;
mod sums;
mod versions;
mod write;

pub use account::AccountLedger;
pub use api_key::{ApiKey, KeyStatus, id_of};
pub use command::{
    AccountCommand, AccountResponse, AdmissionRefusal, AdmissionRequest, OutputCost, RateLimit, RateLimitStatus,
    UsageReport,
};
pub use count_quota::CountRequest as Asked;
pub use limits::{Budget, KeyLimits, Period};
pub use receipt::{LOST, Receipt, TokenCounts, Totals};
pub use reservation::{LEASE, Reservation, ReservationLease};
pub use secret::KeySecret;
pub use sliding_window::SPAN;
pub use snapshot::{AccountSnapshot, ReceiptRow};
pub use spend::day_of;
pub use write::AccountWrite;
