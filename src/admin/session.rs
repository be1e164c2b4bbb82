//! Who asks, what they may do, and what the dashboard has to know before it shows anything.

use serde::Serialize;

use super::access::authenticate;
use super::json_response::json;
use super::routes::{Access, ROUTES};
use crate::error::Result;
use crate::gateway::{Bridge, Platform, Response};
use crate::ids::AccountId;

#[derive(Serialize)]
struct SessionView<'s> {
    object: &'static str,
    actor: &'s str,
    may_change: bool,
    /// Whether requests are reported, so that there are reports, lists and live requests.
    reporting: bool,
    timezone: &'s str,
    tags: &'s [String],
    log_files: bool,
    /// Whether any caller can call models yet: by a fixed key, or without one.
    has_fixed_callers: bool,
    /// Whether any provider has a key yet.
    has_provider_keys: bool,
    notes: Vec<NoteView<'s>>,
}

/// A note about the configuration.
#[derive(Serialize)]
pub struct NoteView<'s> {
    path: &'s str,
    message: &'s str,
}

/// Describes the caller's session. Whether it may change something is found by asking for the right to a
/// route that does.
///
/// # Errors
/// None: the caller has been authenticated.
pub async fn read<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    header: &dyn Fn(&str) -> Option<String>,
    actor: &AccountId,
) -> Result<Response<P>> {
    let may_change = match ROUTES.iter().find(|route| route.access == Access::Write) {
        Some(route) => authenticate(bridge, platform, header, route.action).await.is_ok(),
        None => false,
    };
    let reporting = bridge.reporting();
    let view = SessionView {
        object: "session",
        actor: actor.as_str(),
        may_change,
        reporting: reporting.enabled,
        timezone: &reporting.timezone,
        tags: reporting.tags.names(),
        log_files: bridge.logging().file.is_some(),
        has_fixed_callers: bridge.fixed_accounts().next().is_some(),
        has_provider_keys: bridge.has_provider_keys(),
        notes: notes(bridge),
    };
    Ok(json(200, &view))
}

/// What the gateway notes about its configuration.
pub fn notes(bridge: &Bridge) -> Vec<NoteView<'_>> {
    bridge.notes().iter().map(|note| NoteView { path: &note.path, message: &note.message }).collect()
}
