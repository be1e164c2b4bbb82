//! What lists of models say of a model: what it takes and costs, and the row that each fact comes from.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalogue::field::{EFFORTS, FIELDS, Field, FieldRow, Fit, Value};
use crate::catalogue::price::ModelPrice;
use crate::catalogue::{Fact, Facts, Origin};
use crate::config::decimal;

/// The decimals of a dollar in a rate: rates are pico-dollars per token.
const RATE_PLACES: usize = 12;
/// The decimals of a dollar in the price of a request, which is in nano-dollars.
const REQUEST_PLACES: usize = 9;

/// What is known of a model at a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// The merged facts.
    pub facts: Facts,
    /// The price at present, if a row states one.
    pub price: Option<ModelPrice>,
    /// The parameters of a chat that the model takes, by their names in requests. Empty if that is not known.
    pub parameters: Vec<&'static str>,
    /// Names of facts, as in the files, with the row that each comes from.
    pub origins: BTreeMap<&'static str, Origin>,
}

/// What holds for two models with these values.
fn least(value: Value, other: Value) -> Option<Value> {
    match (value, other) {
        (Value::Count(count), Value::Count(other)) => Some(Value::Count(count.min(other))),
        (Value::Flag(flag), Value::Flag(other)) => Some(Value::Flag(flag && other)),
        (Value::Words(words), Value::Words(other)) => Some(Value::Words(words & other)),
        (value, other) => (value == other).then_some(value),
    }
}

/// A price as model lists show it: dollars per token or request, as decimal text.
#[derive(Serialize)]
pub(super) struct Pricing {
    pub(super) prompt: String,
    pub(super) completion: String,
    pub(super) request: String,
    pub(super) input_cache_read: String,
    pub(super) input_cache_write: String,
    pub(super) internal_reasoning: String,
}

impl ModelFacts {
    /// What holds for each of several models: the smallest numbers, and what all of them take. What is not
    /// known of one is not known of all.
    pub fn least(models: Vec<Self>) -> Self {
        let mut models = models.into_iter();
        let first = models.next().unwrap_or_default();
        models.fold(first, |all, model| all.and(&model))
    }

    fn and(self, other: &Self) -> Self {
        let both = |row: &FieldRow| {
            let value = least(self.facts.get(row.field)?, other.facts.get(row.field)?)?;
            Some(Fact { field: row.field, value })
        };
        let mut facts = Facts::default();
        facts.overlay(&FIELDS.iter().filter_map(both).collect::<Vec<_>>());
        let parameters = self.parameters.into_iter().filter(|name| other.parameters.contains(name));
        let origins = self.origins.into_iter().filter(|(name, origin)| other.origins.get(name) == Some(origin));
        let price = self.price.filter(|price| other.price == Some(*price));
        Self { facts, price, parameters: parameters.collect(), origins: origins.collect() }
    }

    /// Whether the model takes this kind of input; `None` if that is not known.
    pub fn takes(&self, kind: &str) -> Option<bool> {
        self.facts.has(Field::Input, kind)
    }

    /// Whether reasoning can be asked for in this form; `None` if that is not known.
    pub fn reasons_by(&self, form: &str) -> Option<bool> {
        self.facts.has(Field::Thinking, form)
    }

    /// A flag; `None` if it is not known.
    pub fn flag(&self, field: Field) -> Option<bool> {
        if let Some(Value::Flag(flag)) = self.facts.get(field) { Some(flag) } else { None }
    }

    /// Whether this word of effort is sent as it is; `None` if the words are not known.
    pub fn takes_effort(&self, word: &str) -> Option<bool> {
        match self.facts.get(Field::ReasoningEffort)? {
            Value::Fit(Fit::NearestOf(efforts)) => Some(efforts.words().any(|known| known == word)),
            Value::Fit(Fit::Keep) => Some(EFFORTS.contains(&word)),
            _ => Some(false),
        }
    }

    /// The price of the standard tier, for prompts of usual length.
    pub(super) fn pricing(&self) -> Option<Pricing> {
        let price = self.price?;
        let rates = price.standard.rates;
        let per_token = |rate| decimal::text(rate, RATE_PLACES);
        Some(Pricing {
            prompt: per_token(rates.input),
            completion: per_token(rates.output),
            request: decimal::text(price.per_request, REQUEST_PLACES),
            input_cache_read: per_token(rates.cached_input),
            input_cache_write: per_token(rates.cache_write),
            internal_reasoning: per_token(rates.reasoning),
        })
    }

    /// The origins, in words.
    pub(super) fn origin_texts(&self) -> BTreeMap<&'static str, String> {
        self.origins.iter().map(|(name, origin)| (*name, origin.to_string())).collect()
    }
}
