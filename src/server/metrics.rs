//! `/metrics`: the metrics of all isolates, as text for Prometheus.

use std::pin::pin;

use futures::future::{Either, select};

use crate::config::Millis;
use crate::error::{Error, Result};
use crate::gateway::platform::{ObjectAddress, ObjectError, OperationsPart};
use crate::gateway::{
    ADMIN_READ_VARIABLE, ADMIN_VARIABLE, Body, Bridge, METRICS_VARIABLE, Platform, Request, Response,
};
use crate::ids::AccountId;
use crate::policy::auth;
use crate::telemetry::metrics::{MetricsCommand, negotiate};

/// The longest that a scrape waits for the object, less than Prometheus waits by default (10 s).
const TIMEOUT: Millis = 8_000;

/// Authenticates a scraper: by a key of metrics, or any admin key, as bearer token or as password. Returns
/// the id of the key.
///
/// # Errors
/// 404 if no key could open it, 401 if none of them was sent.
pub fn authenticate(bridge: &Bridge, header: &dyn Fn(&str) -> Option<String>) -> Result<AccountId> {
    let lists = [bridge.metrics_keys(), bridge.admin_keys(), bridge.admin_read_keys()];
    if lists.iter().all(|keys| keys.is_empty()) {
        return Err(disabled());
    }
    let sent = auth::presented(header).or_else(|| auth::password(header)).ok_or_else(Error::key_missing)?;
    let found = lists.iter().filter(|keys| !keys.is_empty()).find_map(|keys| keys.authenticate(Some(&sent)).ok());
    found.map(|caller| caller.key_id).ok_or_else(unauthorized)
}

/// All metrics, in the format that the client prefers.
///
/// # Errors
/// 503 if the object cannot be reached.
pub async fn scrape<P: Platform>(platform: &P, request: &Request<'_, P>) -> Result<Response<P>> {
    let format = negotiate((request.header)("accept").as_deref());
    let command = serde_json::to_string(&MetricsCommand::Expose(format)).map_err(|_| unreachable())?;
    let asking = pin!(platform.ask_object(ObjectAddress::Operations(OperationsPart::Metrics), command));
    let text = match select(asking, platform.timer(TIMEOUT)).await {
        Either::Left((Ok(text), _)) => text,
        Either::Left((Err(ObjectError::Unbound), _)) => return Err(unbound()),
        Either::Left((Err(_), _)) | Either::Right(_) => return Err(unreachable()),
    };
    let headers = vec![("content-type", format.content_type().to_owned())];
    Ok(Response { status: 200, headers, body: Body::Bytes(text.into_bytes()) })
}

fn disabled() -> Error {
    let message = format!(
        "Metrics are disabled because the gateway has no keys for them. Set {METRICS_VARIABLE} \
         (in .dev.vars, or with `wrangler secret put {METRICS_VARIABLE}`)."
    );
    Error::caller(404, "metrics_disabled", message)
}

fn unauthorized() -> Error {
    let message = format!(
        "This key does not open the metrics. Use one of the keys in {METRICS_VARIABLE}, {ADMIN_READ_VARIABLE} or \
         {ADMIN_VARIABLE}, as bearer token or as password."
    );
    let challenge = "Bearer realm=\"llm-bridge metrics\", Basic realm=\"llm-bridge metrics\"";
    Error::caller(401, "invalid_api_key", message).with_header("www-authenticate", challenge)
}

fn unbound() -> Error {
    let message = "The Durable Object binding OPERATIONS is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "metrics_unavailable", message)
}

fn unreachable() -> Error {
    let message = "The metrics cannot be read. Retry shortly.";
    Error::gateway(503, "metrics_unavailable", message).with_header("retry-after", "1")
}
