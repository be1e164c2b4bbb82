//! A provider's account: its key, its proxy, the edits of `param_config`, and the redaction of its messages.

mod account;
pub mod params;
mod proxy;
mod proxy_failure;
mod redact;

pub use account::{PooledKey, ProviderAccount, ProviderKey};
pub use proxy::{Proxies, Proxy, private_proxies};
pub use proxy_failure::proxy_failed;
pub use redact::{redact, redact_json, redact_proxy};
