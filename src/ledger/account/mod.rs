//! The ledger of one account: admits requests, settles them, and adds them up.

mod ledger;
mod open;
mod raise;
mod settle;

pub use ledger::AccountLedger;
