//! The walk of one request: every room in order, on one screen. It knows no runtime; [`Platform`] is all it asks of the world.

pub mod admin;
mod admission;
mod caller;
mod cors;
mod count;
mod count_admission;
mod deadlines;
mod dispatch;
mod dropped_fields;
mod echo;
mod embed;
mod estimate;
mod gather;
mod lease;
mod long_body;
mod memory;
mod models;
mod pair;
mod peek;
mod plausible;
mod reasoning;
mod record;
mod refusal;
mod relay;
mod request_body;
mod response;
mod router;
mod settle;
mod signing_cache;
mod target;
mod tokenize;
mod translate;
mod websocket;

pub mod platform;

use std::rc::Rc;

pub use admission::{Admission, Caller};
pub use caller::{authenticate, identify};
pub use deadlines::{FLUSH_INTERVAL, KEEP_ALIVE, TimerEvent};
pub use dispatch::call_failed;
pub use dropped_fields::fits_header;
pub use echo::EchoScript;
pub use gather::unframed;
pub use lease::LeaseRenewal;
pub use long_body::LongBodyRelay;
pub use memory::{MemoryBudget, MemoryReservation};
pub use platform::Platform;
pub use reasoning::UnstoredSignature;
pub use record::{Outcome, RequestRecord};
pub use relay::{StreamEnd, StreamRelay};
pub use response::{Body, Response, unmade};
pub use settle::FinalCharge;
pub use websocket::UpgradeDecision;

use crate::config::{Accounting, Config, Cors, Level, Logging, Millis, Problem};
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::openai::inbound::RequestEnvelope;
use crate::formats::openai::task::Operation;
use crate::policy::auth::{self, AccessKeys};
use crate::policy::routing::Target;
use crate::provider::{ProviderAccount, redact, redact_json};
use crate::session::{ConnectionSlots, PendingLimits, SessionLimits};
use crate::wire::sse;
use admission::AdmissionCache;
use dispatch::Prepared;
use pair::Manner;
use request_body::read_body;
use router::{Endpoint, RouteMatch};
use signing_cache::SigningCache;
use target::aim;

/// The header in which an id of a request comes and goes.
const REQUEST_ID: &str = "x-request-id";

/// The gateway as the operator set it up: proven configuration and secrets. One for the life of an isolate.
pub struct Bridge {
    config: Config,
    access: AccessKeys,
    admin: AccessKeys,
    /// As the providers of the configuration.
    accounts: Vec<ProviderAccount>,
    known: AdmissionCache,
    keyring: SigningCache,
    memory: Rc<MemoryBudget>,
    /// The connections without a key that this isolate has.
    slots: Rc<ConnectionSlots>,
    opened: Millis,
}

/// Lines for the log on a configuration that is faulty.
pub fn faults(problems: &[Problem], now: Millis) -> Vec<String> {
    let line = |fault| record::config_line(&Logging::default(), now, Level::Error, "config_error", fault);
    problems.iter().filter_map(line).collect()
}

/// The gateway, or what is wrong with its configuration.
pub type Opened = std::result::Result<Rc<Bridge>, Vec<Problem>>;

/// A request, its body not read yet. Header names are in lower case.
pub struct Request<'r, H: Platform> {
    /// GET, POST …
    pub method: &'r str,
    /// The URL's path, still percent-encoded.
    pub path: &'r str,
    /// The URL's query, without `?`.
    pub query: &'r str,
    /// The host name that was called, without port.
    pub hostname: &'r str,
    /// Looks up a header.
    pub header: &'r dyn Fn(&str) -> Option<String>,
    /// The body.
    pub body: H::Body,
    /// Who calls, where that is known already; the key must still be good, but is not asked for again.
    pub caller: Option<Caller>,
}

impl Bridge {
    /// Proves the configuration and gathers the secrets; `secret` gives the value of a variable.
    ///
    /// # Errors
    /// The faults of the configuration.
    pub fn open(
        text: &str,
        secret: impl Fn(&str) -> Option<String>,
        now: Millis,
    ) -> std::result::Result<Self, Vec<Problem>> {
        let config = Config::read(text, crate::formats::KINDS)?;
        let access = AccessKeys::read(&secret(auth::VARIABLE).unwrap_or_default());
        let admin = AccessKeys::read(&secret(admin::VARIABLE).unwrap_or_default());
        let accounts = config.providers.iter().map(|provider| ProviderAccount::open(provider, &secret)).collect();
        let memory = MemoryBudget::new(config.memory_bytes);
        let (known, keyring, slots) = (AdmissionCache::default(), SigningCache::default(), Rc::default());
        Ok(Self { config, access, admin, accounts, known, keyring, memory, slots, opened: now })
    }

    /// What is kept in the books, and for how long.
    pub fn accounting(&self) -> Accounting {
        self.config.accounting
    }

    /// The longest whole answer that is held, in bytes, and room for one in memory, if there is any.
    pub fn answer_room(&self, now: Millis) -> Option<(usize, MemoryReservation)> {
        let room = self.memory.reserve(0, now, now.saturating_add(self.config.longest()))?;
        Some((self.config.max_answer_bytes, room))
    }

    /// Room in memory for messages that wait while a key is checked; none yet.
    pub fn waiting_room(&self, now: Millis) -> Option<MemoryReservation> {
        self.memory.reserve(0, now, now.saturating_add(self.config.longest()))
    }

    /// What a WebSocket session is allowed.
    pub fn session_rules(&self) -> SessionLimits {
        SessionLimits::of(&self.config)
    }

    /// What a connection without a key is allowed.
    pub fn pending_limits(&self) -> PendingLimits {
        PendingLimits::of(&self.config)
    }

    /// A line for the log on what happens to a session; for debugging.
    pub fn session_line(&self, now: Millis, event: &'static str, key_id: Option<&str>) -> Option<String> {
        record::session_line(&self.config.logging, now, event, key_id)
    }

    /// Lines for the log on what the configuration asks for that has no effect yet.
    pub fn notes(&self, now: Millis) -> Vec<String> {
        let line = |note| record::config_line(&self.config.logging, now, Level::Warning, "config_note", note);
        self.config.notes.iter().filter_map(line).collect()
    }

    /// Takes out of a provider's words what a caller must not see.
    fn redact(&self, provider: usize, error: Error) -> Error {
        let Some(row) = self.config.providers.get(provider) else { return error };
        error.reworded(|word| redact(word, row, self.account(provider)))
    }

    /// Takes the same out of a piece of a stream in which the provider has reported an error.
    fn redact_stream(&self, provider: usize, piece: &[u8]) -> Vec<u8> {
        let Some(row) = self.config.providers.get(provider) else { return piece.to_owned() };
        sse::rewrite(piece, |data| redact_json(data, row, self.account(provider)))
    }

    fn account(&self, index: usize) -> &ProviderAccount {
        self.accounts.get(index).unwrap_or(&ProviderAccount::Keyless)
    }
}

/// One request, from door to response. Never fails: an error is a response, too. A faulty configuration answers every
/// request with its faults, which name lines and keys.
pub async fn serve<H: Platform>(opened: &Opened, host: &H, request: Request<'_, H>) -> Response<H> {
    let mut receipt = RequestRecord {
        request_id: request_id(host, request.header),
        started: host.now(),
        client_ip: (request.header)("cf-connecting-ip"),
        ..RequestRecord::default()
    };
    let cors = cors::headers(opened.as_ref().map_or(&Cors::Any, |bridge| &bridge.config.cors), request.header);
    let (head_only, is_admin) = (request.method == "HEAD", admin::owns(request.path));
    let client = router::client(request.path, request.header);
    let mut response = match opened {
        Ok(bridge) => match handle(bridge, host, request, &mut receipt).await {
            Ok(response) => response,
            Err(error) => error_response(bridge, host, &mut receipt, (&error, client)),
        },
        Err(problems) => Response::error(&misconfigured(problems), (client, &receipt.request_id)),
    };
    if head_only {
        response.body = Body::Empty;
    }
    if client.id_header != REQUEST_ID {
        response.headers.push((client.id_header, receipt.request_id.clone()));
    }
    response.headers.push((REQUEST_ID, receipt.request_id));
    // What admins see is kept by no cache, and read by no web page but those of origins that are named.
    if is_admin {
        response.headers.push(("cache-control", "no-store".to_owned()));
    }
    let is_named = opened.as_ref().is_ok_and(|bridge| bridge.config.cors != Cors::Any);
    response.headers.extend(cors.into_iter().filter(|_| is_named || !is_admin));
    response
}

fn misconfigured(problems: &[Problem]) -> Error {
    let shown: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
    let message = format!("The gateway's configuration (config.yaml) is faulty: {}", shown.join("; "));
    Error::gateway(500, "invalid_configuration", message)
}

async fn handle<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    request: Request<'_, H>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    if admin::owns(request.path) {
        return admin::serve(bridge, host, request, receipt).await;
    }
    let endpoint = match router::open(request.method, request.path)? {
        RouteMatch::Options(allow) => return Ok(cors::preflight(allow, request.header)),
        RouteMatch::Of(Endpoint::Socket) => return websocket::open(bridge, host, request).await,
        RouteMatch::Of(Endpoint::Health) => {
            return Ok(Response::json(200, Body::Bytes(br#"{"status":"ok"}"#.to_vec())));
        }
        RouteMatch::Of(endpoint) => endpoint,
    };
    let caller = bridge.admit(host, request.hostname, request.header, request.caller.clone()).await?;
    receipt.key_id = Some(caller.key_id.clone());
    if !matches!(endpoint, Endpoint::Task(_) | Endpoint::Count | Endpoint::Tokenize) {
        admission::check(bridge, host, &caller).await?;
    }
    let client = router::client(request.path, request.header);
    match endpoint {
        Endpoint::Models => Ok(Response::json(200, Body::Bytes(models::list(bridge, client, request.query)))),
        Endpoint::Model(name) => Ok(Response::json(200, Body::Bytes(models::one(bridge, client, &name)?))),
        Endpoint::Usage => admin::usage::own(host, &caller.key_id, request.query).await,
        Endpoint::Tokenize => tokenize::answer(bridge, host, request, &caller, receipt).await,
        Endpoint::Count => count::answer(bridge, host, request, &caller, receipt).await,
        Endpoint::Task(task) => run_inference(task, bridge, host, request, &caller, receipt).await,
        // They were answered at the door.
        Endpoint::Health | Endpoint::Socket => Ok(Response::json(200, Body::Empty)),
    }
}

/// A chat, or whatever else a model does.
async fn run_inference<H: Platform>(
    task: &'static Operation,
    bridge: &Rc<Bridge>,
    host: &H,
    request: Request<'_, H>,
    caller: &Caller,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let manner = Manner::new(router::client(request.path, request.header), request.header);
    let body = read_body(bridge, host, request).await?;
    let (mut ask, target) = aimed(bridge, host, &body, task, caller, receipt).await?;
    let permit = estimate::admit((bridge, host), caller, &mut ask, &target, &manner, receipt).await?;
    let headers = permit.headers();
    receipt.permit = Some(permit);
    let logging = &bridge.config.logging;
    if let Some(line) = receipt.start_line(logging, host.now(), ask.document.value(task.field)) {
        host.log(&line);
    }
    let answer = match dispatch::begin(bridge, host, ask, &target, &manner, receipt).await {
        // From here on, nothing is held of the client's body but what goes to the provider.
        Ok(Prepared::Call(exchange)) => {
            dispatch::answer(bridge, host, exchange, body.into_room(), &target, &manner, receipt).await
        }
        Ok(Prepared::Embedding(exchange)) => {
            embed::answer(bridge, host, exchange, body.into_room(), &target, receipt).await
        }
        Ok(Prepared::Answered(response)) => Ok(response),
        Err(error) => Err(error),
    };
    let mut response = answer.map_err(|error| with_headers(error, &headers))?;
    let dropped = receipt.dropped.as_ref().map(|dropped| dropped.header.clone());
    if !response.is_stream() {
        receipt.status = response.status;
        if host.client_left() {
            receipt.outcome = Outcome::ClientClosed;
        }
        response.headers.extend(receipt.server_timing(host.now()).map(|timing| ("server-timing", timing)));
        // An estimate may yet become a better one.
        let cost = receipt.cost.filter(|_| !receipt.estimated);
        response.headers.extend(cost.map(|cost| ("x-llm-bridge-cost", refusal::dollars(cost))));
        settle(bridge, host, receipt, None, response.text());
    }
    response.headers.extend(headers);
    // A receipt that has been settled has gone; what was dropped is told all the same.
    response.headers.extend(dropped.map(|dropped| (pair::DROPPED, dropped)));
    Ok(response)
}

/// What is asked, and where it goes. Nobody is told more than that the key is wrong, before it is known to be right.
async fn aimed<'b, 'a, H: Platform>(
    bridge: &'b Bridge,
    host: &H,
    body: &'a [u8],
    task: &'static Operation,
    caller: &Caller,
    receipt: &mut RequestRecord,
) -> Result<(RequestEnvelope<'a>, Target<'b>)> {
    let aimed = aim(bridge, body, task, receipt);
    if aimed.is_err() {
        admission::check(bridge, host, caller).await?;
    }
    aimed
}

fn with_headers(error: Error, headers: &[(&'static str, String)]) -> Error {
    headers.iter().fold(error, |error, (name, value)| error.with_header(name, value.clone()))
}

fn error_response<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    receipt: &mut RequestRecord,
    (error, client): (&Error, &ClientFormat),
) -> Response<H> {
    receipt.status = error.status();
    let left = host.client_left();
    receipt.outcome = if left { Outcome::ClientClosed } else { Outcome::Refused };
    // A provider that is still at work, or may be, is going to bill for it, as is one whose answer broke off; one that refused is not.
    let broke_off = receipt.sent.is_some() && matches!(error.code(), Some("upstream_unreachable" | "stream_truncated"));
    let goes_on = left || broke_off || error.code() == Some("upstream_timeout");
    match receipt.usage {
        None if goes_on => receipt.charge(None, None, &[], 0),
        None => receipt.cost = Some(0),
        Some(_) => {}
    }
    if goes_on {
        receipt.charge_unheard(host.now());
    }
    settle(bridge, host, receipt, Some(error.clone()).filter(|_| !left), None);
    Response::error(error, (client, &receipt.request_id))
}

fn settle<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    receipt: &mut RequestRecord,
    error: Option<Error>,
    answer: Option<&str>,
) {
    receipt.finished = host.now();
    let text = answer.filter(|_| bridge.config.logging.fields.shows("response")).map(str::to_owned);
    let closed = RequestRecord { request_id: receipt.request_id.clone(), ..std::mem::take(receipt) };
    receipt.request_id.clone_from(&closed.request_id);
    host.settle(FinalCharge::new(Rc::clone(bridge), closed, error, text));
}

/// The caller's own id, if it is harmless; else a new one.
fn request_id<H: Platform>(host: &H, header: &dyn Fn(&str) -> Option<String>) -> String {
    let sane = |id: &String| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
    };
    header(REQUEST_ID).filter(sane).unwrap_or_else(|| format!("req_{:032x}", host.random_u128()))
}
