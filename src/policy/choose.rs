//! Chooses where the next attempt of a request goes: to which target, with which key; or whether to wait, or
//! to stop. A pure function of the plan, the attempts so far and the time.

use super::failure::{FailureClass, FailureScope};
use super::health::Availability;
use super::rendezvous::{ConversationKey, NodeId};
use crate::config::Millis;

/// The least time that an attempt must have before the request's deadline: none begins that cannot end.
pub const MIN_ATTEMPT: Millis = 1_000;
/// The calls of other services that one request may make on the platform's free plan.
/// <https://developers.cloudflare.com/workers/platform/limits/#subrequests>
pub const MAX_SUBREQUESTS: u32 = 50;
/// How many of them are kept for what comes after the attempts: receipts and their repetitions, the renewal
/// of leases, token counts, the reasoning store, the shared health.
pub const RESERVED_SUBREQUESTS: u32 = 12;

/// What is known of a request's plan at the moment. It is made anew for each choice, because attempts of this
/// and of other requests change the health of targets.
#[derive(Clone, Copy, Debug)]
pub struct PlanView<'p> {
    /// The targets, in the order of the route.
    pub candidates: &'p [CandidateView],
    /// The most attempts of the whole plan, at least 1.
    pub attempts: u32,
    /// How the targets are ordered.
    pub order: CandidateOrder,
    /// What the choice of target and key is stable for.
    pub conversation: ConversationKey,
    /// Whether a target that refuses the request by its content policy is followed by the next
    /// (`on_content_filter: next`).
    pub continues_after_policy: bool,
    /// Whether the request may be sent again although a provider may have begun to work on it. Not if the
    /// work has effects (server-side tools, stored responses) or is dear (images, audio).
    pub is_repeatable: bool,
    /// The most tokens that the prompt can have.
    pub input_tokens: u64,
    /// The calls of other services that the request has made so far.
    pub subrequests: u32,
    /// Random bits, for the jitter of waits.
    pub random: u64,
}

/// How the targets of a plan are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CandidateOrder {
    /// As they are listed.
    #[default]
    Listed,
    /// By weighted rendezvous hashing of the conversation.
    Weighted,
}

/// A target, as the choice sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateView {
    /// Its id: a hash of the provider's name and the model's.
    pub id: NodeId,
    /// The index of the provider.
    pub provider: usize,
    /// Its share of conversations, in relation to the others.
    pub weight: u32,
    /// Whether the conditions of the route admit this request. A candidate that does not is never chosen.
    pub is_admitted: bool,
    /// The context window in tokens, if it is known.
    pub window: Option<u64>,
    /// The keys of the provider, in the order of the configuration. One if the provider needs none.
    pub keys: Vec<KeyView>,
}

/// A key, as the choice sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its id.
    pub id: NodeId,
    /// The index of its account: keys of one account share limits.
    pub account: usize,
    /// Its share of conversations, in relation to the others.
    pub weight: u32,
    /// Whether an attempt at this target with this key may begin.
    pub availability: Availability,
}

/// An attempt of this request that has ended without a response for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The index of the candidate.
    pub candidate: usize,
    /// The index of the key.
    pub key: usize,
    /// What went wrong.
    pub class: FailureClass,
    /// What fails with it.
    pub scope: FailureScope,
    /// How long the provider asks to wait, counted from `ended`.
    pub wait: Option<Millis>,
    /// How far it had come.
    pub progress: Progress,
    /// When it ended, in milliseconds since 1970.
    pub ended: Millis,
}

/// How far an attempt had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing had been sent.
    Unsent,
    /// The provider refused it, with a status or an error: it has done no work.
    Refused,
    /// It had been sent, and no head had come.
    AwaitingHead,
    /// A head of success had come, and no content.
    BeforeContent,
    /// Content had come, and has left for the client.
    AfterContent,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An attempt.
    Try(Choice),
    /// A wait of so many milliseconds; then [`next`] is asked again. The client may leave meanwhile.
    Wait(Millis),
    /// Nothing: the client is told of a failure.
    Stop(StopReason),
}

/// Where an attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The index of the candidate.
    pub candidate: usize,
    /// The index of the key among the provider's; 0 if it needs none.
    pub key: usize,
    /// Why it was chosen.
    pub reason: ChoiceReason,
}

/// Why a target and a key were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceReason {
    /// It is the first of the order, and nothing is against it.
    First,
    /// Those before it are not usable at the moment, or do not admit the request.
    Skipped,
    /// Another target, after a failed attempt.
    OtherTarget,
    /// Another key of the same target, after a failed attempt.
    OtherKey,
    /// The same target and key once more: the connection had broken before the head.
    Reconnect,
    /// The same target and key once more: it has rested.
    Rested,
    /// Nothing is usable, and this is the least bad.
    LeastBad,
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The plan has no target for this request.
    NoCandidate,
    /// No other target or key could do better: the fault is the caller's, or the content policy's.
    Final,
    /// Content has left for the client.
    ContentLeft,
    /// A provider may have begun the work, and it must not be done twice.
    NotRepeatable,
    /// All attempts of the plan are used up.
    AttemptsUsedUp,
    /// All targets and keys that could help have been tried.
    Exhausted,
    /// What is left needs more time than the request has.
    NoTime,
    /// The platform allows no more calls.
    SubrequestsUsedUp,
}

/// Chooses what comes next. `tried`: the attempts of this request so far, in their order, each of which has
/// been reported to the health; `deadline`: when the request's time is over.
pub fn next(plan: &PlanView<'_>, tried: &[Tried], now: Millis, deadline: Millis) -> Next {
    let _ = (now, deadline);
    let untried = |candidate: usize, key: usize| {
        !tried.iter().any(|attempt| attempt.candidate == candidate && attempt.key == key)
    };
    for (candidate, view) in plan.candidates.iter().enumerate().filter(|(_, view)| view.is_admitted) {
        for key in (0..view.keys.len()).filter(|key| untried(candidate, *key)) {
            return Next::Try(Choice { candidate, key, reason: ChoiceReason::First });
        }
    }
    Next::Stop(StopReason::Exhausted)
}
