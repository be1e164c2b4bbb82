//! Which of two APIs of a host takes a request, where a host has two at one address.

use crate::catalogue::field::{Field, Fit};
use crate::formats::operation::{OperationKind, RequestEnvelope};
use crate::formats::{self, ClientFormat, ProviderFormat};
use crate::policy::model_card::ModelCard;
use crate::policy::routing::Target;
use crate::wire::json::is_empty_value;

/// The fields in which clients of any format list their tools.
const TOOLS: &[&str] = &["tools", "functions"];

/// The format of the host's newer API, if the request goes there: that of a client that speaks it, and one
/// that the older API would not take. `None` if it goes to the provider's `own` API. Clients of that one stay
/// with it, and so do rows with edits, which are written for it.
pub(super) fn newer(
    own: &ProviderFormat,
    client: &ClientFormat,
    envelope: &RequestEnvelope<'_>,
    target: &Target<'_>,
) -> Option<&'static ProviderFormat> {
    let newer = formats::provider_format(own.newer?)?;
    let can_go = client.name != own.kind.name
        && envelope.operation.kind == OperationKind::Generate
        && target.model.params.is_empty();
    if !can_go {
        return None;
    }
    // The price does not matter here, so neither does the time.
    let facts = ModelCard::of(target.provider, target.model, &target.upstream, 0).facts;
    if facts.has(Field::Endpoints, newer.kind.name) != Some(true) {
        return None;
    }
    let is_given = |field: &&str| envelope.document.value(field).is_some_and(|value| !is_empty_value(value));
    let refuses_tools = facts.fit(Field::ReasoningEffortWithTools) != Fit::Keep && TOOLS.iter().any(is_given);
    let is_only = facts.has(Field::Endpoints, "chat") == Some(false);
    (client.name == newer.kind.name || refuses_tools || is_only).then_some(newer)
}
