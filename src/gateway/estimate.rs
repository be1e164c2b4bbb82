//! Estimates the most that a request can use, as it is sent: this is reserved in the key's account.

use std::cell::OnceCell;

use super::attempt::Attempt;
use super::cost_estimate::CostEstimate;
use super::plan::Plan;
use super::platform::Platform;
use super::plausible::PlausibleUsage;
use super::record::Fact;
use super::{Admission, Bridge, Caller, admit};
use crate::config::Nanos;
use crate::error::{Error, Result};
use crate::formats::bounds::{ServiceTier, is_priced_field, may_have_audio};
use crate::ledger::{OutputCost, Receipt};
use crate::policy::expected_cost::ExpectedUse;
use crate::policy::pricing::{CostBound, PromptBound};

/// Has a request admitted by its account. If the account grants a lower output limit than the request has,
/// the lower limit is set in the request. `complete` adds to the estimate what is not known of the attempt:
/// the names of the models, and the receipt that is kept if the request is never settled.
///
/// # Errors
/// As [`admit::admit`].
pub(super) async fn admit<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    caller: &Caller,
    attempt: &mut Attempt<'_, '_, '_>,
    complete: impl FnOnce(CostEstimate) -> CostEstimate,
) -> Result<Fact> {
    let mut demand = Demand::of(attempt);
    let estimate = || complete(demand.estimate(attempt, &OnceCell::new()));
    let admission = admit::admit(bridge, platform, caller, estimate).await?;
    if let Some(limit) = admission.limit {
        demand.longest = Some(limit);
        attempt.grant(limit);
    }
    let plausible = demand.plausible(attempt, &admission);
    Ok(Fact::Admitted { admission, plausible })
}

/// Has a request admitted that has a choice of targets: what the dearest of them can take is reserved. An
/// unknown price counts as the dearest.
///
/// # Errors
/// As [`admit::admit`].
pub(super) async fn admit_plan<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    caller: &Caller,
    (plan, attempts): (&Plan<'_, '_>, &[Attempt<'_, '_, '_>]),
    draft: impl FnOnce() -> Receipt,
) -> Result<Fact> {
    let estimate = || {
        let prompt = OnceCell::new();
        let estimates: Vec<_> = attempts.iter().map(|attempt| Demand::of(attempt).estimate(attempt, &prompt)).collect();
        let tokens = estimates.iter().map(|estimate| estimate.tokens).max().unwrap_or_default();
        let dearest = estimates.into_iter().max_by_key(|one| one.cost.unwrap_or(Nanos::MAX)).unwrap_or_default();
        let mut names = plan.names();
        let models = names.next().unwrap_or_default();
        CostEstimate { models, other_models: names.collect(), tokens, draft: Some(draft()), ..dearest }
    };
    let admission = admit::admit(bridge, platform, caller, estimate).await?;
    // A plan has at least one target. Each attempt computes the bounds of a plausible usage for its own
    // target.
    let attempt = attempts.first().ok_or_else(|| Error::gateway(500, "invalid_configuration", "No target."))?;
    let plausible = plausible(attempt, &admission);
    Ok(Fact::Admitted { admission, plausible })
}

/// The limits of what a provider may plausibly report for an attempt.
pub(super) fn plausible(attempt: &Attempt<'_, '_, '_>, admission: &Admission) -> PlausibleUsage {
    Demand::of(attempt).plausible(attempt, admission)
}

/// What an attempt will cost, about, in nano-dollars; `None` if that is not known. `prompt`: the tokens of
/// its prompt; `warm`: those of them that its target has read a short while ago.
pub(super) fn expected_cost(attempt: &Attempt<'_, '_, '_>, prompt: u64, warm: u64) -> Option<Nanos> {
    let Demand { longest, samples, tier, .. } = Demand::of(attempt);
    let longest = if attempt.envelope.operation.generates() { longest } else { Some(0) };
    ExpectedUse { prompt, warm, longest, samples }.cost(&attempt.card.price?, tier.as_deref())
}

/// How much a request can use, as it is sent.
struct Demand {
    /// The longest possible response, in tokens; `None` if not known.
    longest: Option<u64>,
    /// The number of responses that may be generated, for all of its questions.
    samples: u64,
    /// The service tier; `None` for the usual one.
    tier: Option<String>,
    /// Whether the provider may add tokens to the prompt that are not in the body.
    adds_to_prompt: bool,
    /// The searches that the provider may run itself, for all of its questions.
    searches: u64,
}

/// The lowest output limit that the gateway sets itself, in tokens: a response that is cut too early costs
/// money and is of no use.
const MIN_LIMIT: u64 = 4_096;
/// The lowest output limit that the gateway sets itself for a model that thinks first, in tokens.
const MIN_LIMIT_THINKING: u64 = 16_384;

/// The most bytes that setting an output limit adds to a body.
const LIMIT_FIELD_BYTES: u64 = 64;

/// The assumed tokens per second of a model whose speed is not known: few models are faster.
const DEFAULT_TOKENS_PER_SECOND: u64 = 200;

/// More tokens than any model reads or generates.
const IMPLAUSIBLE_TOKENS: u64 = 100_000_000;

impl Demand {
    fn of(attempt: &Attempt<'_, '_, '_>) -> Self {
        let (bounds, card) = (attempt.bounds(), &attempt.card);
        Self {
            longest: [bounds.limit, card.max_output.or(card.context)].into_iter().flatten().min(),
            samples: bounds.samples.saturating_mul(attempt.envelope.questions.max(1)),
            tier: match bounds.tier {
                ServiceTier::AccountDefault => attempt.target.model.service_tier.clone(),
                ServiceTier::Standard => None,
                ServiceTier::Other(name) => Some(name),
            },
            adds_to_prompt: bounds.adds_to_prompt,
            searches: bounds.searches.saturating_mul(bounds.samples.max(1)),
        }
    }

    /// The most that the request can use. The model's context bounds the prompt. Tokens of a minute are
    /// reserved by the bytes of the body alone: a token has at least one. `prompt`: the most tokens that the
    /// prompt can have, which attempts of one request share; read only if a price makes a cost of it.
    fn estimate(&self, attempt: &Attempt<'_, '_, '_>, prompt: &OnceCell<u64>) -> CostEstimate {
        let (document, operation, card) = (attempt.document(), attempt.envelope.operation, &attempt.card);
        let rules = &attempt.head.client.rules;
        let context = card.context.map(|context| context.saturating_mul(attempt.envelope.questions.max(1)));
        let most = || *prompt.get_or_init(|| (rules.most_prompt_tokens)(&attempt.envelope.document));
        let is_priced = card.price.is_some();
        let input = if self.adds_to_prompt { context } else { is_priced.then(most) };
        let input = input.map(|input| input.min(context.unwrap_or(u64::MAX)));
        let output = if operation.generates() { self.longest } else { Some(0) };
        let all = output.map(|output| output.saturating_mul(self.samples));
        let bound = |more| self.bound(attempt, input?.saturating_add(more));
        let length = document.bytes().len() as u64;
        let stray = (rules.stray_field)(document, operation.unique_fields, false);
        CostEstimate {
            body: length,
            tokens: length.min(context.unwrap_or(u64::MAX)).saturating_add(all.unwrap_or(0)),
            cost: bound(0).zip(all).map(|(bound, all)| bound.cost(all)),
            price: card.price,
            time: attempt.target.clocks.total,
            answer: match (bound(LIMIT_FIELD_BYTES), output) {
                (Some(bound), Some(limit)) if operation.generates() => Some(self.output_cost(attempt, &bound, limit)),
                _ => None,
            },
            stray_field: stray.map(|name| name.chars().take(64).collect()),
            tier: if card.price.is_some() { self.tier.clone() } else { None },
            names: rules.names,
            ..CostEstimate::default()
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
            minimum: min_limit(attempt).min(limit),
            settable: names.honours(names.preferred(&attempt.target.upstream)) || !attempt.mode.is_passthrough(),
        }
    }

    /// The bound on the cost of a prompt of `input` tokens; `None` if the model's price is not known.
    fn bound(&self, attempt: &Attempt<'_, '_, '_>, input: u64) -> Option<CostBound> {
        let (price, tier) = (attempt.card.price?, self.tier.as_deref());
        let text = PromptBound { tokens: input, searches: self.searches, ..PromptBound::default() };
        let usual = price.bound(text, tier)?;
        // The body is searched only if the result can change the price.
        let is_dearer = |prompt| price.bound(prompt, tier).is_some_and(|bound| bound.cost(0) > usual.cost(0));
        let (rules, body) = (&attempt.head.client.rules, attempt.document().bytes());
        // The operator's edits are not searched: any of them may cache for long, or add audio.
        let may = |search: fn(&[u8]) -> bool| !attempt.target.model.params.is_empty() || search(body);
        let cached_for_hour = is_dearer(PromptBound { cached_for_hour: true, ..text }) && may(rules.may_cache_long);
        let has_audio = is_dearer(PromptBound { has_audio: true, ..text }) && may(may_have_audio);
        price.bound(PromptBound { cached_for_hour, has_audio, ..text }, tier)
    }

    /// The limits of what a provider may plausibly report.
    fn plausible(&self, attempt: &Attempt<'_, '_, '_>, admission: &Admission) -> PlausibleUsage {
        let (card, generates) = (&attempt.card, attempt.envelope.operation.generates());
        // The model reads the results of a provider's own tools several times.
        let context = if self.adds_to_prompt { None } else { card.context };
        let longest = if generates { self.longest } else { None };
        let pace = card.tokens_per_second.unwrap_or(DEFAULT_TOKENS_PER_SECOND).saturating_mul(self.samples);
        PlausibleUsage {
            prompt: context.unwrap_or(IMPLAUSIBLE_TOKENS).saturating_mul(attempt.envelope.questions.max(1)),
            output: longest.unwrap_or(IMPLAUSIBLE_TOKENS).saturating_mul(self.samples),
            reserved: admission.reserved,
            tier: self.tier.clone(),
            besides: self.tier.as_deref().is_some_and(is_priced_field),
            pace: if admission.reserved.is_some() && generates { pace } else { 0 },
        }
    }
}

/// The lowest output limit worth setting. It has to exceed the budget that the request has for thinking.
fn min_limit(attempt: &Attempt<'_, '_, '_>) -> u64 {
    let minimum = if attempt.card.thinks { MIN_LIMIT_THINKING } else { MIN_LIMIT };
    let budget = (attempt.head.client.rules.thinking_budget)(attempt.document());
    budget.map_or(minimum, |budget| minimum.max(budget.saturating_add(MIN_LIMIT)))
}
