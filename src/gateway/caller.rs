//! Who calls: by a key in the headers, by having been admitted before, or without a key where none is asked for.

use super::host::Host;
use super::permit::{self, Caller};
use super::{Bridge, Opened, misconfigured};
use crate::config::Auth;
use crate::error::Result;
use crate::ledger::Secret;
use crate::policy::auth;

/// Whoever needs no key.
const ANONYMOUS: &str = "anonymous";

impl Bridge {
    /// Admits a caller, as far as the gateway itself knows: whether a key that was made at run time is good, its account has yet to say.
    /// `known`: who was admitted before, with the same key.
    pub(super) fn admit(
        &self,
        host_name: &str,
        header: &dyn Fn(&str) -> Option<String>,
        known: Option<Caller>,
    ) -> Result<Caller> {
        if self.config.auth == Auth::NoneOnLoopback && is_loopback(host_name, header) {
            return Ok(Caller { key_id: ANONYMOUS.to_owned(), hash: None });
        }
        if let Some(caller) = known {
            let is_static = || self.access.ids().any(|id| id == caller.key_id);
            return if caller.hash.is_some() || is_static() { Ok(caller) } else { Err(permit::unknown()) };
        }
        let presented = auth::presented(header);
        let made = || presented.as_deref().and_then(Secret::parse);
        match self.access.admit(presented.as_deref()) {
            Ok(caller) => Ok(Caller { key_id: caller.key_id, hash: None }),
            Err(error) => made().map(|(key_id, hash)| Caller { key_id, hash: Some(hash) }).ok_or(error),
        }
    }
}

/// Whose key it is, if it is good. Nothing is taken.
///
/// # Errors
/// 401 if it is not; 500 if the configuration is faulty, 503 if the key's account cannot be reached.
pub async fn identify<H: Host>(
    opened: &Opened,
    host: &H,
    host_name: &str,
    header: &dyn Fn(&str) -> Option<String>,
) -> Result<Caller> {
    let bridge = opened.as_ref().map_err(|problems| misconfigured(problems))?;
    let caller = bridge.admit(host_name, header, None)?;
    permit::check(bridge, host, &caller).await?;
    Ok(caller)
}

/// The name called must be loopback's, and, where the platform tells the peer's address, that as well.
fn is_loopback(host_name: &str, header: &dyn Fn(&str) -> Option<String>) -> bool {
    let name = matches!(host_name, "localhost" | "127.0.0.1" | "[::1]" | "::1");
    let peer = header("cf-connecting-ip");
    name && peer.is_none_or(|peer| matches!(peer.as_str(), "127.0.0.1" | "::1"))
}
