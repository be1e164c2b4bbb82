//! The Durable Object that calls providers from where it is. The runtime pumps the bytes of requests and
//! responses through it; nothing of them is read or kept.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortSignal, RequestInit, RequestRedirect};
use worker::{
    Delay, DurableObject, Env, Headers, Request, Response, ResponseBuilder, Result, SqlStorage, State, durable_object,
};

use super::call::URL;
use super::sql::{as_number, as_text, has_table, number, rows, run, text};
use crate::config::Millis;
use crate::edge::clock::now;
use crate::edge::isolate::bridge;
use crate::edge::log::report_failure;
use crate::edge::slots::Settled;
use crate::edge::url::origin;
use crate::edge::{js, text as texts};
use crate::gateway::Bridge;
use crate::policy::region::{CallOutcome, OUTCOME, Place, WaitingCalls};
use crate::telemetry::RuntimeFailure;

const TABLE: &str = "place";
const CREATE: &str = "CREATE TABLE IF NOT EXISTS place \
     (only_row INTEGER PRIMARY KEY CHECK (only_row = 0), place TEXT NOT NULL, asked INTEGER NOT NULL)";
/// How long a call waits for the trace.
const TRACE_TIME: Millis = 2_000;
/// When the trace is asked again. An object stays where it was placed, but the platform may move it one day.
const PLACE_LIFE: Millis = 86_400_000;
/// When the trace is asked again after it has not said anything.
const UNKNOWN_LIFE: Millis = 60_000;

/// What calls providers in a region. Its name is that of the region and a number, and the class name is part
/// of wrangler.toml. Only Workers of the same account reach it, and it calls no host but those of providers
/// that the configuration has in a region: one with a binding to it cannot use it for anything else.
#[durable_object(fetch)]
pub struct Region {
    env: Env,
    sql: SqlStorage,
    waiting: Rc<RefCell<WaitingCalls>>,
    /// The origins of what may be called.
    origins: OnceCell<Vec<String>>,
    place: Cell<Option<Place>>,
    /// Until when `place` counts.
    place_until: Cell<Millis>,
}

impl DurableObject for Region {
    fn new(state: State, env: Env) -> Self {
        Self {
            env,
            sql: state.storage().sql(),
            waiting: Rc::default(),
            origins: OnceCell::new(),
            place: Cell::new(None),
            place_until: Cell::new(0),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let request = request.inner();
        let Ok(bridge) = bridge(&self.env) else { return outcome(CallOutcome::Broken) };
        if request.url() == URL {
            let place = self.place(&bridge).await;
            return Response::ok(serde_json::to_string(&place.map(|place| place.to_string()))?);
        }
        if request.method() != "POST" || !self.may_call(&bridge, &request.url()) {
            return outcome(CallOutcome::Broken);
        }
        let Some(waiting) = Waiting::begin(&self.waiting, now().saturating_add(bridge.longest_request())) else {
            return outcome(CallOutcome::Full);
        };
        let place = self.place(&bridge).await;
        if let Some(place) = place.filter(|place| place.is_avoided(bridge.region_settings())) {
            return outcome(CallOutcome::Avoided(place));
        }
        let answered = send(request).await;
        drop(waiting);
        match answered {
            // The gateway reads it as its caller would.
            Ok(answer) if (200..=599).contains(&answer.status()) => pass_on(&answer, place),
            Ok(_) | Err(_) => outcome(CallOutcome::Broken),
        }
    }
}

impl Region {
    /// Whether a URL is one of a provider that is called from a region.
    fn may_call(&self, bridge: &Bridge, called: &str) -> bool {
        // The runtime writes addresses as it writes that of the request.
        let read = |root: String| web_sys::Request::new_with_str(&root).ok().map(|request| origin(&request.url()));
        let origins = self.origins.get_or_init(|| bridge.called_from_regions().filter_map(read).collect());
        origins.contains(&origin(called))
    }

    /// Where this object is; `None` if nobody says.
    async fn place(&self, bridge: &Bridge) -> Option<Place> {
        let trace = bridge.region_settings().trace.as_ref()?;
        if now() < self.place_until.get() {
            return self.place.get();
        }
        // A call that could be made does not fail for the storage.
        if let Some((place, until)) = self.stored_place().ok().flatten().filter(|(_, until)| now() < *until) {
            self.place.set(Some(place));
            self.place_until.set(until);
            return Some(place);
        }
        let delay = Delay::from(Duration::from_millis(TRACE_TIME));
        let said = match select(Box::pin(texts::fetch(trace)), Box::pin(delay)).await {
            Either::Left((said, _)) => said.ok(),
            Either::Right(_) => None,
        };
        let place = said.as_deref().and_then(Place::of_trace);
        self.place.set(place);
        self.place_until.set(now().saturating_add(if place.is_some() { PLACE_LIFE } else { UNKNOWN_LIFE }));
        if let Some(Err(error)) = place.map(|place| self.store_place(place)) {
            report_failure(RuntimeFailure::ObjectFailed(&error.to_string()));
        }
        place
    }

    fn store_place(&self, place: Place) -> Result<()> {
        run(&self.sql, CREATE, Vec::new())?;
        let values = vec![text(place.to_string()), number(now())?];
        run(&self.sql, "INSERT OR REPLACE INTO place VALUES (0, ?, ?)", values)
    }

    /// The place that is stored, and until when it counts.
    fn stored_place(&self) -> Result<Option<(Place, Millis)>> {
        if !has_table(&self.sql, TABLE)? {
            return Ok(None);
        }
        let rows = rows(&self.sql, "SELECT place, asked FROM place", Vec::new())?;
        let Some(row) = rows.first() else { return Ok(None) };
        let place = as_text(row.first()).and_then(|place| Place::read(&place));
        Ok(place.zip(as_number(row.get(1)).map(|asked| asked.saturating_add(PLACE_LIFE))))
    }
}

/// Makes a call. It is aborted when the gateway lets go of it: a signal that is derived from the request's
/// has an effect, the request's own has none.
async fn send(request: &web_sys::Request) -> Result<web_sys::Response, JsValue> {
    let init = RequestInit::new();
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::any(&Array::of1(&request.signal()))));
    Settled::of(&js::fetch_request(request, &init)?).await?.dyn_into()
}

/// The provider's response, with its bytes as the runtime brings them.
fn pass_on(answer: &web_sys::Response, place: Option<Place>) -> Result<Response> {
    let headers = web_sys::Headers::new_with_headers(&answer.headers())?;
    headers.set(OUTCOME, &CallOutcome::Answered(place).to_string())?;
    let builder = ResponseBuilder::new().with_status(answer.status()).with_headers(Headers(headers));
    Ok(match answer.body() {
        Some(body) => builder.stream(body),
        None => builder.empty(),
    })
}

/// The response to a call that has brought none.
fn outcome(outcome: CallOutcome) -> Result<Response> {
    let headers = Headers::new();
    headers.set(OUTCOME, &outcome.to_string())?;
    Ok(ResponseBuilder::new().with_status(503).with_headers(headers).empty())
}

/// A call that waits for its head, until it is dropped.
struct Waiting {
    calls: Rc<RefCell<WaitingCalls>>,
    id: u64,
}

impl Waiting {
    /// `None` if too many wait. `until`: when it waits no longer.
    fn begin(calls: &Rc<RefCell<WaitingCalls>>, until: Millis) -> Option<Self> {
        let id = calls.borrow_mut().begin(now(), until)?;
        Some(Self { calls: Rc::clone(calls), id })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.calls.borrow_mut().end(self.id);
    }
}
