//! A provider's account: its key, the edits of `param_config`, and the redaction of its messages.

mod account;
pub mod params;
mod redact;

pub use account::{PooledKey, ProviderAccount, ProviderKey};
pub use redact::{redact, redact_json};
