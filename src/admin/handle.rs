//! Runs the operation of a request to the admin API.

use super::audit_trail::AuditTrail;
use super::query::Query;
use super::routes::Action;
use super::{
    alerts, anonymize, audit_log, config_check, config_view, egress, export, health, keys, live, logs, models,
    receipts, reports, requests, session, signing, standing, stores, usage,
};
use crate::error::Result;
use crate::gateway::{Body, Bridge, Platform, Request, Response, read_body};
use crate::ids::AccountId;

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

/// An operation, and the admin who asks for it.
#[derive(Clone, Copy, Debug)]
pub struct AdmittedCall<'p> {
    /// The operation.
    pub call: AdminCall<'p>,
    /// The id of the key or identity.
    pub actor: &'p AccountId,
}

/// Handles a request to the admin API, whose caller has been authenticated for the operation. What it changes
/// is noted in the trail.
///
/// # Errors
/// The error of the operation.
pub async fn handle<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    request: Request<'_, P>,
    AdmittedCall { call: AdminCall { action, id }, actor }: AdmittedCall<'_>,
    trail: &AuditTrail,
) -> Result<Response<P>> {
    let query = request.query;
    let of = |names| Query::read(query, names);
    match action {
        Action::Session => session::read(bridge, platform, request.header, actor).await,
        Action::Models => Ok(models::list(bridge, platform)),
        Action::Egress => Ok(egress::show(bridge, platform).await),
        Action::Create => keys::create(bridge, platform, trail, &read_body(bridge, platform, request).await?).await,
        Action::List => keys::list(platform, &of(&["limit", "after"])?).await,
        Action::Read => keys::read(platform, id).await,
        Action::Edit => keys::edit(bridge, platform, trail, id, &read_body(bridge, platform, request).await?).await,
        Action::Delete => keys::delete(bridge, platform, trail, id).await,
        Action::Rotate => keys::rotate(bridge, platform, trail, id).await,
        Action::Disable => keys::set_enabled(bridge, platform, trail, id, false).await,
        Action::Enable => keys::set_enabled(bridge, platform, trail, id, true).await,
        Action::Standing => standing::read(bridge, platform, id).await,
        Action::Config => Ok(config_view::read(bridge)),
        Action::CheckConfig => config_check::check(&read_body(bridge, platform, request).await?),
        Action::Receipts => receipts::list(bridge, platform, id, &of(&["limit", "before"])?).await,
        Action::Anonymize => anonymize::run(bridge, platform, trail, id, &of(anonymize::PARAMETERS)?).await,
        Action::Usage => usage::list(bridge, platform, &of(usage::PARAMETERS)?).await,
        Action::ExportReceipts => export::receipts(bridge, platform, &of(export::RECEIPT_PARAMETERS)?).await,
        Action::ExportUsage => export::usage(bridge, platform, &of(export::USAGE_PARAMETERS)?).await,
        Action::SigningSecrets => signing::list(platform).await,
        Action::RenewSigning => signing::renew(bridge, platform, trail).await,
        Action::EndSigning => signing::end(bridge, platform, trail, id).await,
        Action::Health => health::list(bridge, platform).await,
        Action::ResetHealth => {
            health::reset(bridge, platform, trail, &read_body(bridge, platform, request).await?).await
        }
        Action::Logs => logs::list(bridge, platform, &of(logs::PARAMETERS)?).await,
        Action::Reports => reports::list(bridge, platform, &of(reports::PARAMETERS)?).await,
        Action::Requests => requests::list(bridge, platform, &of(requests::PARAMETERS)?).await,
        Action::Request => requests::read(bridge, platform, id).await,
        Action::DeleteRequests => requests::delete(platform, trail, &of(requests::DELETE_PARAMETERS)?).await,
        Action::EndRequest => live::end(platform, trail, id).await,
        Action::Live => live::open(bridge, platform, request).await,
        Action::LiveTicket => live::issue(bridge, platform, actor).await,
        Action::Stores => stores::list(bridge, platform).await,
        Action::Audit => audit_log::list(bridge, platform, &of(audit_log::PARAMETERS)?).await,
        Action::Alerts => alerts::read(bridge, platform, &of(alerts::PARAMETERS)?).await,
        Action::TestAlerts => alerts::test(bridge, platform).await,
        Action::Describe => Ok(Response::json(200, Body::Bytes(DOCUMENT.as_bytes().to_vec()))),
    }
}
