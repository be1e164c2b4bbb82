//! One upstream account: its key, and the edits that its rows ask for. It knows no wire format.

mod account;
pub mod params;
mod redact;

pub use account::{ProviderAccount, ProviderKey};
pub use redact::{redact, redact_json};
