//! What a request with a choice of targets has tried, and what it may try next.

use super::bridge::Bridge;
use super::conversation::ConversationKeys;
use super::failure::{Failure, FailureStage};
use super::health::CandidateRules;
use super::plan::Plan;
use super::planned_attempt::{Outlook, Resumes};
use crate::catalogue::causes::hint_headers;
use crate::config::{Millis, OnContentFilter, Strategy};
use crate::policy::choose::{CandidateOrder, Next, PlanView, Progress, Tried, next};
use crate::policy::failure::{FailureClass, may_retry_help, most_useful};
use crate::policy::routing::{self, Target};
use crate::policy::waiting::Wait;

/// The calls of other services that a request has made when its first attempt begins: of accounts.
const FIRST_SUBREQUESTS: u32 = 3;

/// What decides which target is tried.
pub(super) struct TryRules {
    /// What the choice is stable for, and the request's own conversation.
    pub(super) conversation: ConversationKeys,
    /// The tokens of the prompt, estimated.
    pub(super) input_tokens: u64,
    /// Whether the request may be sent again although a provider may have begun to work on it.
    pub(super) is_repeatable: bool,
    /// The client sends the request again itself, if it fails: the gateway does not wait for it as well.
    pub(super) client_retries: bool,
    /// The context windows of the candidates in tokens, as far as they are known.
    pub(super) windows: Vec<Option<u64>>,
    /// The ranks of the candidates, if the strategy orders them so.
    pub(super) ranks: Vec<Option<u64>>,
    /// When the request's time is over.
    pub(super) deadline: Millis,
    /// The longest that a stream is held, so that another attempt can begin anew; `None` if it is not.
    pub(super) hold: Option<Millis>,
    /// The sent content after which another attempt may go on with the stream; `None`: after none.
    pub(super) resumes: Option<Resumes>,
}

/// What a request has tried.
pub(super) struct Tries {
    rules: TryRules,
    tried: Vec<Tried>,
    failures: Vec<Failure>,
}

impl Tries {
    /// Nothing has been tried.
    pub(super) fn new(rules: TryRules) -> Self {
        Self { rules, tried: Vec::new(), failures: Vec::new() }
    }

    /// What comes next. `random`: random bits.
    pub(super) fn next(&self, bridge: &Bridge, plan: &Plan<'_, '_>, now: Millis, random: u64) -> Next {
        let (route, rules) = (&plan.route, &self.rules);
        let first = self.tried.first().map(|tried| tried.candidate);
        let mut keys = 0;
        let mut candidates = Vec::with_capacity(route.candidates.len());
        for (index, candidate) in route.candidates.iter().enumerate() {
            let is_kept = !route.keeps_to_target || first.is_none_or(|first| first == index);
            let has_mode = plan.modes.get(index).is_some_and(Option::is_some);
            let is_admitted = is_kept && has_mode;
            let window = rules.windows.get(index).copied().flatten();
            let rank = rules.ranks.get(index).copied().flatten();
            let view =
                CandidateRules { weight: candidate.weight, rank, is_late: candidate.is_late, is_admitted, window };
            let view = bridge.health.view(&candidate.target, view, now);
            keys += view.keys.len();
            candidates.push(view);
        }
        let view = PlanView {
            candidates: &candidates,
            attempts: route.attempts(keys),
            order: match route.strategy {
                Strategy::Priority => CandidateOrder::Listed,
                Strategy::Weighted => CandidateOrder::Weighted,
                Strategy::Cheapest | Strategy::Fastest => CandidateOrder::Ranked,
            },
            conversation: rules.conversation.preferred,
            continues_after_policy: route.on_content_filter == OnContentFilter::Next,
            is_repeatable: rules.is_repeatable,
            input_tokens: rules.input_tokens,
            subrequests: FIRST_SUBREQUESTS.saturating_add(u32::try_from(self.tried.len()).unwrap_or(u32::MAX)),
            random,
        };
        next(&view, &self.tried, now, rules.deadline)
    }

    /// What decides which target is tried.
    pub(super) fn rules(&self) -> &TryRules {
        &self.rules
    }

    /// Adds an attempt that failed.
    pub(super) fn add(&mut self, candidate: usize, key: usize, failure: Failure, ended: Millis) {
        let cause = failure.cause;
        self.tried.push(Tried {
            candidate,
            key,
            class: cause.class,
            scope: cause.scope,
            wait: cause.wait.map(Wait::until_next_try),
            progress: progress(&failure),
            ended,
        });
        self.failures.push(failure);
    }

    /// How many attempts so far a provider may bill for.
    pub(super) fn billable(&self) -> u64 {
        self.failures.iter().filter(|failure| failure.billable).count() as u64
    }

    /// Whether the client would be served by a wait: it sends the request again itself.
    pub(super) fn leaves_waiting_to_client(&self) -> bool {
        self.rules.client_retries
    }

    /// What may follow the attempt that begins now.
    pub(super) fn outlook(&self, bridge: &Bridge, plan: &Plan<'_, '_>) -> Outlook {
        let keys: usize =
            plan.route.candidates.iter().map(|candidate| bridge.account(candidate.target.index).keys().len()).sum();
        let left = plan.route.attempts(keys) as usize;
        let may_go_on = self.tried.len() + 1 < left;
        Outlook {
            may_go_on,
            hold: self.rules.hold.filter(|_| may_go_on && self.rules.is_repeatable),
            resumes: self.rules.resumes.filter(|_| may_go_on),
            continues_after_policy: plan.route.on_content_filter == OnContentFilter::Next,
        }
    }

    /// The failure that the caller is told of, with the least wait that any target asks for.
    pub(super) fn into_failure(mut self, bridge: &Bridge, plan: &Plan<'_, '_>) -> Failure {
        let causes: Vec<_> = self.failures.iter().map(|failure| failure.cause).collect();
        let Some(told) = most_useful(&causes) else { return no_target(bridge, plan) };
        let failure = self.failures.swap_remove(told.index);
        let mut error = failure.error;
        if causes.len() > 1 {
            // What one target says of itself does not hold for the others.
            error = hint_headers().iter().fold(error, |error, name| error.without_header(name));
        }
        let own = failure.cause.wait.map(Wait::stated);
        let states_wait = error.headers().iter().any(|(name, _)| name.starts_with("retry-after"));
        if let Some(wait) = told.wait.filter(|wait| !states_wait || own.is_some_and(|own| own > *wait)) {
            error = error.without_header("retry-after").without_header("retry-after-ms");
            error = error.with_header("retry-after", wait.div_ceil(1_000).to_string());
        }
        if !may_retry_help(&causes) {
            error = error.without_header("x-should-retry");
            error = error.with_header("x-should-retry", "false");
        }
        if let Some(field) = plan.route.bound_by.as_ref().filter(|_| is_elsewhere(failure.cause.class)) {
            error = error.advised(&format!(
                "This request cannot move to another target of its route: `{field}` means nothing to other accounts."
            ));
        }
        // Each attempt has been charged already.
        Failure { error, billable: false, response: None, ..failure }
    }
}

/// Whether another target could do what fails here for this reason.
fn is_elsewhere(class: FailureClass) -> bool {
    match class {
        FailureClass::Caller | FailureClass::Policy | FailureClass::Context | FailureClass::TpmSize => false,
        FailureClass::Rate
        | FailureClass::Capacity
        | FailureClass::Quota
        | FailureClass::Credential
        | FailureClass::Overload
        | FailureClass::Unreachable
        | FailureClass::Timeout
        | FailureClass::Hollow
        | FailureClass::Truncated
        | FailureClass::Region
        | FailureClass::Unsupported => true,
    }
}

/// How far a failed attempt had come.
fn progress(failure: &Failure) -> Progress {
    match failure.stage {
        FailureStage::BeforeSend => Progress::Unsent,
        FailureStage::AwaitingHead if failure.error.is_reported() => Progress::Refused,
        FailureStage::AwaitingHead => match failure.cause.class {
            FailureClass::Timeout | FailureClass::Unreachable => Progress::AwaitingHead,
            _ => Progress::Refused,
        },
        FailureStage::BeforeContent | FailureStage::Held => Progress::BeforeContent,
        FailureStage::AfterContent => Progress::AfterContent,
    }
}

/// The failure of a request that no target was tried for.
fn no_target(bridge: &Bridge, plan: &Plan<'_, '_>) -> Failure {
    let candidates = plan.route.candidates.iter().map(|candidate| &candidate.target);
    let unset = |target: &Target<'_>| bridge.account(target.index).key(&target.provider.name, 0).err();
    let mut errors = candidates.map(unset);
    let first = errors.next().flatten();
    let all_unset = first.is_some() && errors.all(|error| error.is_some());
    let name = &plan.envelope.model.name;
    first.filter(|_| all_unset).unwrap_or_else(|| routing::no_target(name)).into()
}
