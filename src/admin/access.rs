//! Who may call the admin API: admin keys may call every route, read-only admin keys those that change
//! nothing. Identities of Cloudflare Access may do what the configuration says.

use super::access_identity;
use super::routes::{Access, Action};
use crate::error::{Error, Result};
use crate::gateway::{ADMIN_READ_VARIABLE, ADMIN_VARIABLE, Bridge, Platform};
use crate::ids::AccountId;
use crate::policy::auth;

/// Why a caller may not run an operation.
#[derive(Debug)]
pub struct SignInFailure {
    /// What the caller is told.
    pub error: Error,
    /// The id of the key, if the gateway knows it.
    pub known: Option<AccountId>,
}

impl From<Error> for SignInFailure {
    fn from(error: Error) -> Self {
        Self { error, known: None }
    }
}

/// Authenticates a caller, and checks that the key or identity may run this operation. Returns its id. A key
/// counts before an identity of Cloudflare Access.
///
/// # Errors
/// 401 without an admin key or identity, 403 if the route needs more than a read-only one, 503 if an identity
/// cannot be verified now.
pub async fn authenticate<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    header: &dyn Fn(&str) -> Option<String>,
    action: Action,
) -> Result<AccountId, SignInFailure> {
    let presented = auth::presented(header);
    let access = bridge.admin_settings().access.as_ref();
    if presented.is_none()
        && let Some(settings) = access
        && let Some(token) = header(access_identity::HEADER)
    {
        let identity = access_identity::identify(bridge, platform, settings, &token).await?;
        let checked = access_identity::check(settings, &identity, action.access());
        let checked = checked.and_then(|()| access_identity::check_origin(bridge.cors(), header));
        return match checked {
            Ok(()) => Ok(identity),
            Err(error) => Err(SignInFailure { error, known: Some(identity) }),
        };
    }
    if access.is_none() && bridge.admin_keys().is_empty() && bridge.admin_read_keys().is_empty() {
        return Err(unauthorized(format!(
            "The admin API is disabled because the gateway has no admin keys. Set {ADMIN_VARIABLE} \
             (in .dev.vars, or with `wrangler secret put {ADMIN_VARIABLE}`)."
        ))
        .into());
    }
    by_key(bridge, &presented.ok_or_else(Error::key_missing)?, action)
}

/// Authenticates a caller by an admin key.
fn by_key(bridge: &Bridge, presented: &str, action: Action) -> Result<AccountId, SignInFailure> {
    let (full, read_only) = (bridge.admin_keys(), bridge.admin_read_keys());
    // A key that is listed in both variables is a full admin key.
    if let Ok(caller) = full.authenticate(Some(presented)) {
        return Ok(caller.key_id);
    }
    let Ok(caller) = read_only.authenticate(Some(presented)) else {
        let error = unauthorized(format!("This is not an admin key. Use one of the keys in {ADMIN_VARIABLE}."));
        // An access key has no rights here, but it tells who tries.
        let known = bridge.access_keys().authenticate(Some(presented)).ok().map(|caller| caller.key_id);
        return Err(SignInFailure { error, known });
    };
    match action.access() {
        Access::Read => Ok(caller.key_id),
        Access::Write => Err(SignInFailure { error: read_only_key(), known: Some(caller.key_id) }),
    }
}

fn unauthorized(message: String) -> Error {
    Error::caller(401, "invalid_api_key", message).with_header("www-authenticate", "Bearer realm=\"llm-bridge admin\"")
}

fn read_only_key() -> Error {
    let message = format!(
        "This admin key is read-only ({ADMIN_READ_VARIABLE}), and the route changes something. \
         Use one of the keys in {ADMIN_VARIABLE}."
    );
    Error::caller(403, "admin_key_read_only", message)
}
