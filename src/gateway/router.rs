//! The door: from method and path to what is wanted. It knows no key and no model.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::formats::openai::task::{self, Operation};
use crate::formats::{self, ClientFormat};

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A chat completion, or a message in answer to others: the same, in another format. Or what else a model does.
    Task(&'static Operation),
    /// The tokens of a prompt, in the client's format.
    Count,
    /// The tokens of a chat or a text.
    Tokenize,
    /// The list of models.
    Models,
    /// One model.
    Model(String),
    /// What the caller has used.
    Usage,
    /// A WebSocket.
    Socket,
    /// Whether the gateway is up.
    Health,
}

/// A request that the door has let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteMatch {
    /// Something is wanted.
    Of(Endpoint),
    /// A browser, or a curious client, asks which methods there are.
    Options(&'static str),
}

struct Route {
    path: &'static str,
    /// The path goes on: what follows names the thing.
    open_end: bool,
    allow: &'static str,
    endpoint: fn(String) -> Endpoint,
}

const GET: &str = "GET, HEAD, OPTIONS";
/// Of what cannot be looked at without being done.
const GET_ALONE: &str = "GET, OPTIONS";
const POST: &str = "POST, OPTIONS";

const MESSAGES: &str = "/messages";
const MODELS: &str = "/models";

/// How whoever calls this path speaks; on paths that all share, by the header that marks some.
pub fn client(path: &str, header: &dyn Fn(&str) -> Option<String>) -> &'static ClientFormat {
    let path = below_v1(path);
    let marked = |client: &&&ClientFormat| client.mark.is_some_and(|name| header(name).is_some());
    if path.starts_with(MESSAGES) {
        formats::MESSAGES
    } else if path.starts_with(MODELS) {
        formats::CLIENT_FORMATS.iter().find(marked).copied().unwrap_or(formats::CHAT)
    } else {
        formats::CHAT
    }
}

/// Every path, below `/v1` or without it.
const ROUTES: &[Route] = &[
    Route { path: "/chat/completions", open_end: false, allow: POST, endpoint: |_| Endpoint::Task(&task::CHAT) },
    Route { path: MESSAGES, open_end: false, allow: POST, endpoint: |_| Endpoint::Task(&task::CHAT) },
    Route { path: "/messages/count_tokens", open_end: false, allow: POST, endpoint: |_| Endpoint::Count },
    Route { path: "/completions", open_end: false, allow: POST, endpoint: |_| Endpoint::Task(&task::COMPLETION) },
    Route { path: "/embeddings", open_end: false, allow: POST, endpoint: |_| Endpoint::Task(&task::EMBEDDING) },
    Route { path: "/tokenize", open_end: false, allow: POST, endpoint: |_| Endpoint::Tokenize },
    Route { path: MODELS, open_end: false, allow: GET, endpoint: |_| Endpoint::Models },
    Route { path: "/models/", open_end: true, allow: GET, endpoint: Endpoint::Model },
    Route { path: "/usage", open_end: false, allow: GET, endpoint: |_| Endpoint::Usage },
    Route { path: "/ws", open_end: false, allow: GET_ALONE, endpoint: |_| Endpoint::Socket },
    Route { path: "/health", open_end: false, allow: GET, endpoint: |_| Endpoint::Health },
];

/// Opens the door to a method and a path (as in the URL, still percent-encoded).
///
/// # Errors
/// 404 for an unknown path, 405 for a method that a path does not take.
pub fn open(method: &str, path: &str) -> Result<RouteMatch> {
    let (route, rest) = find(path).ok_or_else(|| {
        let shown: String = path.chars().take(120).collect();
        Error::caller(
            404,
            "unknown_url",
            format!("Unknown URL: {method} {shown}. The API is at /v1/chat/completions and /v1/models."),
        )
    })?;
    if method == "OPTIONS" {
        return Ok(RouteMatch::Options(route.allow));
    }
    if !route.allow.split(", ").any(|allowed| allowed == method) {
        let message = format!("{method} is not allowed here; allowed: {}.", route.allow);
        return Err(Error::caller(405, "method_not_allowed", message).with_header("allow", route.allow));
    }
    Ok(RouteMatch::Of((route.endpoint)(rest)))
}

fn find(path: &str) -> Option<(&'static Route, String)> {
    let path = below_v1(path);
    let (whole, open): (Vec<_>, Vec<_>) = ROUTES.iter().partition(|route| !route.open_end);
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let exact = whole.into_iter().find(|route| route.path == trimmed).map(|route| (route, String::new()));
    exact.or_else(|| {
        let (route, rest) = open.into_iter().find_map(|route| Some((route, path.strip_prefix(route.path)?)))?;
        let rest: Cow<'_, str> = percent_decode_str(rest).decode_utf8().ok()?;
        Some((route, rest.into_owned()))
    })
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

    fn wanted(path: &str) -> Option<Endpoint> {
        match open("GET", path).or_else(|_| open("POST", path)) {
            Ok(RouteMatch::Of(endpoint)) => Some(endpoint),
            _ => None,
        }
    }

    #[test]
    fn prefixes_are_forgiven() {
        for path in ["/chat/completions", "/v1/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/"] {
            assert_eq!(wanted(path), Some(Endpoint::Task(&task::CHAT)), "{path}");
        }
        assert_eq!(wanted("/v1/models/"), Some(Endpoint::Models));
        assert_eq!(wanted("/models"), Some(Endpoint::Models));
        assert_eq!(wanted("/health"), Some(Endpoint::Health));
        assert_eq!(wanted("/completions/"), Some(Endpoint::Task(&task::COMPLETION)));
        assert_eq!(wanted("/v1/v1/embeddings"), Some(Endpoint::Task(&task::EMBEDDING)));
        assert_eq!(wanted("/messages/count_tokens/"), Some(Endpoint::Count));
        assert_eq!((wanted("/v1/ws"), wanted("/ws")), (Some(Endpoint::Socket), Some(Endpoint::Socket)));
    }

    #[test]
    fn a_models_id_may_hold_slashes_encoded_or_not() {
        let id = |path: &str| match wanted(path) {
            Some(Endpoint::Model(id)) => id,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(id("/v1/models/openai/gpt-4o"), "openai/gpt-4o");
        assert_eq!(id("/v1/models/openai%2Fgpt-4o"), "openai/gpt-4o");
        assert_eq!(id("/v1/models/c/o3-mini%3Chigh%3E"), "c/o3-mini<high>");
        assert_eq!(id("/v1/models/a/b/c"), "a/b/c");
    }

    #[test]
    fn what_is_not_there_and_what_is_not_allowed() {
        let refused = |method: &str, path: &str| open(method, path).unwrap_err();
        for path in ["", "/", "/v1", "/v1/", "/v2/models", "/v1chat/completions", "/v1/chat", "/models/%ff"] {
            assert_eq!(refused("GET", path).status(), 404, "{path}");
        }
        let error = refused("GET", "/v1/chat/completions");
        assert_eq!((error.status(), error.headers()), (405, [("allow", POST.to_owned())].as_slice()));
        assert_eq!(refused("DELETE", "/v1/models").status(), 405);
        assert_eq!(open("OPTIONS", "/v1/models").unwrap(), RouteMatch::Options(GET));
    }
}
