//! What decides which target a request tries: its conversation, its demands, and what it will cost where.

use super::attempt::Attempt;
use super::conversation::ConversationKeys;
use super::drive::{Answer, Drive};
use super::estimate;
use super::failure::Failure;
use super::plan::Plan;
use super::planned_attempt::Resumes;
use super::platform::Platform;
use super::request_head::RequestHead;
use super::tries::TryRules;
use crate::config::{Millis, Recover, Strategy};
use crate::policy::failure::FailureClass;
use crate::policy::routing::{Candidate, Target};

impl<'r, P: Platform> Drive<'r, P> {
    /// What decides which target is tried.
    pub(super) fn try_rules(
        &self,
        head: &RequestHead<'_>,
        plan: &Plan<'r, '_>,
        conversation: ConversationKeys,
    ) -> TryRules {
        let (envelope, rules) = (&plan.envelope, &self.client.rules);
        let totals = plan.route.candidates.iter().map(|candidate| candidate.target.clocks.total);
        let recover = plan.route.recover;
        TryRules {
            conversation,
            ranks: Vec::new(),
            input_tokens: self.input_tokens(plan),
            is_repeatable: !(rules.has_effects)(&envelope.document),
            client_retries: head.is_retry(),
            windows: plan.route.candidates.iter().map(|candidate| self.card(&candidate.target, &[]).context).collect(),
            deadline: self.record.started().saturating_add(totals.max().unwrap_or_default()),
            hold: (recover == Recover::Buffer).then(|| plan.route.hold.unwrap_or(Millis::MAX)),
            resumes: match recover {
                Recover::Off | Recover::Buffer => None,
                Recover::Restart => Some(Resumes::Thoughts),
                Recover::Continue => Some(Resumes::Text),
            },
        }
    }

    /// About how many tokens the prompt has.
    fn input_tokens(&self, plan: &Plan<'r, '_>) -> u64 {
        let read = || (self.client.rules.demands)(&plan.envelope.document).prompt_tokens;
        plan.route.input_tokens.unwrap_or_else(read)
    }

    /// The ranks of the candidates: by what the request will cost at each, or by how soon each responds. None
    /// if the route's strategy has no ranks.
    pub(super) fn ranks(
        &self,
        plan: &Plan<'r, '_>,
        attempts: &[Attempt<'_, '_, '_>],
        conversation: ConversationKeys,
    ) -> Vec<Option<u64>> {
        let (now, candidates) = (self.platform.now(), &plan.route.candidates);
        let prompt = || self.input_tokens(plan);
        match plan.route.strategy {
            Strategy::Priority | Strategy::Weighted => Vec::new(),
            Strategy::Cheapest => {
                let prompt = prompt();
                let rank = |candidate: &Candidate<'_>| {
                    let attempt = attempts.iter().find(|attempt| std::ptr::eq(attempt.target, &candidate.target))?;
                    let warm = self.bridge.warm.tokens(conversation.own, candidate.target.cache(), now);
                    estimate::expected_cost(attempt, prompt, warm)
                };
                candidates.iter().map(rank).collect()
            }
            Strategy::Fastest => {
                let nodes: Vec<_> = candidates.iter().map(|candidate| candidate.target.node()).collect();
                let ranks = self.bridge.speeds.borrow().ranks(&nodes, prompt(), conversation.preferred, now);
                ranks.into_iter().map(|rank| Some(rank as u64)).collect()
            }
        }
    }

    /// Notes what an attempt teaches for the strategy of its route: where the prompt has been read, and when
    /// the first token came.
    pub(super) fn note_served(&self, plan: &Plan<'r, '_>, rules: &TryRules, target: &Target<'_>, answer: &Answer<P>) {
        let (now, tokens) = (self.platform.now(), rules.input_tokens);
        match plan.route.strategy {
            Strategy::Priority | Strategy::Weighted => {}
            Strategy::Cheapest => self.bridge.warm.note(rules.conversation.own, target.cache(), tokens, now),
            Strategy::Fastest => {
                let Some(attempt) = &self.attempt else { return };
                let first = match answer {
                    Answer::Opened(_) if attempt.outlook.hold.is_none() => Some(now),
                    // It was held; its content came soon after its first bytes.
                    Answer::Opened(opened) => opened.relay.first_byte(),
                    // A response that was not asked for as a stream tells nothing of its first token.
                    Answer::Whole(_) if attempt.outlook.may_go_on => self.record.first_byte(),
                    Answer::Whole(_) | Answer::Streamed => None,
                };
                let Some(first) = first else { return };
                self.bridge.speeds.borrow_mut().note(target.node(), tokens, first.saturating_sub(attempt.began), now);
            }
        }
    }

    /// Notes that an attempt has failed, if that counts as slow.
    pub(super) fn note_failed(&self, plan: &Plan<'r, '_>, rules: &TryRules, target: &Target<'_>, failure: &Failure) {
        let is_fast = plan.route.strategy == Strategy::Fastest;
        let Some(attempt) = self.attempt.as_ref().filter(|_| is_fast && is_slow(failure.cause.class)) else { return };
        let now = self.platform.now();
        let took = now.saturating_sub(attempt.began);
        self.bridge.speeds.borrow_mut().note_failure(target.node(), rules.input_tokens, took, now);
    }
}

/// Whether a failure of this class tells of the target, and not of the request or of a key.
fn is_slow(class: FailureClass) -> bool {
    match class {
        FailureClass::Overload
        | FailureClass::Capacity
        | FailureClass::Unreachable
        | FailureClass::Timeout
        | FailureClass::Hollow
        | FailureClass::Truncated => true,
        FailureClass::Rate
        | FailureClass::Quota
        | FailureClass::Credential
        | FailureClass::Context
        | FailureClass::TpmSize
        | FailureClass::Policy
        | FailureClass::Unsupported
        | FailureClass::Region
        | FailureClass::Caller => false,
    }
}
