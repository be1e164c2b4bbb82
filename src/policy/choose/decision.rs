//! What is done next for a request.

use crate::config::Millis;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An attempt.
    Try(Choice),
    /// A wait of so many milliseconds; then [`super::next()`] is asked again. The client may leave meanwhile.
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
