//! The ledger of one account: admits requests, settles them, sums them.

mod ledger;
mod open;
mod settle;

pub use ledger::AccountLedger;
