//! The route table: finds the endpoint of a method and a path, and the format of its responses.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::admin;
use crate::error::{Error, Result};
use crate::formats::operation::Operation;
use crate::formats::{self, ClientFormat};
use crate::gateway::KeptAction;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The health check. Needs no key.
    Health,
    /// The metrics. Need a key of metrics, or an admin key.
    Metrics,
    /// The upgrade to a WebSocket. The API key may follow in a message.
    WebSocket,
    /// What a client's API has and this gateway does not.
    Absent(Absent),
    /// An operation of the admin API. Needs an admin key.
    Admin(admin::Action),
    /// An endpoint that needs an API key.
    Api(ApiEndpoint),
}

/// What a client's API has and this gateway does not. Needs no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Responses over a WebSocket. Clients go on with HTTP after status 426.
    ResponseSocket,
    /// What can be done with stored responses elsewhere: those in the background can be cancelled.
    StoredResponses,
}

/// An endpoint that needs an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiEndpoint {
    /// A call of a model, in the format of the client.
    Operation(&'static Operation),
    /// A token count of a chat or a text.
    Tokenize,
    /// The list of models.
    Models,
    /// One model, named by the path.
    Model,
    /// The usage of the caller's own key.
    Usage,
    /// A response that is kept for the caller, named by the path.
    Kept(KeptAction),
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

/// The route of a request.
pub struct Routing<'p> {
    /// The format of the response.
    pub client: &'static ClientFormat,
    /// The endpoint; or 404 for an unknown path, 405 for a method that the path does not allow.
    pub target: Result<RouteMatch<'p>>,
}

/// One row of the table. `path` may contain one parameter: `{id}` matches one segment, and `{id...}` any part
/// of the path, percent-decoded.
#[derive(Clone, Copy)]
struct Route {
    method: &'static str,
    path: &'static str,
    /// A pair that the query has to have; empty if it does not matter.
    query: &'static str,
    endpoint: Endpoint,
    format: RouteFormat,
}

/// The format of the responses of a route.
#[derive(Clone, Copy)]
enum RouteFormat {
    One(&'static ClientFormat),
    /// All formats have this path. A request header identifies the format of the client
    /// ([`ClientFormat::marker_header`]).
    Shared,
}

const fn row(method: &'static str, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, query: "", endpoint, format: RouteFormat::One(formats::CHAT) }
}

const fn shared(method: &'static str, path: &'static str, endpoint: ApiEndpoint) -> Route {
    Route { method, path, query: "", endpoint: Endpoint::Api(endpoint), format: RouteFormat::Shared }
}

const fn absent(method: &'static str, path: &'static str, absent: Absent) -> Route {
    Route { method, path, query: "", endpoint: Endpoint::Absent(absent), format: RouteFormat::One(formats::RESPONSES) }
}

const fn kept(method: &'static str, action: KeptAction) -> Route {
    let endpoint = Endpoint::Api(ApiEndpoint::Kept(action));
    Route { method, path: "/responses/{id...}", query: "", endpoint, format: RouteFormat::One(formats::RESPONSES) }
}

const METRICS: &str = "/metrics";

/// The routes that no format defines, below `/v1` or without it.
const ROUTES: &[Route] = &[
    row("POST", "/tokenize", Endpoint::Api(ApiEndpoint::Tokenize)),
    shared("GET", "/models", ApiEndpoint::Models),
    shared("GET", "/models/{id...}", ApiEndpoint::Model),
    row("GET", "/usage", Endpoint::Api(ApiEndpoint::Usage)),
    row("GET", "/ws", Endpoint::WebSocket),
    absent("GET", "/responses", Absent::ResponseSocket),
    kept("GET", KeptAction::Read),
    kept("DELETE", KeptAction::Delete),
    absent("POST", "/responses/{id...}", Absent::StoredResponses),
    row("GET", "/health", Endpoint::Health),
    // Clients ask whether the network is there. On Cloudflare, assets answer at `/` before the Worker.
    row("GET", "", Endpoint::Health),
    row("GET", "/api/hello", Endpoint::Health),
    row("GET", METRICS, Endpoint::Metrics),
];

/// The routes of the admin API, or all others. Operations come first, because they are the most frequent.
fn routes(is_admin: bool) -> impl Iterator<Item = Route> {
    let (clients, own) = if is_admin { Default::default() } else { (formats::CLIENT_FORMATS, ROUTES) };
    let operations = clients.iter().flat_map(|client| {
        client.operations.iter().map(|operation| {
            let mark = operation.path.bytes().position(|byte| byte == b'?');
            let (path, query) = mark.map_or((operation.path, "?"), |at| operation.path.split_at(at));
            let query = query.get(1..).unwrap_or_default();
            let endpoint = Endpoint::Api(ApiEndpoint::Operation(operation));
            Route { method: operation.method, path, query, endpoint, format: RouteFormat::One(client) }
        })
    });
    let admin = if is_admin { admin::ROUTES } else { &[] };
    let admin = admin.iter().map(|route| row(route.method, route.path, Endpoint::Admin(route.action)));
    operations.chain(own.iter().copied()).chain(admin)
}

/// Routes a request by its method and its path, as it stands in the URL.
///
/// The rows are compared one after the other, without an allocation. Operations are among the first, and the
/// whole table takes some twenty comparisons of lengths. A trie or a hash table would cost more in wasm than
/// it saves.
pub fn route<'p>(method: &str, (path, query): (&'p str, &str), header: &dyn Fn(&str) -> Option<String>) -> Routing<'p> {
    // To a client that posts to the base URL itself, the 404 says where the API is.
    let found = find(path, query).filter(|(route, _)| !route.path.is_empty() || method != "POST");
    let client = client_of(found.as_ref().map(|(route, _)| *route), path, query, header);
    let target = match found {
        Some((route, name)) => select(method, route, name, admin::owns(path)),
        None if admin::owns(path) => Err(admin::unknown_path()),
        None => Err(unknown_path(method, path)),
    };
    Routing { client, target }
}

/// The path as it was meant: people write base URLs with a slash too many, and clients encode a colon.
pub fn as_meant(path: &str) -> Cow<'_, str> {
    let mut path = Cow::Borrowed(path);
    // Without a search for text, whose preparation costs more than it finds here.
    while path.as_bytes().windows(2).any(|pair| pair == b"//") {
        path = Cow::Owned(path.replace("//", "/"));
    }
    // `models/NAME%3AgenerateContent`.
    if memchr::memchr(b'%', path.as_bytes()).is_some() && !path.contains(':') {
        path = Cow::Owned(path.replace("%3A", ":").replace("%3a", ":"));
    }
    path
}

/// The format of responses to requests with this path.
pub fn client_format(path: &str, header: &dyn Fn(&str) -> Option<String>) -> &'static ClientFormat {
    client_of(find(path, "").map(|(route, _)| route), path, "", header)
}

/// Whether responses to requests with this path are for operators only.
pub fn is_for_operators(path: &str) -> bool {
    admin::owns(path) || below_version(path).trim_end_matches('/') == METRICS
}

/// The first row with this path and query, and the name in the path.
fn find<'p>(path: &'p str, query: &str) -> Option<(Route, Cow<'p, str>)> {
    let is_admin = admin::owns(path);
    let below = if is_admin { path.strip_prefix(admin::ROOT).unwrap_or(path) } else { below_version(path) };
    routes(is_admin).find_map(|route| Some((route, route.name(below).filter(|_| route.fits(query))?)))
}

/// The format of a route; for an unknown path, the format that owns its beginning.
fn client_of(
    route: Option<Route>,
    path: &str,
    query: &str,
    header: &dyn Fn(&str) -> Option<String>,
) -> &'static ClientFormat {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let is_marked = |client: &ClientFormat| client.marker_header.is_some_and(|name| header(name).is_some());
    let begins = |prefix: &&str| path.starts_with(*prefix) || below_version(path).starts_with(*prefix);
    let owns = |client: &&ClientFormat| client.path_prefixes.iter().any(begins);
    let mut clients = formats::CLIENT_FORMATS.iter().copied();
    let client = match route.map(|route| route.format) {
        Some(RouteFormat::One(client)) => return client,
        // A parameter of the query or the version in the path are one format's own; a header says less.
        Some(RouteFormat::Shared) => {
            let before = path.strip_suffix(below_version(path)).unwrap_or_default();
            if let Some((_, client)) = formats::HOST_ROOTS.iter().find(|(root, _)| before.contains(root)) {
                return client;
            }
            let by_query = clients.clone().find(|client| client.marker_query.is_some_and(has));
            let by_path = || clients.clone().find(owns);
            by_query.or_else(by_path).or_else(|| clients.clone().find(|client| is_marked(client)))
        }
        None => clients.find(owns),
    };
    client.unwrap_or(formats::CHAT)
}

/// The row of this method among those with the path of `first`.
fn select<'p>(method: &str, first: Route, name: Cow<'p, str>, is_admin: bool) -> Result<RouteMatch<'p>> {
    let is_same = |route: &Route| route.path == first.path && route.query == first.query;
    let mut same_path = routes(is_admin).filter(is_same);
    if let Some(route) = same_path.find(|route| route.allows(method)) {
        return Ok(RouteMatch::Endpoint(route.endpoint, name));
    }
    let allow = allow(routes(is_admin).filter(is_same));
    if method == "OPTIONS" {
        return Ok(RouteMatch::Preflight(allow));
    }
    let message = format!("{method} is not allowed here; allowed: {allow}.");
    Err(Error::caller(405, "method_not_allowed", message).with_header("allow", allow))
}

impl Absent {
    /// The refusal, which says what to do instead.
    pub fn refusal(self) -> Error {
        match self {
            Self::ResponseSocket => {
                let message = "Responses over a WebSocket are not offered. Send `POST /v1/responses`; with `stream: true`, \
                               the response comes as server-sent events.";
                Error::caller(426, "websocket_not_supported", message)
            }
            Self::StoredResponses => {
                let message = "This gateway stores no responses. Send `POST /v1/responses` with `store: false` and all \
                               items of the conversation in `input`.";
                Error::caller(404, "not_found", message)
            }
        }
    }
}

fn unknown_path(method: &str, path: &str) -> Error {
    let shown: String = path.chars().take(120).collect();
    let message = format!("Unknown URL: {method} {shown}. The API is at /v1/chat/completions and /v1/models.");
    Error::caller(404, "unknown_url", message)
}

impl Route {
    /// The name in a path that matches this row, empty if the row has no parameter; `None` for another path.
    fn name<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        // Most rows differ in one of the first bytes, before anything is searched for.
        let shared = self.path.bytes().zip(path.bytes()).take_while(|(own, given)| own == given && *own != b'{');
        let (before, rest) = self.path.split_at_checked(shared.count())?;
        if rest.is_empty() {
            return (trimmed == self.path).then_some(Cow::Borrowed(""));
        }
        let (parameter, after) = rest.strip_prefix('{')?.split_once('}')?;
        let may_contain_slashes = parameter.ends_with("...");
        let path = if may_contain_slashes && after.is_empty() { path } else { trimmed };
        let name = path.strip_prefix(before)?.strip_suffix(after).filter(|name| !name.is_empty())?;
        if may_contain_slashes {
            return percent_decode_str(name).decode_utf8().ok();
        }
        (!name.contains('/')).then_some(Cow::Borrowed(name))
    }

    fn fits(&self, query: &str) -> bool {
        self.query.is_empty() || query.split('&').any(|pair| pair == self.query)
    }

    fn allows(&self, method: &str) -> bool {
        self.method == method || (method == "HEAD" && self.allows_head())
    }

    /// `HEAD` is allowed where `GET` is, except for the upgrade, which has no response to describe.
    fn allows_head(&self) -> bool {
        self.method == "GET" && !matches!(self.endpoint, Endpoint::WebSocket | Endpoint::Absent(_))
    }
}

/// The value of the header `allow` for a path with these rows.
fn allow(rows: impl Iterator<Item = Route>) -> String {
    let mut methods = Vec::new();
    for row in rows {
        methods.push(row.method);
        methods.extend(row.allows_head().then_some("HEAD"));
    }
    methods.push("OPTIONS");
    methods.join(", ")
}

/// The versions of APIs in paths.
const VERSIONS: &[&str] = &["/v1", "/v1beta", "/v1alpha"];

/// The path without its version, and without what other hosts have before or behind it: people replace a host
/// alone. Clients differ in what they append to the base URL, so it may be missing or repeated.
fn below_version(mut path: &str) -> &str {
    let below = |path| {
        let roots = formats::HOST_ROOTS.iter().map(|(root, _)| root);
        let mut rests = VERSIONS.iter().chain(roots).filter_map(|version| str::strip_prefix(path, version));
        rests.find(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    while let Some(rest) = below(path) {
        path = rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::anthropic::operations::COUNT_TOKENS;
    use crate::formats::openai::operations::{CHAT, COMPLETION, EMBEDDING};

    fn find<'p>(method: &str, path: &'p str) -> Result<RouteMatch<'p>> {
        route(method, (path, ""), &|_| None).target
    }

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
        for path in ["/openai/v1/chat/completions", "/v1beta/openai/chat/completions", "/openai/chat/completions"] {
            assert_eq!(endpoint(path), Some(ApiEndpoint::Operation(&CHAT)), "{path}");
        }
        assert_eq!(route("GET", ("/v1beta/openai/models", ""), &|_| None).client.name, formats::CHAT.name);
        assert_eq!(endpoint("/anthropic/v1/messages/count_tokens"), Some(ApiEndpoint::Operation(&COUNT_TOKENS)));
        assert_eq!(as_meant("/v1beta/models/a/b%3AgenerateContent"), "/v1beta/models/a/b:generateContent");
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
        let row = row("POST", "/models/{model...}:run", Endpoint::Health);
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
        for path in ["/v2", "/v2/models", "/v1chat/completions", "/v1/chat", "/models/%ff"] {
            assert_eq!(find("GET", path).unwrap_err().status(), 404, "{path}");
        }
        for path in
            ["/admin/api", "/admin/api/", "/admin/apikeys", "/keys", "/admin/api/keys/a/b", "/admin/api/keys//rotate"]
        {
            assert_eq!(find("GET", path).unwrap_err().status(), 404, "{path}");
        }
    }

    #[test]
    fn the_base_url_says_that_the_gateway_is_there() {
        let health = RouteMatch::Endpoint(Endpoint::Health, "".into());
        for path in ["", "/", "/v1", "/v1/", "/v1beta", "/api/hello", "/v1/api/hello/"] {
            assert_eq!((find("GET", path), find("HEAD", path)), (Ok(health.clone()), Ok(health.clone())), "{path}");
        }
        assert_eq!(find("POST", "/v1/").unwrap_err().code(), Some("unknown_url"));
        assert_eq!(find("PUT", "/").unwrap_err().status(), 405);
    }

    #[test]
    fn empty_segments_are_passed_over() {
        for (typed, path) in [
            ("//v1/models", "/v1/models"),
            ("/v1///chat//completions/", "/v1/chat/completions/"),
            ("//admin//api/keys", "/admin/api/keys"),
            ("/v1beta//models/a%2F%2Fb:countTokens", "/v1beta/models/a%2F%2Fb:countTokens"),
            ("//", "/"),
            ("/v1/models", "/v1/models"),
        ] {
            assert_eq!(as_meant(typed), path);
        }
        assert!(matches!(as_meant("/v1/models/"), Cow::Borrowed(_)));
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
    fn a_path_decides_the_format_of_the_response() {
        let format = |path: &str| client_format(path, &|_| None).name;
        assert_eq!(format("/v1/chat/completions"), formats::CHAT.name);
        assert_eq!(format("/v1/messages"), formats::MESSAGES.name);
        assert_eq!(format("/v1/v1/messages/count_tokens/"), formats::MESSAGES.name);
        assert_eq!(format("/messages/unknown"), formats::MESSAGES.name);
        assert_eq!(format("/unknown"), formats::CHAT.name);
        assert_eq!(format("/admin/api/unknown"), formats::CHAT.name);
    }

    #[test]
    fn a_header_decides_the_format_of_a_shared_path() {
        let mark = formats::MESSAGES.marker_header.unwrap();
        let format = |path: &str| client_format(path, &|name| (name == mark).then(String::new)).name;
        assert_eq!(format("/v1/models"), formats::MESSAGES.name);
        assert_eq!(format("/v1/models/a/b"), formats::MESSAGES.name);
        assert_eq!(format("/v1/usage"), formats::CHAT.name);
        assert_eq!(client_format("/v1/models", &|_| None).name, formats::CHAT.name);
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
    fn admin_paths_are_not_below_version() {
        assert_eq!(find("GET", "/v1/admin/api/keys").unwrap_err().status(), 404);
    }
}
