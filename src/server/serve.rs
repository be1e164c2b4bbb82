//! Serves one request: finds its route, calls the endpoint, and adds the headers that every response has.

use std::rc::Rc;

use super::cors;
use super::request_id::{REQUEST_ID, request_id};
use super::router::{self, ApiEndpoint, ApiRoute, Endpoint, RouteMatch, Routing};
use crate::admin::{self, AdminCall};
use crate::config::Cors;
use crate::error::Result;
use crate::gateway::{self, AdmittedRequest, Body, Bridge, Opened, Platform, Request, RequestRecord, Response};

/// Serves one request. Errors become responses. If the configuration is invalid, every response is an error
/// that lists its problems.
pub async fn serve<H: Platform>(opened: &Opened, host: &H, request: Request<'_, H>) -> Response<H> {
    let mut record = RequestRecord {
        request_id: request_id(host, request.header),
        started: host.now(),
        client_ip: (request.header)("cf-connecting-ip"),
        ..RequestRecord::default()
    };
    let cors = cors::headers(opened.as_ref().map_or(&Cors::Any, |bridge| bridge.cors()), request.header);
    let (is_head, is_admin) = (request.method == "HEAD", admin::owns(request.path));
    let routing = router::route(request.method, request.path, request.header);
    let client = routing.client;
    let mut response = match opened {
        Ok(bridge) => match handle(bridge, host, request, routing, &mut record).await {
            Ok(response) => response,
            Err(error) => {
                gateway::settle_failure(bridge, host, &mut record, &error);
                Response::error(&error, client, &record.request_id)
            }
        },
        Err(problems) => Response::error(&gateway::misconfigured(problems), client, &record.request_id),
    };
    if is_head {
        response.body = Body::Empty;
    }
    if client.id_header != REQUEST_ID {
        response.headers.push((client.id_header, record.request_id.clone()));
    }
    response.headers.push((REQUEST_ID, record.request_id));
    // Responses of the admin API must not be cached. Web pages can read them only if the configuration names
    // their origins.
    if is_admin {
        response.headers.push(("cache-control", "no-store".to_owned()));
    }
    let names_origins = opened.as_ref().is_ok_and(|bridge| *bridge.cors() != Cors::Any);
    if names_origins || !is_admin {
        response.headers.extend(cors);
    }
    response
}

async fn handle<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    request: Request<'_, H>,
    routing: Routing<'_>,
    record: &mut RequestRecord,
) -> Result<Response<H>> {
    let (endpoint, name) = match routing.target? {
        RouteMatch::Preflight(allow) => return Ok(cors::preflight(&allow, request.header)),
        RouteMatch::Endpoint(endpoint, name) => (endpoint, name),
    };
    match endpoint {
        Endpoint::Health => Ok(Response::json(200, Body::Bytes(br#"{"status":"ok"}"#.to_vec()))),
        Endpoint::WebSocket => gateway::open_websocket(bridge, host, request).await,
        Endpoint::Admin(action) => admin::handle(bridge, host, request, AdminCall { action, id: &name }, record).await,
        Endpoint::Api(endpoint) => {
            let caller = bridge.admit(host, request.hostname, request.header, request.caller.clone()).await?;
            record.key_id = Some(caller.key_id.clone());
            let route = ApiRoute { endpoint, name: &name };
            call_api(bridge, host, AdmittedRequest { request, client: routing.client, caller }, route, record).await
        }
    }
}

/// Calls an endpoint that needs an API key.
async fn call_api<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    admitted: AdmittedRequest<'_, H>,
    route: ApiRoute<'_>,
    record: &mut RequestRecord,
) -> Result<Response<H>> {
    match route.endpoint {
        ApiEndpoint::Operation(operation) => gateway::call_model(bridge, host, admitted, operation, record).await,
        ApiEndpoint::Tokenize => gateway::tokenize(bridge, host, admitted, record).await,
        ApiEndpoint::Models => gateway::list_models(bridge, host, &admitted).await,
        ApiEndpoint::Model => gateway::read_model(bridge, host, &admitted, route.name).await,
        ApiEndpoint::Usage => {
            gateway::check_account(bridge, host, &admitted.caller).await?;
            admin::list_own_usage(host, &admitted.caller.key_id, admitted.request.query).await
        }
    }
}
