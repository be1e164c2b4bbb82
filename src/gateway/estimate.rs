//! What is reserved for a request: the most that it can take, as it is sent. It knows no limits of keys.

use super::attempt::Attempt;
use super::cost_estimate::CostEstimate;
use super::plan::names;
use super::platform::Platform;
use super::plausible::PlausibleUsage;
use super::record::Fact;
use super::{Admission, Bridge, Caller, admit};
use crate::error::Result;
use crate::formats::bounds::{ServiceTier, is_priced_field};
use crate::ledger::{OutputCost, Receipt};
use crate::policy::pricing::CostBound;

/// Has a request admitted. Where the account grants a lower limit than was asked for, it is set. `draft`: the
/// receipt that stands if the request is never settled.
///
/// # Errors
/// As [`admit::admit`].
pub(super) async fn admit<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    caller: &Caller,
    attempt: &mut Attempt<'_, '_, '_>,
    draft: impl FnOnce() -> Receipt,
) -> Result<Fact> {
    let mut demand = Demand::of(attempt);
    let estimate = || CostEstimate { draft: Some(draft()), ..demand.estimate(attempt) };
    let admission = admit::admit(bridge, platform, caller, estimate).await?;
    if let Some(limit) = admission.limit {
        demand.longest = Some(limit);
        attempt.grant(limit);
    }
    let plausible = demand.plausible(attempt, &admission);
    Ok(Fact::Admitted { admission, plausible })
}

/// How much a request can take, as it is sent.
struct Demand {
    /// The longest of its responses, in tokens; `None` if that is not known.
    longest: Option<u64>,
    /// How many responses may be generated for all of its questions.
    samples: u64,
    /// The tier in which it is served; `None`: the usual one.
    tier: Option<String>,
    /// The provider may add to its prompt what is not in the body.
    adds_to_prompt: bool,
}

/// A limit that the gateway sets itself is not smaller than this, for an answer that is cut too early is paid
/// for nothing; in tokens.
const LEAST: u64 = 4_096;
/// … for a model that thinks first.
const LEAST_THINKING: u64 = 16_384;

/// The most bytes by which setting a limit makes a body longer.
const LIMIT_FIELD: u64 = 64;

/// So many tokens a model may make in a second, where nobody said: few are faster.
const USUAL_PACE: u64 = 200;

/// More tokens than any model takes or gives.
const ABSURD: u64 = 100_000_000;

impl Demand {
    fn of(attempt: &Attempt<'_, '_, '_>) -> Self {
        let (bounds, card) = (attempt.bounds(), &attempt.card);
        Self {
            longest: [bounds.limit, card.max_output.or(card.context)].into_iter().flatten().min(),
            samples: bounds.samples.saturating_mul(attempt.envelope.questions.max(1)),
            tier: match bounds.tier {
                ServiceTier::AccountDefault => attempt.target.model.service_tier.clone(),
                ServiceTier::Standard => None,
                ServiceTier::Other(word) => Some(word),
            },
            adds_to_prompt: bounds.adds_to_prompt,
        }
    }

    /// The most that the request can take. The model's context bounds the prompt. Tokens of a minute are
    /// reserved by the bytes of the body alone: a token has at least one.
    fn estimate(&self, attempt: &Attempt<'_, '_, '_>) -> CostEstimate {
        let (document, operation, card) = (attempt.document(), attempt.envelope.operation, &attempt.card);
        let rules = &attempt.head.client.rules;
        let context = card.context.map(|context| context.saturating_mul(attempt.envelope.questions.max(1)));
        let input = if self.adds_to_prompt { context } else { Some((rules.most_prompt_tokens)(document)) };
        let input = input.map(|input| input.min(context.unwrap_or(u64::MAX)));
        let output = if operation.generates() { self.longest } else { Some(0) };
        let all = output.map(|output| output.saturating_mul(self.samples));
        let bound = |more| self.bound(attempt, input?.saturating_add(more));
        let length = document.bytes().len() as u64;
        let stray = (rules.stray_field)(document, operation.unique_fields, false);
        CostEstimate {
            models: names(attempt.envelope, attempt.target),
            body: length,
            tokens: length.min(context.unwrap_or(u64::MAX)).saturating_add(all.unwrap_or(0)),
            cost: bound(0).zip(all).map(|(bound, all)| bound.cost(all)),
            price: card.price,
            time: attempt.target.model.clocks.total,
            answer: match (bound(LIMIT_FIELD), output) {
                (Some(bound), Some(limit)) if operation.generates() => Some(self.output_cost(attempt, &bound, limit)),
                _ => None,
            },
            stray_field: stray.map(|name| name.chars().take(64).collect()),
            tier: self.tier.clone().filter(|_| card.price.is_some()),
            names: rules.names,
            draft: None,
        }
    }

    /// How the cost depends on the length of the responses.
    fn output_cost(&self, attempt: &Attempt<'_, '_, '_>, bound: &CostBound, limit: u64) -> OutputCost {
        let names = &attempt.limit_names;
        OutputCost {
            fixed: bound.cost(0),
            per_token: bound.output_rate(),
            choices: self.samples,
            limit,
            minimum: least(attempt).min(limit),
            settable: names.honours(names.preferred(&attempt.target.upstream)) || !attempt.mode.is_passthrough(),
        }
    }

    /// The price of a prompt of so many tokens; `None` if the model's price is not known.
    fn bound(&self, attempt: &Attempt<'_, '_, '_>, input: u64) -> Option<CostBound> {
        let (price, tier) = (attempt.card.price?, self.tier.as_deref());
        let (usual, cached_long) = (price.bound(input, false, tier)?, price.bound(input, true, tier)?);
        // The body is searched only where that can change the price.
        if cached_long.cost(0) <= usual.cost(0) {
            return Some(usual);
        }
        // The operator's edits are not looked into.
        let may_cache_long = !attempt.target.model.params.is_empty()
            || (attempt.head.client.rules.may_cache_long)(attempt.document().bytes());
        Some(if may_cache_long { cached_long } else { usual })
    }

    /// What a provider may plausibly report.
    fn plausible(&self, attempt: &Attempt<'_, '_, '_>, permit: &Admission) -> PlausibleUsage {
        let (card, generates) = (&attempt.card, attempt.envelope.operation.generates());
        // The results of a provider's own tools are read several times.
        let context = if self.adds_to_prompt { None } else { card.context };
        let longest = if generates { self.longest } else { None };
        let pace = card.tokens_per_second.unwrap_or(USUAL_PACE).saturating_mul(self.samples);
        PlausibleUsage {
            prompt: context.unwrap_or(ABSURD).saturating_mul(attempt.envelope.questions.max(1)),
            output: longest.unwrap_or(ABSURD).saturating_mul(self.samples),
            reserved: permit.reserved,
            tier: self.tier.clone(),
            besides: self.tier.as_deref().is_some_and(is_priced_field),
            pace: if permit.reserved.is_some() && generates { pace } else { 0 },
        }
    }
}

/// The smallest limit that is worth setting: what is asked for thinking alone has to be less than the limit.
fn least(attempt: &Attempt<'_, '_, '_>) -> u64 {
    let least = if attempt.card.thinks { LEAST_THINKING } else { LEAST };
    let budget = (attempt.head.client.rules.thinking_budget)(attempt.document());
    budget.map_or(least, |budget| least.max(budget.saturating_add(LEAST)))
}
