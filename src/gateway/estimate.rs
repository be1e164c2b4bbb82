//! What is reserved for a request: the most that it can take, as it is sent. It knows no limits of keys.

use super::lease::UsageEstimate;
use super::pair::Manner;
use super::platform::Platform;
use super::plausible::PlausibleUsage;
use super::target::names;
use super::{Admission, Bridge, Caller, RequestRecord, admission, dispatch};
use crate::config::{Millis, Nanos};
use crate::error::Result;
use crate::formats::bounds::{LimitNames, RequestRules, ServiceTier, is_beside_tiers};
use crate::formats::envelope::RequestEnvelope;
use crate::ledger::{self, OutputCost, Receipt};
use crate::policy::model_card::{ModelCard, ModelPrice};
use crate::policy::pricing::{self, CostBound};
use crate::policy::routing::Target;
use crate::policy::tokens;

/// After the time allowed for a request, its receipt may take so long to arrive.
const GRACE: Millis = 60_000;

/// What a request may take at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostEstimate {
    /// The names of its model: as the caller wrote it, and in full.
    pub models: Vec<String>,
    /// The length of its body in bytes.
    pub body: u64,
    /// Tokens of the prompt and the answer.
    pub tokens: u64,
    /// Money; none if the model's price is not known.
    pub cost: Option<Nanos>,
    /// What the model costs, if that is known.
    pub price: Option<ModelPrice>,
    /// The time allowed for it.
    pub time: Millis,
    /// How the cost depends on the length of its answers; none if it has none, or the price is not known.
    pub answer: Option<OutputCost>,
    /// A field that could lead the provider to another model or another reading than this gateway's.
    pub astray: Option<String>,
    /// The tier in which it is to be served, if it is not the usual one and the model has a price.
    pub tier: Option<String>,
    /// The receipt that stands if nothing more is heard of it, tokens and cost aside; none for what leaves no receipt.
    pub draft: Option<Receipt>,
}

impl CostEstimate {
    /// What a lease tells of it until its truth is known.
    pub(super) fn guess(&self) -> UsageEstimate {
        UsageEstimate { price: self.price, tier: self.tier.clone(), prompt: tokens::estimate_from_bytes(self.body) }
    }

    /// What an account is asked.
    pub(super) fn ask(self, id: &str, hash: &str, guess: &UsageEstimate) -> ledger::AdmissionRequest {
        let life = self.time.saturating_add(GRACE);
        let Self { models, body, tokens, cost, answer, astray, draft, .. } = self;
        let (id, hash) = (id.to_owned(), Some(hash.to_owned()));
        let draft = draft.map(|draft| Box::new(guess.entry(draft)));
        ledger::AdmissionRequest {
            id,
            hash,
            models,
            body,
            tokens,
            cost,
            lifetime: life,
            output: answer,
            stray_field: astray,
            fit: false,
            draft,
        }
    }
}

/// Makes a request ready for its provider, as far as it is edited in place, and asks for leave to send it; where the account grants a
/// shorter answer than was asked for, its limit is set.
///
/// # Errors
/// As [`admission::admit`].
pub(super) async fn admit<H: Platform>(
    (bridge, host): (&Bridge, &H),
    caller: &Caller,
    ask: &mut RequestEnvelope<'_>,
    target: &Target<'_>,
    manner: &Manner<'_>,
    receipt: &mut RequestRecord,
) -> Result<Admission> {
    let mut extent = extent(ask, target, manner);
    let need = || CostEstimate { draft: Some(receipt.draft()), ..extent.need(ask, target) };
    let permit = admission::admit(bridge, host, caller, need).await?;
    if let Some(limit) = permit.limit {
        extent.limit(ask, target, limit);
    }
    receipt.plausible = Some(extent.plausible(ask, &permit));
    Ok(permit)
}

/// What of a request decides how much it can take, as it is sent.
struct Extent<'c> {
    rules: &'static RequestRules,
    card: ModelCard,
    names: LimitNames<'c>,
    /// It is edited in place; otherwise it is written anew in another format.
    edited: bool,
    /// The longest of its answers, in tokens; `None` if nobody knows.
    longest: Option<u64>,
    /// How many answers may be drawn to all of its questions.
    drawn: u64,
    /// How it is served, in the tier's word; `None`: as usual.
    tier: Option<String>,
    /// The provider may add to its prompt what is not in the body.
    adds: bool,
}

/// Makes a request that is edited in place ready for its provider, and says how much it can take. What is reserved is for what is sent.
fn extent<'c>(ask: &mut RequestEnvelope<'_>, target: &Target<'c>, manner: &Manner<'_>) -> Extent<'c> {
    let card = pricing::card(target.provider, target.model, &target.upstream);
    let names = LimitNames::of(&target.model.limit_fields, card.limit_fields);
    let silent = (ask.operation.allows_zero_limit)(&ask.document);
    let rules = &manner.client.rules;
    let edited = manner.is_edited(target, ask.document.bytes());
    if edited {
        dispatch::prepare(ask, target, manner, &names, silent);
    }
    let bounds = if edited {
        (rules.bounds)(&ask.document, &names, silent)
    } else {
        (rules.translated_bounds)(&ask.document, target.model)
    };
    let usual = || target.model.service_tier.clone();
    let tier = match bounds.tier {
        ServiceTier::Own => usual(),
        ServiceTier::Usual => None,
        ServiceTier::Other(word) => Some(word),
    };
    let longest = [bounds.limit, card.max_output.or(card.context)].into_iter().flatten().min();
    let drawn = bounds.samples.saturating_mul(ask.questions.max(1));
    let adds = bounds.adds_to_prompt;
    Extent { rules, card, names, edited, longest, drawn, tier, adds }
}

/// A limit that the gateway sets itself is not smaller than this, for an answer that is cut too early is paid for nothing; in tokens.
const LEAST: u64 = 4_096;
/// … for a model that thinks first.
const LEAST_THINKING: u64 = 16_384;

/// A limit that is set makes a body longer, by so many bytes at most.
const FIELD: u64 = 64;

/// So many tokens a model may make in a second, where nobody said: few are faster.
const USUAL_PACE: u64 = 200;

/// More tokens than any model takes or gives.
const ABSURD: u64 = 100_000_000;

impl Extent<'_> {
    /// The most that the request can take. What a prompt can be is bounded by the model's context. Tokens of a minute are reserved by the
    /// bytes of the body alone, for a token has at least one.
    fn need(&self, ask: &RequestEnvelope<'_>, target: &Target<'_>) -> CostEstimate {
        let body = ask.document.bytes();
        let context = self.card.context.map(|context| context.saturating_mul(ask.questions.max(1)));
        let input = if self.adds { context } else { Some((self.rules.most_prompt_tokens)(&ask.document)) };
        let input = input.map(|input| input.min(context.unwrap_or(u64::MAX)));
        let output = if ask.operation.generates() { self.longest } else { Some(0) };
        let all = output.map(|output| output.saturating_mul(self.drawn));
        let bound = |more| {
            let (price, input) = self.card.price.zip(input)?;
            self.bound(&price, input.saturating_add(more), body, target)
        };
        let length = body.len() as u64;
        let tokens = length.min(context.unwrap_or(u64::MAX)).saturating_add(all.unwrap_or(0));
        let cost = bound(0).zip(all).map(|(bound, all)| bound.cost(all));
        let answer = bound(FIELD).zip(output).filter(|_| ask.operation.generates()).map(|(bound, limit)| OutputCost {
            fixed: bound.cost(0),
            per_token: bound.each(),
            choices: self.drawn,
            limit,
            minimum: self.least(ask).min(limit),
            settable: self.names.honour(self.names.own(&target.upstream)) || !self.edited,
        });
        let stray = (self.rules.stray_field)(&ask.document, ask.operation.unique_fields, false);
        let astray = stray.map(|name| name.chars().take(64).collect());
        let tier = self.tier.clone().filter(|_| self.card.price.is_some());
        CostEstimate {
            models: names(ask, target),
            body: length,
            tokens,
            cost,
            price: self.card.price,
            time: target.model.clocks.total,
            answer,
            astray,
            tier,
            draft: None,
        }
    }

    fn bound(&self, price: &ModelPrice, input: u64, body: &[u8], target: &Target<'_>) -> Option<CostBound> {
        // What the operator's edits bring is not looked into.
        let may_be_kept_long = || !target.model.params.is_empty() || (self.rules.may_cache_long)(body);
        let tier = self.tier.as_deref();
        let (usual, kept_long) = (price.bound(input, false, tier)?, price.bound(input, true, tier)?);
        // A body is not searched for nothing.
        Some(if kept_long.cost(0) > usual.cost(0) && may_be_kept_long() { kept_long } else { usual })
    }

    /// The smallest limit that is worth setting.
    fn least(&self, ask: &RequestEnvelope<'_>) -> u64 {
        let least = if self.card.thinks { LEAST_THINKING } else { LEAST };
        // What is asked for thoughts alone has to be less than the limit.
        let budget = (self.rules.thinking_budget)(&ask.document);
        budget.map_or(least, |budget| least.max(budget.saturating_add(LEAST)))
    }

    /// Sets a limit that the account has granted in the place of a larger one.
    fn limit(&mut self, ask: &mut RequestEnvelope<'_>, target: &Target<'_>, limit: u64) {
        self.longest = Some(limit);
        if self.edited {
            (self.rules.set_limit)(&mut ask.document, &self.names, &target.upstream, limit);
        }
    }

    /// What a provider may plausibly report.
    fn plausible(&self, ask: &RequestEnvelope<'_>, permit: &Admission) -> PlausibleUsage {
        // The results of a provider's own tools are read several times.
        let context = self.card.context.filter(|_| !self.adds).unwrap_or(ABSURD);
        let longest = self.longest.filter(|_| ask.operation.generates()).unwrap_or(ABSURD);
        let pace = self.card.tokens_per_second.unwrap_or(USUAL_PACE).saturating_mul(self.drawn);
        PlausibleUsage {
            prompt: context.saturating_mul(ask.questions.max(1)),
            output: longest.saturating_mul(self.drawn),
            reserved: permit.reserved,
            tier: self.tier.clone(),
            besides: self.tier.as_deref().is_some_and(is_beside_tiers),
            pace: if permit.reserved.is_some() && ask.operation.generates() { pace } else { 0 },
        }
    }
}
