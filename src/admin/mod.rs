//! The admin API: its paths, and who may enter. It knows nothing of chats, and asks the directory and the accounts for all it says.

mod export;
mod keys;
mod query;
mod receipts;
mod signing;
mod table;
pub mod usage;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::gateway::{ADMIN_VARIABLE, Body, Bridge, Platform, Request, RequestRecord, Response, read_body};
use crate::policy::auth;
use query::Query;

/// Where the admin API's paths begin.
pub const ROOT: &str = "/admin/api";
/// The description of this API, for programs.
const DOCUMENT: &str = include_str!("openapi.json");

/// What the admin API does; each is one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Creates a key; its text is in this response alone.
    Create,
    /// A page of keys.
    List,
    /// Reads a key, without its text.
    Read,
    /// Changes fields of a key.
    Edit,
    /// Deletes a key; its receipts stay.
    Delete,
    /// Gives a key a new secret.
    Rotate,
    /// Switches a key off.
    Disable,
    /// Switches a key on.
    Enable,
    /// A page of a key's receipts.
    Receipts,
    /// Sums of all keys, or of one.
    Usage,
    /// A key's receipts as a file.
    ExportReceipts,
    /// Sums as a file.
    ExportUsage,
    /// The versions of the secret that signs keys.
    SigningSecrets,
    /// Makes a new version of it.
    RenewSigning,
    /// Ends a version of it.
    EndSigning,
    /// The OpenAPI description of this API.
    Describe,
}

/// One row of the route table.
#[derive(Debug)]
pub struct AdminRoute {
    /// The HTTP method, in upper case.
    pub method: &'static str,
    /// Below [`ROOT`]; `{id}` stands for one name.
    pub path: &'static str,
    /// What a request to this route does.
    pub action: Action,
}

const fn row(method: &'static str, path: &'static str, action: Action) -> AdminRoute {
    AdminRoute { method, path, action }
}

/// All routes; those of one path stand together.
pub const ROUTES: &[AdminRoute] = &[
    row("GET", "/keys", Action::List),
    row("POST", "/keys", Action::Create),
    row("GET", "/keys/{id}", Action::Read),
    row("PATCH", "/keys/{id}", Action::Edit),
    row("DELETE", "/keys/{id}", Action::Delete),
    row("POST", "/keys/{id}/rotate", Action::Rotate),
    row("POST", "/keys/{id}/disable", Action::Disable),
    row("POST", "/keys/{id}/enable", Action::Enable),
    row("GET", "/keys/{id}/receipts", Action::Receipts),
    row("GET", "/usage", Action::Usage),
    row("GET", "/export/receipts", Action::ExportReceipts),
    row("GET", "/export/usage", Action::ExportUsage),
    row("GET", "/signing-secrets", Action::SigningSecrets),
    row("POST", "/signing-secrets", Action::RenewSigning),
    row("DELETE", "/signing-secrets/{id}", Action::EndSigning),
    row("GET", "/openapi.json", Action::Describe),
];

/// Whether a path belongs to the admin API, known or not.
pub fn owns(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The refusal of a path below [`ROOT`] that is in no row.
pub fn unknown_path() -> Error {
    let message = format!("Unknown URL: the admin API has no such path. {ROOT}/openapi.json lists all.");
    Error::caller(404, "unknown_url", message)
}

/// An action, and the name in its path.
#[derive(Clone, Copy, Debug)]
pub struct AdminCall<'p> {
    /// What the request does.
    pub action: Action,
    /// Empty if the path holds none.
    pub id: &'p str,
}

/// Serves one request to the admin API.
///
/// # Errors
/// 401 without an admin key; else what the action refuses.
pub async fn handle<H: Platform>(
    bridge: &Bridge,
    host: &H,
    request: Request<'_, H>,
    call: AdminCall<'_>,
    record: &mut RequestRecord,
) -> Result<Response<H>> {
    record.key_id = Some(admit(bridge, &request)?);
    act(bridge, host, request, call).await
}

async fn act<H: Platform>(
    bridge: &Bridge,
    host: &H,
    request: Request<'_, H>,
    AdminCall { action, id }: AdminCall<'_>,
) -> Result<Response<H>> {
    let query = request.query;
    match action {
        Action::Create => keys::create(bridge, host, &read_body(bridge, host, request).await?).await,
        Action::List => keys::list(host, &Query::read(query, &["limit", "after"])?).await,
        Action::Read => keys::read(host, id).await,
        Action::Edit => keys::edit(bridge, host, id, &read_body(bridge, host, request).await?).await,
        Action::Delete => keys::delete(bridge, host, id).await,
        Action::Rotate => keys::rotate(bridge, host, id).await,
        Action::Disable => keys::switch(bridge, host, id, false).await,
        Action::Enable => keys::switch(bridge, host, id, true).await,
        Action::Receipts => receipts::list(bridge, host, id, &Query::read(query, &["limit", "before"])?).await,
        Action::Usage => usage::all(bridge, host, &Query::read(query, usage::PARAMETERS)?).await,
        Action::ExportReceipts => {
            export::receipts(bridge, host, &Query::read(query, &["key", "format", "limit", "before"])?).await
        }
        Action::ExportUsage => export::usage(bridge, host, &Query::read(query, export::USAGE_PARAMETERS)?).await,
        Action::SigningSecrets => signing::list(host).await,
        Action::RenewSigning => signing::renew(bridge, host).await,
        Action::EndSigning => signing::end(bridge, host, id).await,
        Action::Describe => Ok(Response::json(200, Body::Bytes(DOCUMENT.as_bytes().to_vec()))),
    }
}

/// The id of the admin key that was shown.
fn admit<H: Platform>(bridge: &Bridge, request: &Request<'_, H>) -> Result<String> {
    if bridge.admin_keys().is_empty() {
        let message = format!(
            "This gateway has no admin keys, so its admin API is closed. Its operator opens it by setting {ADMIN_VARIABLE} (in .dev.vars, or by `wrangler secret put {ADMIN_VARIABLE}`)."
        );
        return Err(unauthorized(message));
    }
    let presented = auth::presented(request.header);
    match bridge.admin_keys().authenticate(presented.as_deref()) {
        Ok(caller) => Ok(caller.key_id),
        Err(_) if presented.is_some() => {
            Err(unauthorized(format!("The key given is not an admin key: it is not one of {ADMIN_VARIABLE}.")))
        }
        Err(error) => Err(error),
    }
}

fn unauthorized(message: String) -> Error {
    Error::caller(401, "invalid_api_key", message).with_header("www-authenticate", "Bearer realm=\"llm-bridge admin\"")
}

fn json<H: Platform>(status: u16, body: &impl Serialize) -> Response<H> {
    Response::json(status, Body::Bytes(serde_json::to_vec(body).unwrap_or_default()))
}
