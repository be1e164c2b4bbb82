//! What a request asks for, and where it goes.

use super::attempt::Mode;
use super::refusal;
use super::request_head::RequestHead;
use crate::config::{Config, Millis};
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::operation::{OperationKind, RequestEnvelope};
use crate::formats::ties::TieKind;
use crate::policy::routing::{self, Route, Target};

/// A request whose targets are known.
pub(super) struct Plan<'b, 'a> {
    pub(super) envelope: RequestEnvelope<'a>,
    pub(super) route: Route<'b>,
    /// How the request gets its response from each candidate of the route; `None` for one that does not
    /// support the operation.
    pub(super) modes: Vec<Option<Mode>>,
}

impl<'b, 'a> Plan<'b, 'a> {
    /// Plans to send a request along a route.
    ///
    /// # Errors
    /// 400 for what no provider of the route supports, and for a field by which a caller could exceed a
    /// model's limit.
    pub(super) fn new(client: &ClientFormat, envelope: RequestEnvelope<'a>, route: Route<'b>) -> Result<Self> {
        let operation = envelope.operation;
        let modes: Vec<_> =
            route.candidates.iter().map(|candidate| Mode::choose(client, &envelope, &candidate.target)).collect();
        if modes.iter().all(Option::is_none) {
            let provider = route.candidates.first().map_or("", |candidate| &candidate.target.provider.name);
            let message = format!("The provider `{provider}` has no {}.", operation.name);
            return Err(Error::caller(400, "unsupported_endpoint", message).at("model"));
        }
        // The operator's limit holds for everyone.
        let stray = (client.rules.stray_field)(&envelope.document, operation.unique_fields, true);
        let is_limited = route.candidates.iter().any(|candidate| candidate.target.model.max_tokens.is_some());
        match stray {
            Some(name) if is_limited => Err(refusal::stray_field(name)),
            Some(_) | None => Ok(Self { envelope, route, modes }),
        }
    }

    /// The first target that supports the operation, and the mode for it.
    ///
    /// # Errors
    /// There is none, which [`Plan::new`] rules out.
    pub(super) fn first(&self) -> Result<(&Target<'b>, Mode)> {
        let mut targets = self.route.candidates.iter().zip(&self.modes);
        let first = targets.find_map(|(candidate, mode)| Some((&candidate.target, (*mode)?)));
        first.ok_or_else(|| routing::no_target(&self.envelope.model.name))
    }

    /// The names of each target, of which a key has to allow one: as the caller wrote it, and in full. A key
    /// that lists a route lists its targets by the route's name, and by no other.
    pub(super) fn names(&self) -> impl Iterator<Item = Vec<String>> {
        self.route.candidates.iter().map(|candidate| {
            let full = format!("{}/{}", candidate.target.provider.name, candidate.target.upstream);
            let asked = asked_names(&self.envelope).nth(candidate.asked).map(str::to_owned);
            asked.into_iter().chain([full]).collect()
        })
    }
}

/// The names that the client asks for, in its order.
fn asked_names<'e>(envelope: &'e RequestEnvelope<'_>) -> impl Iterator<Item = &'e str> {
    [&envelope.model.name].into_iter().chain(&envelope.fallbacks).map(String::as_str)
}

/// The route of a request: the targets that can serve it, the one to be tried first before the others.
///
/// # Errors
/// 404 for a model that is not known; 400 for a request that no target of the route is meant for, or that is
/// tied to an account that is not known.
pub(super) fn find_route<'c>(
    config: &'c Config,
    head: &RequestHead<'_>,
    envelope: &RequestEnvelope<'_>,
    now: Millis,
) -> Result<Route<'c>> {
    let refuses_fallbacks = head.refuses_fallbacks();
    let mut route = if envelope.fallbacks.is_empty() || refuses_fallbacks {
        routing::resolve(config, &envelope.model.name)?
    } else {
        Route::of_names(config, &asked_names(envelope).collect::<Vec<_>>())?
    };
    bind(&mut route, head, envelope)?;
    if route.has_choice() {
        let demands = (head.client.rules.demands)(&envelope.document);
        route.fit(demands.prompt_tokens, demands.needs, now)?;
    }
    if envelope.operation.kind == OperationKind::Embed {
        route.keep_one_model();
    }
    if refuses_fallbacks {
        route.refuse_fallbacks();
    }
    Ok(route)
}

/// Leaves out the targets that cannot own what a request names, if it names something that its provider
/// stores.
fn bind(route: &mut Route<'_>, head: &RequestHead<'_>, envelope: &RequestEnvelope<'_>) -> Result<()> {
    let client = head.client;
    let tie = if route.candidates.len() > 1 { client.rules.ties.tie(&envelope.document) } else { None };
    tie.map_or(Ok(()), |tie| {
        route.bind(&tie.field, tie.kind == TieKind::Stored, |target| {
            Mode::choose(client, envelope, target).is_some_and(Mode::is_passthrough)
        })
    })
}
