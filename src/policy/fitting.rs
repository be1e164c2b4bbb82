//! Leaves out the targets of a route that are not tried for a request.

use super::model_card::ModelCard;
use super::routing::{Candidate, Route, Target};
use crate::catalogue::Facts;
use crate::catalogue::field::{Field, Value};
use crate::config::{Millis, Needs, Strategy};
use crate::error::{Error, Result};

/// No model has a smaller context window, in tokens.
const SMALL_PROMPT: u64 = 2_048;
/// A prompt may be shorter than its estimate by one part in so many.
const ESTIMATE_SLACK: u64 = 4;

impl Route<'_> {
    /// Whether [`Route::fit`] may leave a target out.
    pub fn has_choice(&self) -> bool {
        self.candidates.len() > 1 || self.name.is_some()
    }

    /// Leaves out the targets whose conditions a request does not meet, and, if others are left, those whose
    /// models are known not to serve it, or to have a context window that it exceeds for certain. Those that
    /// cannot think come last if the request wishes it: an answer without thinking is still an answer.
    /// `input_tokens`: about how long its prompt is.
    ///
    /// # Errors
    /// 400 `no_target_fits` if the request meets the conditions of no target.
    pub fn fit(&mut self, input_tokens: u64, needs: Needs, now: Millis) -> Result<()> {
        self.input_tokens = Some(input_tokens);
        self.candidates.retain(|candidate| candidate.when.admits(input_tokens, needs));
        if self.candidates.is_empty() {
            return Err(self.no_target(input_tokens, needs));
        }
        if self.candidates.len() > 1 && (needs != Needs::NONE || input_tokens > SMALL_PROMPT) {
            let card = |candidate: &Candidate<'_>| {
                let Target { provider, model, upstream, .. } = &candidate.target;
                ModelCard::of(provider, model, upstream, now)
            };
            let needed = needs.without(Needs::THINKING);
            self.keep_if_any(|candidate| !lacks(&card(candidate).facts).overlap(needed));
            let least = input_tokens.saturating_sub(input_tokens / ESTIMATE_SLACK);
            self.keep_if_any(|candidate| card(candidate).context.is_none_or(|window| least <= window));
            if needs.contain(Needs::THINKING) {
                self.put_last(|candidate| lacks(&card(candidate).facts).contain(Needs::THINKING));
            }
        }
        Ok(())
    }

    /// Leaves out the targets that do not satisfy this, if any does.
    fn keep_if_any(&mut self, serves: impl Fn(&Candidate<'_>) -> bool) {
        if self.candidates.len() > 1 && self.candidates.iter().any(&serves) {
            self.candidates.retain(serves);
        }
    }

    /// Has the targets for which `is_late` tried after the others.
    fn put_last(&mut self, is_late: impl Fn(&Candidate<'_>) -> bool) {
        self.candidates.iter_mut().for_each(|candidate| candidate.is_late = is_late(candidate));
        self.candidates.sort_by_key(|candidate| candidate.is_late);
    }

    /// Makes a plan stay with the target that it tries first: the first of the list, unless weights decide.
    pub fn refuse_fallbacks(&mut self) {
        self.keeps_to_target = true;
        if self.strategy == Strategy::Priority {
            self.candidates.truncate(1);
        }
    }

    /// Leaves out the targets with another model than the first one. Embeddings of two models cannot be
    /// compared, so that no other model may answer.
    pub fn keep_one_model(&mut self) {
        let base = |target: &Target<'_>| target.upstream.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let Some(first) = self.candidates.first().map(|first| base(&first.target)) else { return };
        self.candidates.retain(|candidate| base(&candidate.target) == first);
    }

    fn no_target(&self, input_tokens: u64, needs: Needs) -> Error {
        let words: Vec<&str> =
            Needs::WORDS.iter().filter(|(_, need)| needs.contain(*need)).map(|(word, _)| *word).collect();
        let words = if words.is_empty() { "nothing but text".to_owned() } else { words.join(", ") };
        let models =
            self.name.map_or("None of the models".to_owned(), |name| format!("No target of the route `{name}`"));
        let message =
            format!("{models} is meant for this request, which has about {input_tokens} tokens and needs: {words}.");
        Error::caller(400, "no_target_fits", message).at("model")
    }
}

/// What a model is known not to serve.
pub fn lacks(facts: &Facts) -> Needs {
    let input = |kind: &str| facts.has(Field::Input, kind) == Some(false);
    let flag = |field: Field| facts.get(field) == Some(Value::Flag(false));
    let thinks = facts.get(Field::Thinks).is_none_or(|thinks| thinks == Value::Flag(true));
    let has_way = ["effort", "budget", "adaptive"].iter().any(|way| facts.has(Field::Thinking, way) != Some(false));
    let never_thinks = !thinks || facts.get(Field::Thinks).is_none() && !has_way;
    let known = [
        (input("image"), Needs::VISION),
        (input("audio"), Needs::AUDIO),
        (input("pdf"), Needs::PDF),
        (flag(Field::Tools), Needs::TOOLS),
        (flag(Field::StructuredOutput), Needs::STRUCTURED_OUTPUT),
        (never_thinks, Needs::THINKING),
    ];
    known.iter().filter(|(is_lacking, _)| *is_lacking).fold(Needs::NONE, |lacks, (_, need)| lacks.with(*need))
}
