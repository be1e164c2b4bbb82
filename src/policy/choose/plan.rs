//! Chooses where the next attempt of a request goes: to which target, with which key; or whether to wait, or
//! to stop. A pure function of the plan, the attempts so far and the time.

use crate::config::Region;
use crate::policy::health::Availability;
use crate::policy::rendezvous::{ConversationKey, NodeId};

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
    /// Random bits for the jitter of waits, the same for all choices of a request.
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
    /// By their ranks, the least first; equal ones as they are listed, and those without a rank last.
    Ranked,
}

/// A target, as the choice sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateView {
    /// Its id: a hash of the provider's name and the model's.
    pub id: NodeId,
    /// The index of the provider.
    pub provider: usize,
    /// The region from which its calls leave; `None` if they leave from where this isolate runs.
    pub region: Option<Region>,
    /// Its share of conversations, in relation to the others.
    pub weight: u32,
    /// Its rank, if the plan is ordered by ranks and it has one.
    pub rank: Option<u64>,
    /// Whether it comes after all others, whatever the order.
    pub is_late: bool,
    /// Whether the conditions of the route admit this request. A candidate that they exclude is never chosen.
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
