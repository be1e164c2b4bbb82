//! Serves one request: finds its route, calls the endpoint, and adds the headers that every response has.

use std::rc::Rc;

use percent_encoding::percent_decode_str;

use super::request_id::{REQUEST_ID, request_id};
use super::router::{self, ApiEndpoint, ApiRoute, Endpoint, RouteMatch, Routing};
use super::{cors, metrics};
use crate::admin::{self, AdminCall};
use crate::config::Cors;
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::gateway::{self, AdmittedRequest, Body, Bridge, Fact, Opened, Platform, Request, RequestRecord, Response};

/// Serves one request. Returns the response, unless it was streamed: then the platform has sent it by the
/// time this is done. Errors become responses. If the configuration is invalid, every response is an error
/// that lists its problems.
pub async fn serve<P: Platform>(opened: &Opened, platform: &P, request: Request<'_, P>) -> Option<Response<P>> {
    let (header, query, path) = (request.header, request.query, router::as_meant(request.path));
    let takes_query_key = !router::is_for_operators(&path);
    let header = |name: &str| {
        let key = || if takes_query_key && name == KEY_HEADER { query_key(query) } else { None };
        header(name).filter(|value| name != KEY_HEADER || !value.is_empty()).or_else(key)
    };
    let request = Request { header: &header, path: &path, ..request };
    let Routing { client, target } = router::route(request.method, (request.path, request.query), request.header);
    let id = request_id(platform, request.header);
    let common_headers = common_headers(opened, client, &request, &id);
    let is_head = request.method == "HEAD";
    let response = match opened {
        Ok(bridge) => {
            let record = RequestRecord::accepted(id, (request.header)("cf-connecting-ip"), platform.now());
            Service { bridge, platform, client, common_headers: &common_headers }.serve(request, target, record).await
        }
        Err(problems) => Some(Response::error(&gateway::misconfigured(problems), client, &id)),
    };
    let mut response = response?;
    if is_head {
        response.body = Body::Empty;
    }
    response.headers.extend(common_headers);
    Some(response)
}

/// The header in which Google's clients send the access key. They may send it in the query instead, as `key`.
const KEY_HEADER: &str = "x-goog-api-key";

/// The access key in a query. It is read here alone: no other part of a query goes further.
fn query_key(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    let key = percent_decode_str(value).decode_utf8().ok()?.into_owned();
    Some(key).filter(|key| !key.is_empty())
}

/// The headers that every response to a request has.
fn common_headers<P: Platform>(
    opened: &Opened,
    client: &ClientFormat,
    request: &Request<'_, P>,
    id: &str,
) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    if client.id_header != REQUEST_ID {
        headers.push((client.id_header, id.to_owned()));
    }
    headers.push((REQUEST_ID, id.to_owned()));
    let is_for_operators = router::is_for_operators(request.path);
    // Responses for operators must not be cached. Web pages can read them only if the configuration names
    // their origins.
    if is_for_operators {
        headers.push(("cache-control", "no-store".to_owned()));
    }
    let origins = opened.as_ref().map_or(&Cors::Any, |bridge| bridge.cors());
    let names_origins = opened.is_ok() && *origins != Cors::Any;
    if names_origins || !is_for_operators {
        headers.extend(cors::headers(origins, request.method, request.header));
    }
    headers
}

/// What serves the request of one client.
struct Service<'r, P: Platform> {
    bridge: &'r Rc<Bridge>,
    platform: &'r P,
    client: &'static ClientFormat,
    common_headers: &'r [(&'static str, String)],
}

impl<P: Platform> Service<'_, P> {
    async fn serve(
        &self,
        request: Request<'_, P>,
        target: Result<RouteMatch<'_>>,
        mut record: RequestRecord,
    ) -> Option<Response<P>> {
        let (endpoint, name) = match target {
            Ok(RouteMatch::Endpoint(endpoint, name)) => (endpoint, name),
            Ok(RouteMatch::Preflight(allow)) => return Some(cors::preflight(&allow, request.header)),
            Err(error) => return Some(self.fail(record, error)),
        };
        let response = match endpoint {
            Endpoint::Health => Ok(Response::json(200, Body::Bytes(br#"{"status":"ok"}"#.to_vec()))),
            Endpoint::Absent(absent) => Err(absent.refusal()),
            Endpoint::WebSocket => gateway::open_websocket(self.bridge, self.platform, request).await,
            Endpoint::Metrics => match metrics::authenticate(self.bridge, request.header) {
                Ok(key_id) => {
                    record.apply(Fact::Authenticated { key_id });
                    metrics::scrape(self.platform, &request).await
                }
                Err(error) => Err(error),
            },
            Endpoint::Admin(action) => {
                let call = AdminCall { action, id: &name };
                admin::serve(self.bridge, self.platform, request, call, &mut record).await
            }
            Endpoint::Api(endpoint) => {
                return self.serve_api(request, ApiRoute { endpoint, name: &name }, record).await;
            }
        };
        Some(response.unwrap_or_else(|error| self.fail(record, error)))
    }

    /// Serves what an API key gives access to.
    async fn serve_api(
        &self,
        mut request: Request<'_, P>,
        route: ApiRoute<'_>,
        mut record: RequestRecord,
    ) -> Option<Response<P>> {
        let Self { bridge, platform, client, common_headers } = *self;
        let known = request.caller.take();
        let caller = match bridge.admit(platform, request.hostname, request.header, known).await {
            Ok(caller) => caller,
            Err(error) => return Some(self.fail(record, error)),
        };
        record.apply(Fact::Authenticated { key_id: caller.key_id.clone() });
        let admitted = AdmittedRequest { request, client, path_name: route.name, caller, common_headers };
        let response = match route.endpoint {
            ApiEndpoint::Operation(operation) => {
                let _open = bridge.begin_request(platform.now());
                return gateway::call_model(bridge, platform, admitted, operation, record).await;
            }
            ApiEndpoint::Tokenize => return Some(gateway::tokenize(bridge, platform, admitted, record).await),
            ApiEndpoint::Models => gateway::list_models(bridge, platform, &admitted).await,
            ApiEndpoint::Model => gateway::read_model(bridge, platform, &admitted, route.name).await,
            ApiEndpoint::Kept(action) => gateway::kept_response(bridge, platform, &admitted, action).await,
            ApiEndpoint::Usage => match gateway::check_account(bridge, platform, &admitted.caller).await {
                Ok(()) => {
                    admin::list_own_usage(bridge, platform, &admitted.caller.key_id, admitted.request.query).await
                }
                Err(error) => Err(error),
            },
        };
        Some(response.unwrap_or_else(|error| self.fail(record, error)))
    }

    /// Settles a request that was refused, and makes the error's response.
    fn fail(&self, record: RequestRecord, error: Error) -> Response<P> {
        let response = Response::error(&error, self.client, record.request_id());
        gateway::settle_failure(self.platform, record, error, false);
        response
    }
}
