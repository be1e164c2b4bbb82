//! The admin API: its paths, and who may enter. It knows nothing of chats, and asks the directory and the accounts for all it says.

mod export;
mod keys;
mod query;
mod receipts;
mod signing;
mod table;
pub(super) mod usage;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::gateway::platform::Platform;
use crate::gateway::{Body, Bridge, Request, RequestRecord, Response, cors, read_body};
use crate::policy::auth;
use query::Query;

/// The variable that holds the admin keys.
pub const VARIABLE: &str = "ADMIN_API_KEYS";

const ROOT: &str = "/admin/api";
/// The description of this API, for programs.
const DOCUMENT: &str = include_str!("openapi.json");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    List,
    Read,
    Edit,
    Delete,
    Rotate,
    Disable,
    Enable,
    Receipts,
    Usage,
    ExportReceipts,
    ExportUsage,
    SigningSecrets,
    RenewSigning,
    EndSigning,
    Describe,
}

struct Route {
    /// Below the root; `{id}` stands for one name.
    path: &'static str,
    actions: &'static [(&'static str, Action)],
}

const ROUTES: &[Route] = &[
    Route { path: "/keys", actions: &[("GET", Action::List), ("POST", Action::Create)] },
    Route {
        path: "/keys/{id}",
        actions: &[("GET", Action::Read), ("PATCH", Action::Edit), ("DELETE", Action::Delete)],
    },
    Route { path: "/keys/{id}/rotate", actions: &[("POST", Action::Rotate)] },
    Route { path: "/keys/{id}/disable", actions: &[("POST", Action::Disable)] },
    Route { path: "/keys/{id}/enable", actions: &[("POST", Action::Enable)] },
    Route { path: "/keys/{id}/receipts", actions: &[("GET", Action::Receipts)] },
    Route { path: "/usage", actions: &[("GET", Action::Usage)] },
    Route { path: "/export/receipts", actions: &[("GET", Action::ExportReceipts)] },
    Route { path: "/export/usage", actions: &[("GET", Action::ExportUsage)] },
    Route { path: "/signing-secrets", actions: &[("GET", Action::SigningSecrets), ("POST", Action::RenewSigning)] },
    Route { path: "/signing-secrets/{id}", actions: &[("DELETE", Action::EndSigning)] },
    Route { path: "/openapi.json", actions: &[("GET", Action::Describe)] },
];

/// Method and full path of every route, as the description names them.
pub fn routes() -> impl Iterator<Item = (&'static str, String)> {
    ROUTES.iter().flat_map(|route| route.actions.iter().map(move |(method, _)| (*method, [ROOT, route.path].concat())))
}

/// Whether a path is one of the admin API's, or would be.
pub(super) fn owns(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One request to the admin API.
pub(super) async fn serve<H: Platform>(
    bridge: &Bridge,
    host: &H,
    request: Request<'_, H>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let (route, id) = find(request.path).ok_or_else(|| {
        let message = format!("Unknown URL: the admin API has no such path. {ROOT}/openapi.json lists all.");
        Error::caller(404, "unknown_url", message)
    })?;
    let allow = allow(route);
    if request.method == "OPTIONS" {
        return Ok(cors::preflight(&allow, request.header));
    }
    let method = if request.method == "HEAD" { "GET" } else { request.method };
    let Some((_, action)) = route.actions.iter().find(|(known, _)| *known == method) else {
        let message = format!("{} is not allowed here; allowed: {allow}.", request.method);
        return Err(Error::caller(405, "method_not_allowed", message).with_header("allow", allow));
    };
    receipt.key_id = Some(admit(bridge, &request)?);
    act(bridge, host, request, *action, id).await
}

async fn act<H: Platform>(
    bridge: &Bridge,
    host: &H,
    request: Request<'_, H>,
    action: Action,
    id: &str,
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
    if bridge.admin.is_empty() {
        let message = format!(
            "This gateway has no admin keys, so its admin API is closed. Its operator opens it by setting {VARIABLE} (in .dev.vars, or by `wrangler secret put {VARIABLE}`)."
        );
        return Err(unauthorized(message));
    }
    let presented = auth::presented(request.header);
    match bridge.admin.authenticate(presented.as_deref()) {
        Ok(caller) => Ok(caller.key_id),
        Err(_) if presented.is_some() => {
            Err(unauthorized(format!("The key given is not an admin key: it is not one of {VARIABLE}.")))
        }
        Err(error) => Err(error),
    }
}

fn unauthorized(message: String) -> Error {
    Error::caller(401, "invalid_api_key", message).with_header("www-authenticate", "Bearer realm=\"llm-bridge admin\"")
}

/// The route of a path, and the name in it.
fn find(path: &str) -> Option<(&'static Route, &str)> {
    let rest = path.strip_prefix(ROOT)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    ROUTES.iter().find_map(|route| match route.path.split_once("{id}") {
        None => (route.path == rest).then_some((route, "")),
        Some((before, after)) => {
            let id = rest.strip_prefix(before)?.strip_suffix(after)?;
            (!id.is_empty() && !id.contains('/')).then_some((route, id))
        }
    })
}

fn allow(route: &Route) -> String {
    let mut methods = Vec::new();
    for (method, _) in route.actions {
        methods.push(*method);
        methods.extend((*method == "GET").then_some("HEAD"));
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

fn json<H: Platform>(status: u16, body: &impl Serialize) -> Response<H> {
    Response::json(status, Body::Bytes(serde_json::to_vec(body).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_routes() {
        let found = |path: &str| find(path).map(|(route, id)| (route.path, id.to_owned()));
        assert_eq!(found("/admin/api/keys/"), Some(("/keys", String::new())));
        assert_eq!(found("/admin/api/keys/a-b"), Some(("/keys/{id}", "a-b".to_owned())));
        assert_eq!(found("/admin/api/keys/rotate/rotate"), Some(("/keys/{id}/rotate", "rotate".to_owned())));
        for path in
            ["/admin/api", "/admin/api/", "/admin/apikeys", "/keys", "/admin/api/keys/a/b", "/admin/api/keys//rotate"]
        {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn allowed_methods_are_told() {
        let (route, _) = find("/admin/api/keys/a").unwrap();
        assert_eq!(allow(route), "GET, HEAD, PATCH, DELETE, OPTIONS");
    }
}
