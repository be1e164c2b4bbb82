//! The most that a request can take, as accounts are asked for it.

use super::lease::UsageEstimate;
use crate::catalogue::price::ModelPrice;
use crate::config::{Millis, Nanos};
use crate::formats::bounds::FieldNames;
use crate::ids::KeyHash;
use crate::ledger::{self, OutputCost, Receipt};
use crate::policy::tokens;

/// After the time allowed for a request, its receipt may take so long to arrive.
const GRACE: Millis = 60_000;

/// What a request may take at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostEstimate {
    /// The names of its model: as the caller wrote it, and in full.
    pub models: Vec<String>,
    /// The names of each further model that may be called for it.
    pub other_models: Vec<Vec<String>>,
    /// The length of its body in bytes.
    pub body: u64,
    /// Tokens of the prompt and the answer.
    pub tokens: u64,
    /// Nano-dollars; `None` if the model's price is not known.
    pub cost: Option<Nanos>,
    /// The model's price, if it is known.
    pub price: Option<ModelPrice>,
    /// The time allowed for it.
    pub time: Millis,
    /// How the cost depends on the length of the responses; `None` if it does not, or the price is not known.
    pub answer: Option<OutputCost>,
    /// A field that could lead the provider to another model or another reading than this gateway's.
    pub stray_field: Option<String>,
    /// The tier in which it is to be served, if it is not the usual one and the model has a price.
    pub tier: Option<String>,
    /// The names of fields that a refusal refers to.
    pub names: FieldNames,
    /// The receipt that stands if nothing more is heard of it, tokens and cost aside; none for what leaves no
    /// receipt.
    pub draft: Option<Receipt>,
}

impl CostEstimate {
    /// The usage that stands until it is known.
    pub(super) fn usage(&self) -> UsageEstimate {
        UsageEstimate { price: self.price, tier: self.tier.clone(), prompt: tokens::estimate_from_bytes(self.body) }
    }

    /// The command to an account.
    pub(super) fn request(self, id: &str, hash: &KeyHash, usage: &UsageEstimate) -> ledger::AdmissionRequest {
        let life = self.time.saturating_add(GRACE);
        let Self { models, other_models, body, tokens, cost, answer, stray_field, draft, .. } = self;
        let (id, hash) = (id.to_owned(), Some(hash.clone()));
        let draft = draft.map(|draft| Box::new(usage.entry(draft)));
        ledger::AdmissionRequest {
            id,
            hash,
            models,
            other_models,
            body,
            tokens,
            cost,
            lifetime: life,
            output: answer,
            stray_field,
            fit: false,
            draft,
        }
    }
}
