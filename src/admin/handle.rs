//! Authenticates a request to the admin API and runs its operation.

use super::query::Query;
use super::routes::Action;
use super::{export, health, keys, receipts, signing, usage};
use crate::error::{Error, Result};
use crate::gateway::{ADMIN_VARIABLE, Body, Bridge, Platform, Request, Response, read_body};
use crate::ids::AccountId;
use crate::policy::auth;

/// The OpenAPI description of this API.
const DOCUMENT: &str = include_str!("openapi.json");

/// An operation, and the name in its path.
#[derive(Clone, Copy, Debug)]
pub struct AdminCall<'p> {
    /// The operation of the matched route.
    pub action: Action,
    /// Empty if the path contains no name.
    pub id: &'p str,
}

/// Handles a request to the admin API, whose caller has shown an admin key.
///
/// # Errors
/// The error of the operation.
pub async fn handle<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    request: Request<'_, P>,
    AdminCall { action, id }: AdminCall<'_>,
) -> Result<Response<P>> {
    let query = request.query;
    match action {
        Action::Create => keys::create(bridge, platform, &read_body(bridge, platform, request).await?).await,
        Action::List => keys::list(platform, &Query::read(query, &["limit", "after"])?).await,
        Action::Read => keys::read(platform, id).await,
        Action::Edit => keys::edit(bridge, platform, id, &read_body(bridge, platform, request).await?).await,
        Action::Delete => keys::delete(bridge, platform, id).await,
        Action::Rotate => keys::rotate(bridge, platform, id).await,
        Action::Disable => keys::set_enabled(bridge, platform, id, false).await,
        Action::Enable => keys::set_enabled(bridge, platform, id, true).await,
        Action::Receipts => receipts::list(bridge, platform, id, &Query::read(query, &["limit", "before"])?).await,
        Action::Usage => usage::list(bridge, platform, &Query::read(query, usage::PARAMETERS)?).await,
        Action::ExportReceipts => {
            export::receipts(bridge, platform, &Query::read(query, export::RECEIPT_PARAMETERS)?).await
        }
        Action::ExportUsage => export::usage(bridge, platform, &Query::read(query, export::USAGE_PARAMETERS)?).await,
        Action::SigningSecrets => signing::list(platform).await,
        Action::RenewSigning => signing::renew(bridge, platform).await,
        Action::EndSigning => signing::end(bridge, platform, id).await,
        Action::Health => health::list(bridge, platform).await,
        Action::ResetHealth => health::reset(bridge, platform, &read_body(bridge, platform, request).await?).await,
        Action::Describe => Ok(Response::json(200, Body::Bytes(DOCUMENT.as_bytes().to_vec()))),
    }
}

/// Authenticates a caller. Returns the id of the admin key.
///
/// # Errors
/// 401 without an admin key.
pub fn authenticate<P: Platform>(bridge: &Bridge, request: &Request<'_, P>) -> Result<AccountId> {
    if bridge.admin_keys().is_empty() {
        return Err(unauthorized(format!(
            "The admin API is disabled because the gateway has no admin keys. Set {ADMIN_VARIABLE} \
             (in .dev.vars, or with `wrangler secret put {ADMIN_VARIABLE}`)."
        )));
    }
    let presented = auth::presented(request.header);
    match bridge.admin_keys().authenticate(presented.as_deref()) {
        Ok(caller) => Ok(caller.key_id),
        Err(_) if presented.is_some() => {
            Err(unauthorized(format!("This is not an admin key. Use one of the keys in {ADMIN_VARIABLE}.")))
        }
        Err(error) => Err(error),
    }
}

fn unauthorized(message: String) -> Error {
    Error::caller(401, "invalid_api_key", message).with_header("www-authenticate", "Bearer realm=\"llm-bridge admin\"")
}
