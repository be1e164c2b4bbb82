//! Who may call the admin API: admin keys may call every route, read-only admin keys those that change
//! nothing.

use super::routes::{Access, Action};
use crate::error::{Error, Result};
use crate::gateway::{ADMIN_READ_VARIABLE, ADMIN_VARIABLE, Bridge, Platform, Request};
use crate::ids::AccountId;
use crate::policy::auth;

/// Why a caller may not run an operation.
#[derive(Debug)]
pub struct SignInFailure {
    /// The error.
    pub error: Error,
    /// The id of the key, if the gateway knows it.
    pub known: Option<AccountId>,
}

impl From<Error> for SignInFailure {
    fn from(error: Error) -> Self {
        Self { error, known: None }
    }
}

/// Authenticates a caller, and checks that the key may run this operation. Returns the id of the key.
///
/// # Errors
/// 401 without an admin key, 403 if the route needs more than a read-only one.
pub fn authenticate<P: Platform>(
    bridge: &Bridge,
    request: &Request<'_, P>,
    action: Action,
) -> Result<AccountId, SignInFailure> {
    let (full, read_only) = (bridge.admin_keys(), bridge.admin_read_keys());
    if full.is_empty() && read_only.is_empty() {
        return Err(unauthorized(format!(
            "The admin API is disabled because the gateway has no admin keys. Set {ADMIN_VARIABLE} \
             (in .dev.vars, or with `wrangler secret put {ADMIN_VARIABLE}`)."
        ))
        .into());
    }
    let Some(presented) = auth::presented(request.header) else { return Err(Error::key_missing().into()) };
    // A key that is listed in both variables is a full admin key.
    if let Ok(caller) = full.authenticate(Some(&presented)) {
        return Ok(caller.key_id);
    }
    let Ok(caller) = read_only.authenticate(Some(&presented)) else {
        let error = unauthorized(format!("This is not an admin key. Use one of the keys in {ADMIN_VARIABLE}."));
        // An access key has no rights here, but it tells who tries.
        let known = bridge.access_keys().authenticate(Some(&presented)).ok().map(|caller| caller.key_id);
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
