//! What is known of a response for a client besides its candidates.

use super::super::sealed;
use super::super::wire::written::{WrittenCandidate, WrittenResponse, WrittenUsage};
use super::candidate::Candidate;
use crate::canonical::{Raw, ResponseEvent, Usage};
use crate::formats::client_format::ResponseHead;

/// The tiers that the format has words for, by the words of providers.
const TIERS: &[(&str, &str)] =
    &[("standard", "standard"), ("default", "standard"), ("priority", "priority"), ("flex", "flex")];

/// What is known of a response so far.
pub(crate) struct ResponseState {
    id: String,
    model: String,
    usage: Usage,
    tier: Option<&'static str>,
    candidates: Vec<Candidate>,
    /// Whether the client asked for thoughts.
    pub(crate) shows_thoughts: bool,
}

impl ResponseState {
    pub(crate) fn new(head: ResponseHead) -> Self {
        let (id, shows_thoughts) = (format!("{:032x}", head.random), head.repeated.is_some());
        Self { id, model: head.model, usage: Usage::default(), tier: None, candidates: Vec::new(), shows_thoughts }
    }

    /// Takes what an event says of the whole response.
    pub(crate) fn update(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { model: Some(model), .. } => model.as_ref().clone_into(&mut self.model),
            ResponseEvent::Usage(usage) => self.usage = *usage,
            ResponseEvent::Tier(tier) => {
                self.tier = TIERS.iter().find(|(known, _)| known == tier).map(|(_, word)| *word);
            }
            ResponseEvent::Finish { choice, reason } => self.candidate(*choice).finish = Some(*reason),
            _ => {}
        }
    }

    /// Adds the sealed state of a call. Returns the signature if the call has been written already.
    pub(crate) fn sign(&mut self, id: &str, memory: &Raw<'_>) -> Option<String> {
        let signature = sealed::signature(id, &memory.text()?)?;
        let is_signed = self.candidates.iter_mut().any(|candidate| candidate.sign(id, &signature));
        (!is_signed).then_some(signature)
    }

    /// The candidate of a choice.
    pub(crate) fn candidate(&mut self, choice: u32) -> &mut Candidate {
        let at = self.candidates.iter().position(|candidate| candidate.index == choice);
        let at = at.unwrap_or_else(|| {
            self.candidates.push(Candidate::new(choice));
            self.candidates.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or added above")]
        &mut self.candidates[at]
    }

    /// All candidates in their order; at least one.
    pub(crate) fn take_candidates(&mut self) -> Vec<Candidate> {
        if self.candidates.is_empty() {
            self.candidate(0);
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_by_key(|candidate| candidate.index);
        candidates
    }

    /// A chunk.
    pub(crate) fn chunk<'c>(&'c self, candidate: WrittenCandidate<'c>) -> WrittenResponse<'c> {
        WrittenResponse {
            candidates: vec![candidate],
            usage_metadata: None,
            model_version: &self.model,
            response_id: &self.id,
        }
    }

    /// A whole response, or the last chunk of one.
    pub(crate) fn last<'c>(&'c self, candidates: Vec<WrittenCandidate<'c>>) -> WrittenResponse<'c> {
        WrittenResponse {
            candidates,
            usage_metadata: Some(WrittenUsage::new(&self.usage, self.tier)),
            model_version: &self.model,
            response_id: &self.id,
        }
    }
}
