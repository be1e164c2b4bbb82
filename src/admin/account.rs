//! Accounts by the names that requests give them.

use super::{keys, query::invalid};
use crate::error::{Error, Result};
use crate::gateway::{Bridge, Platform};
use crate::ids::AccountId;
use crate::ledger::{id_of, key_text};

/// The account of any key, by the key's id or its `key_id`.
///
/// # Errors
/// 400 if `name` cannot be the id of a key.
pub fn account_of(name: &str) -> Result<AccountId> {
    if name == "anonymous" || name.starts_with("key_") {
        return Ok(name.into());
    }
    let id = id_of(name);
    if key_text::is_id(id) { Ok(key_text::account(id)) } else { Err(invalid("key", "be the id of a key")) }
}

/// Checks that there is a key with this account.
///
/// # Errors
/// 404 if there is none.
pub async fn must_exist<P: Platform>(bridge: &Bridge, platform: &P, account: &AccountId) -> Result<()> {
    if let Some(id) = account.as_str().strip_prefix("vk_") {
        return keys::must_exist(platform, id).await;
    }
    if bridge.fixed_accounts().any(|known| known == *account) {
        return Ok(());
    }
    let shown: String = account.as_str().chars().take(64).collect();
    Err(Error::caller(404, "key_not_found", format!("There is no key `{shown}`.")))
}
