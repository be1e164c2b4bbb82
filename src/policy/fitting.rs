//! Leaves out the targets of a route that are not tried for a request.

use super::model_card::ModelCard;
use super::routing::{Candidate, Route, Target};
use crate::catalogue::Facts;
use crate::catalogue::field::{Field, Value};
use crate::config::{Millis, Needs, Strategy};
use crate::error::{Error, Result};

impl Route<'_> {
    /// Whether [`Route::fit`] may leave a target out.
    pub fn has_choice(&self) -> bool {
        self.candidates.len() > 1 || self.name.is_some()
    }

    /// Leaves out the targets whose conditions a request does not meet, and, if others are left, those whose
    /// models are known not to serve it. `input_tokens`: about how long its prompt is.
    ///
    /// # Errors
    /// 400 `no_target_fits` if the request meets the conditions of no target.
    pub fn fit(&mut self, input_tokens: u64, needs: Needs, now: Millis) -> Result<()> {
        self.candidates.retain(|candidate| candidate.when.admits(input_tokens, needs));
        if self.candidates.is_empty() {
            return Err(self.no_target(input_tokens, needs));
        }
        let can_serve = |candidate: &Candidate<'_>| {
            let Target { provider, model, upstream, .. } = &candidate.target;
            !lacks(&ModelCard::of(provider, model, upstream, now).facts).overlap(needs)
        };
        if needs != Needs::NONE && self.candidates.len() > 1 && self.candidates.iter().any(can_serve) {
            self.candidates.retain(can_serve);
        }
        Ok(())
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
    let known = [
        (input("image"), Needs::VISION),
        (input("audio"), Needs::AUDIO),
        (input("pdf"), Needs::PDF),
        (flag(Field::Tools), Needs::TOOLS),
        (flag(Field::StructuredOutput), Needs::STRUCTURED_OUTPUT),
    ];
    known.iter().filter(|(is_lacking, _)| *is_lacking).fold(Needs::NONE, |lacks, (_, need)| lacks.with(*need))
}
