//! Runs the operation of a request to the admin API.

use super::query::Query;
use super::routes::Action;
use super::{export, health, keys, logs, receipts, reports, requests, signing, usage};
use crate::error::Result;
use crate::gateway::{Body, Bridge, Platform, Request, Response, read_body};

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

/// Handles a request to the admin API, whose caller has been authenticated for the operation.
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
        Action::Logs => logs::list(bridge, platform, &Query::read(query, logs::PARAMETERS)?).await,
        Action::Reports => reports::list(bridge, platform, &Query::read(query, reports::PARAMETERS)?).await,
        Action::Requests => requests::list(bridge, platform, &Query::read(query, requests::PARAMETERS)?).await,
        Action::Request => requests::read(platform, id).await,
        Action::DeleteRequests => requests::delete(platform, &Query::read(query, requests::DELETE_PARAMETERS)?).await,
        Action::Stores => reports::list_stores(bridge, platform).await,
        Action::Describe => Ok(Response::json(200, Body::Bytes(DOCUMENT.as_bytes().to_vec()))),
    }
}
