//! Cloudflare Access as an identity of administrators: whom a token names, and what that identity may do.

use super::access_token::{AccessToken, TokenFault};
use super::routes::Access;
use crate::config::{AccessSettings, Cors};
use crate::error::{Error, Result};
use crate::gateway::{Bridge, KnownKey, Platform};
use crate::ids::AccountId;

/// The header in which Access passes a token to the origin.
pub const HEADER: &str = "cf-access-jwt-assertion";
/// Stands before an identity in logs and in the audit log, to tell it from a key's id.
const PREFIX: &str = "access:";

/// The identity that a token names, as it stands in logs: `access:` and an address of email, or the client
/// id of a service token.
///
/// # Errors
/// 401 for a token that does not hold, 503 if the team's keys cannot be fetched.
pub async fn identify<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    settings: &AccessSettings,
    token: &str,
) -> Result<AccountId> {
    let token = AccessToken::read(token).map_err(invalid)?;
    // Before the signature, so that a token of another application costs no more.
    let identity = token.identity(settings, platform.now()).map_err(invalid)?;
    match bridge.admin_state().access_keys.find(platform, &settings.origin, &token.key_id).await {
        KnownKey::Key(key) if platform.verify_rs256(&key, &token.signature, token.signed).await => {
            Ok(format!("{PREFIX}{identity}").into())
        }
        KnownKey::Key(_) | KnownKey::Unknown => Err(invalid(TokenFault::Unsigned)),
        KnownKey::Unavailable => Err(unavailable()),
    }
}

/// Checks that an identity may call a route with this access.
///
/// # Errors
/// 403 if it may not.
pub fn check(settings: &AccessSettings, identity: &AccountId, access: Access) -> Result<()> {
    let name = identity.as_str().strip_prefix(PREFIX).unwrap_or_default();
    let lists = |list: &[String]| list.iter().any(|listed| listed == name);
    let may_write = lists(&settings.writers);
    match access {
        _ if may_write => Ok(()),
        Access::Write => Err(read_only()),
        Access::Read if settings.readers.as_deref().is_none_or(lists) => Ok(()),
        Access::Read => Err(not_allowed()),
    }
}

/// Checks that no page of another site has the browser of an administrator call: Access adds its header to
/// whatever a browser sends.
///
/// # Errors
/// 403 if the request comes from a page of another origin, unless the configuration names it.
pub fn check_origin(cors: &Cors, header: &dyn Fn(&str) -> Option<String>) -> Result<()> {
    let Some(origin) = header("origin") else { return Ok(()) };
    let own = header("host").unwrap_or_default();
    let is_own = origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(&own));
    if is_own || cors.names(&origin) {
        return Ok(());
    }
    let message = "A page of another origin may not call the admin API with an identity of Cloudflare Access. \
                   List the origin in `cors.origins`.";
    Err(Error::caller(403, "origin_not_allowed", message))
}

fn invalid(fault: TokenFault) -> Error {
    let message = format!("The token of Cloudflare Access ({HEADER}) {}.", fault.text());
    Error::caller(401, "invalid_access_token", message)
}

fn unavailable() -> Error {
    let message = "The keys of Cloudflare Access cannot be fetched, so that its tokens cannot be verified. Retry in a minute, \
                   or use an admin key.";
    Error::gateway(503, "access_unavailable", message).with_header("retry-after", "60")
}

fn read_only() -> Error {
    let message = "This identity is read-only, and the route changes something. `admin.access.writers` lists the \
                   identities that may.";
    Error::caller(403, "access_read_only", message)
}

fn not_allowed() -> Error {
    let message = "This identity may not call the admin API. `admin.access.readers` lists the identities that may.";
    Error::caller(403, "access_not_allowed", message)
}
