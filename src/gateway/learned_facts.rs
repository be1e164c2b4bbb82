//! Facts about models that the refusals of their providers have taught this isolate.

use std::cell::{Cell, RefCell};

use crate::catalogue::Fact;
use crate::config::Millis;

/// A fact is used for so long; then the provider is asked as the catalogue says again.
const LIFETIME: Millis = 3_600_000;
/// The most models of which something is kept; when there are more, the oldest is forgotten.
const MAX_MODELS: usize = 64;
/// The longest name of a model of which something is kept, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// What refusals have taught, by provider and model.
#[derive(Debug, Default)]
pub(super) struct LearnedFacts {
    models: RefCell<Vec<LearnedModel>>,
    /// How often something was learned.
    count: Cell<u64>,
    /// The providers whose streams go on after their end marker, by their indices in the configuration.
    run_on: RefCell<Vec<usize>>,
    /// For each provider with an observed end of a stream: whether its body closed with the end marker.
    closing: RefCell<Vec<(usize, bool)>>,
}

#[derive(Debug)]
struct LearnedModel {
    /// The provider's index in the configuration.
    provider: usize,
    /// The provider's name for the model.
    model: String,
    /// Each until a time.
    facts: Vec<(Fact, Millis)>,
}

impl LearnedModel {
    fn is(&self, provider: usize, model: &str) -> bool {
        self.provider == provider && self.model == model
    }
}

impl LearnedFacts {
    /// What is known of a model, the newest last.
    pub(super) fn of(&self, provider: usize, model: &str, now: Millis) -> Vec<Fact> {
        let models = self.models.borrow();
        let found = models.iter().find(|known| known.is(provider, model));
        let facts = found.into_iter().flat_map(|known| &known.facts);
        facts.filter(|(_, until)| now < *until).map(|(fact, _)| *fact).collect()
    }

    /// Whether streams of a provider go on after their end marker.
    pub(super) fn runs_on(&self, provider: usize) -> bool {
        self.run_on.borrow().contains(&provider)
    }

    /// Whether the bodies of a provider are over with their end marker, as far as it is known.
    pub(super) fn closes(&self, provider: usize) -> Option<bool> {
        self.closing.borrow().iter().find(|(known, _)| *known == provider).map(|(_, closes)| *closes)
    }

    /// The body of a provider's stream was over with its end marker, or not.
    pub(super) fn note_closing(&self, provider: usize, closes: bool) {
        let mut known = self.closing.borrow_mut();
        known.retain(|(of, _)| *of != provider);
        known.push((provider, closes));
    }

    /// A stream of a provider has gone on after its end marker.
    pub(super) fn note_run_on(&self, provider: usize) {
        if !self.runs_on(provider) {
            self.run_on.borrow_mut().push(provider);
        }
    }

    /// Keeps facts about a model. Returns how often this isolate has learned something, with this time.
    pub(super) fn learn(&self, provider: usize, model: &str, facts: &[Fact], now: Millis) -> u64 {
        self.count.set(self.count.get().saturating_add(1));
        if model.len() <= MAX_NAME_BYTES {
            self.keep(provider, model, facts, now);
        }
        self.count.get()
    }

    fn keep(&self, provider: usize, model: &str, facts: &[Fact], now: Millis) {
        let mut models = self.models.borrow_mut();
        let at = models.iter().position(|known| known.is(provider, model));
        let mut known = match at {
            Some(at) => models.remove(at),
            None => LearnedModel { provider, model: model.to_owned(), facts: Vec::new() },
        };
        known.facts.retain(|(old, until)| now < *until && facts.iter().all(|new| new.field != old.field));
        known.facts.extend(facts.iter().map(|fact| (*fact, now.saturating_add(LIFETIME))));
        if models.len() >= MAX_MODELS {
            models.remove(0);
        }
        models.push(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::field::{Field, Fit, Value};

    const fn fact(field: Field, fit: Fit) -> Fact {
        Fact { field, value: Value::Fit(fit) }
    }

    const NO_USER: Fact = fact(Field::User, Fit::Drop);
    const NO_STOP: Fact = fact(Field::Stop, Fit::Drop);

    #[test]
    fn a_fact_holds_for_an_hour_for_its_model_at_its_provider() {
        let learned = LearnedFacts::default();
        assert!(learned.of(0, "m", 0).is_empty());
        assert_eq!(learned.learn(0, "m", &[NO_USER], 5), 1);
        assert_eq!(learned.of(0, "m", 5 + LIFETIME - 1), [NO_USER]);
        assert!(learned.of(0, "m", 5 + LIFETIME).is_empty());
        assert!(learned.of(0, "n", 5).is_empty());
        assert!(learned.of(1, "m", 5).is_empty());
    }

    #[test]
    fn facts_of_one_model_add_up_and_the_newer_of_a_field_counts() {
        let learned = LearnedFacts::default();
        learned.learn(0, "m", &[NO_USER], 0);
        assert_eq!(learned.learn(0, "m", &[NO_STOP], 9), 2);
        assert_eq!(learned.of(0, "m", 9), [NO_USER, NO_STOP]);
        let hashed = fact(Field::User, Fit::Hash(64));
        learned.learn(0, "m", &[hashed], 10);
        assert_eq!(learned.of(0, "m", 10), [NO_STOP, hashed]);
        assert_eq!(learned.of(0, "m", 9 + LIFETIME), [hashed]);
    }

    #[test]
    fn what_was_last_observed_of_a_body_s_end_counts() {
        let learned = LearnedFacts::default();
        assert_eq!(learned.closes(1), None);
        learned.note_closing(1, true);
        learned.note_closing(2, false);
        assert_eq!([learned.closes(0), learned.closes(1), learned.closes(2)], [None, Some(true), Some(false)]);
        learned.note_closing(1, false);
        assert_eq!((learned.closes(1), learned.closing.borrow().len()), (Some(false), 2));
    }

    #[test]
    fn a_provider_whose_streams_run_on_is_known_by_it() {
        let learned = LearnedFacts::default();
        learned.note_run_on(1);
        learned.note_run_on(1);
        assert_eq!([learned.runs_on(0), learned.runs_on(1)], [false, true]);
        assert_eq!(learned.run_on.borrow().len(), 1);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let learned = LearnedFacts::default();
        (0..=MAX_MODELS).for_each(|number| {
            learned.learn(0, &number.to_string(), &[NO_USER], 0);
        });
        assert_eq!(learned.models.borrow().len(), MAX_MODELS);
        assert!(learned.of(0, "0", 0).is_empty(), "the oldest");
        let long = "m".repeat(MAX_NAME_BYTES + 1);
        learned.learn(0, &long, &[NO_USER], 0);
        assert!(learned.of(0, &long, 0).is_empty());
    }
}
