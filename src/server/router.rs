//! The route table: from method and path to an endpoint. It knows no key and no model.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::admin;
use crate::error::{Error, Result};
use crate::formats::operation::Operation;
use crate::formats::{self, ClientFormat};

/// What serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Whether the gateway is up. Needs no key.
    Health,
    /// The upgrade to a WebSocket. The key may come later, in a message.
    WebSocket,
    /// An action of the admin API. Needs an admin key.
    Admin(admin::Action),
    /// Needs an API key.
    Api(ApiEndpoint),
}

/// What an API key gives access to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiEndpoint {
    /// A call of a model.
    Operation(&'static Operation),
    /// The tokens of a chat or a text.
    Tokenize,
    /// The list of models.
    Models,
    /// One model, named by the path.
    Model,
    /// The usage of the caller's own key.
    Usage,
}

/// An endpoint that needs an API key, and the name in its path.
#[derive(Clone, Copy, Debug)]
pub struct ApiRoute<'p> {
    /// The endpoint.
    pub endpoint: ApiEndpoint,
    /// Empty if the path holds no name.
    pub name: &'p str,
}

/// What a method and a path lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteMatch<'p> {
    /// An endpoint, and the name in the path; empty if the path holds none.
    Endpoint(Endpoint, Cow<'p, str>),
    /// `OPTIONS`: the methods that the path allows, as the header `allow` lists them.
    Preflight(String),
}

/// One row of the table. `path` may hold one parameter: `{id}` stands for one segment, and `{id...}` for any part of the
/// path, percent-decoded.
#[derive(Clone, Copy)]
struct Route {
    method: &'static str,
    path: &'static str,
    endpoint: Endpoint,
}

const MODELS: &str = "/models";

const fn api(method: &'static str, path: &'static str, endpoint: ApiEndpoint) -> Route {
    Route { method, path, endpoint: Endpoint::Api(endpoint) }
}

/// Paths below `/v1`, or without it, besides those of the formats' operations.
const ROUTES: &[Route] = &[
    api("POST", "/tokenize", ApiEndpoint::Tokenize),
    api("GET", MODELS, ApiEndpoint::Models),
    api("GET", "/models/{id...}", ApiEndpoint::Model),
    api("GET", "/usage", ApiEndpoint::Usage),
    Route { method: "GET", path: "/ws", endpoint: Endpoint::WebSocket },
    Route { method: "GET", path: "/health", endpoint: Endpoint::Health },
];

/// The rows of one of the two APIs. Calls of models come first: they are the most frequent.
fn routes(is_admin: bool) -> impl Iterator<Item = Route> {
    let (clients, own) = if is_admin { Default::default() } else { (formats::CLIENT_FORMATS, ROUTES) };
    let operations = clients.iter().flat_map(|client| client.operations);
    let operations = operations.map(|row| api(row.method, row.path, ApiEndpoint::Operation(row)));
    let admin = if is_admin { admin::ROUTES } else { &[] };
    let admin =
        admin.iter().map(|row| Route { method: row.method, path: row.path, endpoint: Endpoint::Admin(row.action) });
    operations.chain(own.iter().copied()).chain(admin)
}

/// The format in which the caller of this path gets its response; on paths that formats share, a header decides.
pub fn client_format(path: &str, header: &dyn Fn(&str) -> Option<String>) -> &'static ClientFormat {
    let path = below_v1(path);
    let owns = |client: &ClientFormat| client.paths.iter().any(|begin| path.starts_with(begin));
    let is_marked = |client: &ClientFormat| client.mark.is_some_and(|name| header(name).is_some());
    let is_shared = path.starts_with(MODELS);
    let mut clients = formats::CLIENT_FORMATS.iter().copied();
    clients.find(|client| owns(client) || (is_shared && is_marked(client))).unwrap_or(formats::CHAT)
}

/// Finds the endpoint of a method and a path (as in the URL, still percent-encoded).
///
/// The rows are compared one after the other, without an allocation. A call of a model is among the first; the whole table is some twenty
/// comparisons of lengths. A trie or a hash table would cost more in wasm than it saves.
///
/// # Errors
/// 404 for an unknown path, 405 for a method that the path does not take.
pub fn find<'p>(method: &str, path: &'p str) -> Result<RouteMatch<'p>> {
    let is_admin = admin::owns(path);
    let below = if is_admin { path.strip_prefix(admin::ROOT).unwrap_or(path) } else { below_v1(path) };
    let found = routes(is_admin).find_map(|row| Some((row, row.name(below)?)));
    let Some((first, name)) = found else {
        return Err(if is_admin { admin::unknown_path() } else { unknown_path(method, path) });
    };
    let mut same_path = routes(is_admin).filter(|row| row.path == first.path);
    if let Some(row) = same_path.find(|row| row.takes(method)) {
        return Ok(RouteMatch::Endpoint(row.endpoint, name));
    }
    let allow = allow(routes(is_admin).filter(|row| row.path == first.path));
    if method == "OPTIONS" {
        return Ok(RouteMatch::Preflight(allow));
    }
    let message = format!("{method} is not allowed here; allowed: {allow}.");
    Err(Error::caller(405, "method_not_allowed", message).with_header("allow", allow))
}

fn unknown_path(method: &str, path: &str) -> Error {
    let shown: String = path.chars().take(120).collect();
    let message = format!("Unknown URL: {method} {shown}. The API is at /v1/chat/completions and /v1/models.");
    Error::caller(404, "unknown_url", message)
}

impl Route {
    /// The name in a path that is this row's; empty if the row has none.
    fn name<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let Some((before, rest)) = self.path.split_once('{') else {
            return (trimmed == self.path).then_some(Cow::Borrowed(""));
        };
        let (parameter, after) = rest.split_once('}')?;
        let holds_slashes = parameter.ends_with("...");
        let path = if holds_slashes && after.is_empty() { path } else { trimmed };
        let name = path.strip_prefix(before)?.strip_suffix(after).filter(|name| !name.is_empty())?;
        if holds_slashes {
            return percent_decode_str(name).decode_utf8().ok();
        }
        (!name.contains('/')).then_some(Cow::Borrowed(name))
    }

    fn takes(&self, method: &str) -> bool {
        self.method == method || (method == "HEAD" && self.takes_head())
    }

    /// An upgrade cannot be looked at without being done.
    fn takes_head(&self) -> bool {
        self.method == "GET" && self.endpoint != Endpoint::WebSocket
    }
}

/// The header `allow` of a path with these rows.
fn allow(rows: impl Iterator<Item = Route>) -> String {
    let mut methods = Vec::new();
    for row in rows {
        methods.push(row.method);
        methods.extend(row.takes_head().then_some("HEAD"));
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

/// Clients differ in how much of the path they add to the base URL; `/v1` may be there, be missing, or be there twice.
fn below_v1(mut path: &str) -> &str {
    while let Some(rest) = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')) {
        path = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::anthropic::operations::COUNT_TOKENS;
    use crate::formats::openai::operations::{CHAT, COMPLETION, EMBEDDING};

    fn found(path: &str) -> Option<(ApiEndpoint, String)> {
        match find("GET", path).or_else(|_| find("POST", path)) {
            Ok(RouteMatch::Endpoint(Endpoint::Api(endpoint), name)) => Some((endpoint, name.into_owned())),
            _ => None,
        }
    }

    fn endpoint(path: &str) -> Option<ApiEndpoint> {
        found(path).map(|(endpoint, _)| endpoint)
    }

    #[test]
    fn prefixes_are_forgiven() {
        for path in ["/chat/completions", "/v1/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/"] {
            assert_eq!(endpoint(path), Some(ApiEndpoint::Operation(&CHAT)), "{path}");
        }
        assert_eq!(endpoint("/v1/models/"), Some(ApiEndpoint::Models));
        assert_eq!(endpoint("/models"), Some(ApiEndpoint::Models));
        assert_eq!(endpoint("/completions/"), Some(ApiEndpoint::Operation(&COMPLETION)));
        assert_eq!(endpoint("/v1/v1/embeddings"), Some(ApiEndpoint::Operation(&EMBEDDING)));
        assert_eq!(endpoint("/messages/count_tokens/"), Some(ApiEndpoint::Operation(&COUNT_TOKENS)));
    }

    #[test]
    fn some_paths_need_no_key() {
        let socket = RouteMatch::Endpoint(Endpoint::WebSocket, "".into());
        assert_eq!(find("GET", "/v1/ws").unwrap(), socket);
        assert_eq!(find("GET", "/ws").unwrap(), socket);
        assert_eq!(find("GET", "/health").unwrap(), RouteMatch::Endpoint(Endpoint::Health, "".into()));
    }

    #[test]
    fn a_models_id_may_hold_slashes_encoded_or_not() {
        let id = |path: &str| match found(path) {
            Some((ApiEndpoint::Model, id)) => id,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(id("/v1/models/openai/gpt-4o"), "openai/gpt-4o");
        assert_eq!(id("/v1/models/openai%2Fgpt-4o"), "openai/gpt-4o");
        assert_eq!(id("/v1/models/c/o3-mini%3Chigh%3E"), "c/o3-mini<high>");
        assert_eq!(id("/v1/models/a/b/c"), "a/b/c");
    }

    #[test]
    fn a_name_may_stand_in_the_middle_of_a_path() {
        let row = api("POST", "/models/{model...}:run", ApiEndpoint::Tokenize);
        let name = |path: &'static str| row.name(path).map(Cow::into_owned);
        assert_eq!(name("/models/m:run").as_deref(), Some("m"));
        assert_eq!(name("/models/a/b-1.5:run/").as_deref(), Some("a/b-1.5"));
        assert_eq!(name("/models/a%2Fb:run").as_deref(), Some("a/b"));
        for path in ["/models/:run", "/models/m", "/models/m:runs", "/models/%ff:run", "/model/m:run"] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn unknown_paths_are_refused() {
        for path in ["", "/", "/v1", "/v1/", "/v2/models", "/v1chat/completions", "/v1/chat", "/models/%ff"] {
            assert_eq!(find("GET", path).unwrap_err().status(), 404, "{path}");
        }
        for path in
            ["/admin/api", "/admin/api/", "/admin/apikeys", "/keys", "/admin/api/keys/a/b", "/admin/api/keys//rotate"]
        {
            assert_eq!(find("GET", path).unwrap_err().status(), 404, "{path}");
        }
    }

    #[test]
    fn other_methods_are_refused() {
        let refused = |method: &str, path: &str| find(method, path).unwrap_err();
        let error = refused("GET", "/v1/chat/completions");
        assert_eq!(error.status(), 405);
        assert_eq!(error.headers(), [("allow", "POST, OPTIONS".to_owned())]);
        assert_eq!(refused("DELETE", "/v1/models").headers(), [("allow", "GET, HEAD, OPTIONS".to_owned())]);
        assert_eq!(refused("HEAD", "/v1/ws").headers(), [("allow", "GET, OPTIONS".to_owned())]);
        assert_eq!(
            refused("PUT", "/admin/api/keys/a").headers(),
            [("allow", "GET, HEAD, PATCH, DELETE, OPTIONS".to_owned())]
        );
    }

    #[test]
    fn options_lists_the_methods() {
        assert_eq!(find("OPTIONS", "/v1/models").unwrap(), RouteMatch::Preflight("GET, HEAD, OPTIONS".to_owned()));
    }

    #[test]
    fn admin_paths_find_their_actions() {
        let found = |method: &str, path: &str| match find(method, path) {
            Ok(RouteMatch::Endpoint(Endpoint::Admin(action), id)) => Some((action, id.into_owned())),
            _ => None,
        };
        assert_eq!(found("GET", "/admin/api/keys/"), Some((admin::Action::List, String::new())));
        assert_eq!(found("HEAD", "/admin/api/keys/a-b"), Some((admin::Action::Read, "a-b".to_owned())));
        assert_eq!(found("POST", "/admin/api/keys/rotate/rotate"), Some((admin::Action::Rotate, "rotate".to_owned())));
    }

    #[test]
    fn admin_paths_are_not_below_v1() {
        assert_eq!(find("GET", "/v1/admin/api/keys").unwrap_err().status(), 404);
    }
}
