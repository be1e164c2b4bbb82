//! What a request is charged by: the prompt, the price, and what the response reports.

use std::rc::Rc;

use crate::canonical::Usage;
use crate::catalogue::price::ModelPrice;
use crate::config::Millis;
use crate::policy::model_card::{CountedReports, ModelCard};

/// The longest prompt that is kept until its response has ended, for its tokens to be counted; in bytes.
const MAX_KEPT_PROMPT: usize = 32 << 10;

/// How a response is charged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metering {
    /// The price of the model, if it is known.
    pub price: Option<ModelPrice>,
    /// The provider's own reports of its charges that count where no price is known.
    pub counted_reports: CountedReports,
    /// The prompt.
    pub prompt: MeteredPrompt,
    /// When the provider was called.
    pub called: Millis,
}

/// A prompt whose tokens may have to be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeteredPrompt {
    /// Its JSON, unless that is long.
    pub json: Option<Rc<Vec<u8>>>,
    /// The length of its JSON in bytes.
    pub length: u64,
}

impl Metering {
    /// How the response of a model is charged, whose provider is called at `called`.
    pub(super) fn of(card: &ModelCard, prompt: MeteredPrompt, called: Millis) -> Self {
        Self { price: card.price, counted_reports: card.counted_reports, prompt, called }
    }

    /// The same for another call of the same provider.
    pub(super) fn again(self, called: Millis) -> Self {
        Self { called, ..self }
    }
}

impl MeteredPrompt {
    /// Keeps a prompt, unless it is long.
    pub(super) fn of(json: &Rc<Vec<u8>>) -> Self {
        Self { json: (json.len() <= MAX_KEPT_PROMPT).then(|| Rc::clone(json)), length: json.len() as u64 }
    }
}

/// Text whose tokens have to be counted, because the provider reported none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UncountedText {
    /// The prompt's JSON, if it was kept.
    pub prompt: Option<Rc<Vec<u8>>>,
    /// The beginning of the response's text: JSON objects, one per line.
    pub countable: Vec<u8>,
    /// The length of the whole text of the response, roughly, in bytes.
    pub length: u64,
}

/// What a response took, as far as its provider reported it.
#[derive(Debug, Default)]
pub struct ResponseUsage {
    /// The tokens.
    pub reported: Reported,
    /// How the provider says it served the request (`flex`, `priority`).
    pub tier: Option<String>,
    /// The beginning of the response's text, if its tokens have to be counted: JSON objects, one per line.
    pub countable: Vec<u8>,
    /// The length of the whole text, roughly, in bytes.
    pub length: u64,
}

/// The tokens of a response, as its provider reported them.
#[derive(Clone, Copy, Debug, Default)]
pub enum Reported {
    /// None.
    #[default]
    Nothing,
    /// Those before the provider went on: of the prompt, and of a part of the response.
    Part(Usage),
    /// All of them.
    Total(Usage),
}
