//! What a request asks for, and where it goes.

use super::attempt::Mode;
use super::refusal;
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::operation::{OperationKind, RequestEnvelope};
use crate::policy::routing::{Route, Target};

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
    pub(super) fn new(client: &ClientFormat, envelope: RequestEnvelope<'a>, mut route: Route<'b>) -> Result<Self> {
        let operation = envelope.operation;
        if operation.kind == OperationKind::Embed {
            keep_to_one_model(&mut route);
        }
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
        first.ok_or_else(|| Error::gateway(500, "invalid_configuration", "The route of this model has no target."))
    }
}

/// Vectors of two models have nothing to do with each other: of a route, an embedding has only the hosts of
/// its first model.
fn keep_to_one_model(route: &mut Route<'_>) {
    let Some(model) = route.candidates.first().map(|candidate| candidate.target.upstream.clone()) else { return };
    route.candidates.retain(|candidate| candidate.target.upstream == model);
}

/// The names of a model that a key may list: as the caller wrote it, and in full.
pub(super) fn names(envelope: &RequestEnvelope<'_>, target: &Target<'_>) -> Vec<String> {
    vec![envelope.model.name.clone(), format!("{}/{}", target.provider.name, target.upstream)]
}

/// The names of which a key has to list one, for each name that the caller wrote: the model's, and in full
/// that of its only target. The targets of a route are not named: a key may use them through the route.
pub(super) fn names_of_all(plan: &Plan<'_, '_>) -> Vec<Vec<String>> {
    let asked = std::iter::once(&plan.envelope.model.name).chain(&plan.envelope.fallbacks);
    let names = asked.enumerate().map(|(index, asked)| {
        let mut targets = plan.route.candidates.iter().filter(|candidate| candidate.asked == index);
        let mut names = vec![asked.clone()];
        match (targets.next(), targets.next()) {
            (Some(only), None) if plan.route.name.is_none() => {
                names.push(format!("{}/{}", only.target.provider.name, only.target.upstream));
            }
            _ => names.extend(plan.route.name.map(str::to_owned)),
        }
        names
    });
    names.collect()
}
