//! The health of targets and keys: what is out, and why. Healthy ones are not listed.

use serde::{Deserialize, Serialize};

use super::audit_trail::AuditTrail;
use super::json_response::json;
use crate::error::{Error, Result};
use crate::gateway::health::{KnownWhere, OutState, StateRow};
use crate::gateway::platform::{ObjectAddress, ObjectError};
use crate::gateway::{Bridge, Platform, Response, ask_patiently};
use crate::ledger::health::{HealthCommand, HealthResponse, HealthView};
use crate::wire::date::write_time;

/// Something that is out, as JSON.
#[derive(Serialize)]
struct StateView {
    object: &'static str,
    id: String,
    provider: String,
    model: Option<String>,
    keys: Option<Vec<usize>>,
    state: &'static str,
    reason: String,
    since: String,
    until: String,
    known: &'static str,
}

#[derive(Serialize)]
struct StateList {
    object: &'static str,
    data: Vec<StateView>,
}

/// What is to be reset.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetRequest {
    id: Option<String>,
}

/// Lists what is out: what all isolates know, and what the isolate that handles the request knows besides.
///
/// # Errors
/// 503 if the shared health cannot be reached.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P) -> Result<Response<P>> {
    let view = ask(platform, &HealthCommand::Read { version: 0 }).await?;
    Ok(states(bridge, platform, &view))
}

/// Forgets the state with an id, or all. Other isolates follow within half a minute of use.
///
/// # Errors
/// 400 for an invalid body, 404 if nothing with this id is out, 503 if the shared health cannot be reached.
pub async fn reset<P: Platform>(bridge: &Bridge, platform: &P, trail: &AuditTrail, body: &[u8]) -> Result<Response<P>> {
    let ResetRequest { id } = read_request(body)?;
    let mut view = ask(platform, &HealthCommand::Read { version: 0 }).await?;
    let now = platform.now();
    let rows = bridge.health().list(&view, now);
    if id.as_ref().is_some_and(|id| rows.iter().all(|row| row.id != *id)) {
        let message = "Nothing with this id is out. GET /admin/api/health lists what is.";
        return Err(Error::caller(404, "health_state_not_found", message).at("id"));
    }
    let name = id.as_deref().and_then(|id| bridge.health().name_of_row(id, &view));
    // A host as seen from here concerns no other isolate.
    if id.is_none() || name.is_some() {
        view = ask(platform, &HealthCommand::Reset(name)).await?;
        bridge.health().learn(&view, platform.now());
    }
    bridge.health().reset_here(id.as_deref(), platform.now());
    let reset = rows.iter().map(|row| row.id.as_str()).filter(|row| id.as_deref().is_none_or(|id| id == *row));
    let before = serde_json::json!({ "out": reset.collect::<Vec<_>>() });
    trail.changed(id.as_deref().unwrap_or_default(), &before, &());
    Ok(states(bridge, platform, &view))
}

fn read_request(body: &[u8]) -> Result<ResetRequest> {
    if body.is_empty() {
        return Ok(ResetRequest::default());
    }
    let message = "The body must be {\"id\": \"…\"} to reset one state, or {} to reset all.";
    serde_json::from_slice(body).map_err(|_| Error::caller(400, "invalid_body", message))
}

fn states<P: Platform>(bridge: &Bridge, platform: &P, view: &HealthView) -> Response<P> {
    let rows = bridge.health().list(view, platform.now());
    json(200, &StateList { object: "list", data: rows.into_iter().map(state).collect() })
}

fn state(row: StateRow) -> StateView {
    let StateRow { id, provider, model, keys, state, reason, since, until, known } = row;
    StateView {
        object: "health_state",
        id,
        provider,
        model,
        keys,
        state: match state {
            OutState::Open => "open",
            OutState::HalfOpen => "half_open",
            OutState::Resting => "resting",
        },
        reason,
        since: write_time(since),
        until: write_time(until),
        known: match known {
            KnownWhere::Everywhere => "everywhere",
            KnownWhere::Here => "here",
        },
    }
}

async fn ask<P: Platform>(platform: &P, command: &HealthCommand) -> Result<HealthView> {
    let command = serde_json::to_string(command).map_err(|_| unreachable())?;
    let response = ask_patiently(platform, ObjectAddress::Health, command).await.map_err(|failure| match failure {
        ObjectError::Unbound => unbound(),
        ObjectError::Unreachable => unreachable(),
    })?;
    match serde_json::from_str(&response) {
        Ok(HealthResponse::Known(view)) => Ok(view),
        Ok(HealthResponse::Unchanged | HealthResponse::Malformed) | Err(_) => Err(unreachable()),
    }
}

fn unbound() -> Error {
    let message = "The Durable Object binding HEALTH of the shared health is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "health_unavailable", message).with_header("retry-after", "1")
}

fn unreachable() -> Error {
    let message = "The shared health cannot be reached. Retry shortly.";
    Error::gateway(503, "health_unavailable", message).with_header("retry-after", "1")
}
