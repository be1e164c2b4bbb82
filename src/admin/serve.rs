//! Serves a request to the admin API: authenticates its caller, runs the operation, and has the audit log
//! record it.

use std::rc::Rc;

use super::access::{SignInFailure, authenticate};
use super::audit::{AuditCaller, AuditEntry};
use super::audit_log;
use super::audit_trail::AuditTrail;
use super::handle::{AdminCall, AdmittedCall, handle};
use super::live;
use super::routes::Action;
use crate::error::{Error, Result};
use crate::gateway::{Bridge, Fact, Platform, Request, RequestRecord, Response};

/// Serves a request to the admin API. Whatever changes something is recorded, and so is the attempt of a
/// known key that has no right to it; the response does not wait for that.
///
/// # Errors
/// 401 or 403 for the caller, or the error of the operation.
pub async fn serve<P: Platform>(
    bridge: &Rc<Bridge>,
    platform: &P,
    request: Request<'_, P>,
    call: AdminCall<'_>,
    record: &mut RequestRecord,
) -> Result<Response<P>> {
    let address = (request.header)("cf-connecting-ip");
    let trail = AuditTrail::of(call.id);
    let signed_in = if call.action == Action::Live && live::presented(request.query) {
        live::sign_in(bridge, platform, &request).await
    } else {
        authenticate(bridge, platform, request.header, call.action).await
    };
    let (actor, served) = match signed_in {
        Ok(key_id) => {
            record.apply(Fact::Authenticated { key_id: key_id.clone() });
            let admitted = AdmittedCall { call, actor: &key_id };
            let served = handle(bridge, platform, request, admitted, &trail).await;
            (key_id, served)
        }
        Err(SignInFailure { error, known: Some(key_id) }) => (key_id, Err(error)),
        Err(SignInFailure { error, known: None }) => {
            if error.status() == 401 {
                bridge.admin_state().note_failed_sign_in();
            }
            return Err(error);
        }
    };
    let status = served.as_ref().map_or_else(Error::status, |response| response.status);
    let caller = AuditCaller { request_id: record.request_id().to_owned(), actor: actor.as_str().to_owned(), address };
    let outcome = trail.finish(status);
    let entry = AuditEntry::of(call.action, caller, &outcome, platform.now(), platform.random_u128());
    if let Some(entry) = entry {
        audit_log::record(bridge, platform, entry);
    }
    served
}
