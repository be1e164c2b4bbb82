//! Chooses where the next attempt of a request goes: to which target, with which key; or whether to wait, or
//! to stop. A pure function of the plan, the attempts so far and the time.

mod decision;
mod next;
mod pair;
mod plan;
mod tried;

pub use decision::{Choice, ChoiceReason, Next, StopReason};
pub use next::{MAX_SUBREQUESTS, MIN_ATTEMPT, RESERVED_SUBREQUESTS, next};
pub use plan::{CandidateOrder, CandidateView, KeyView, PlanView};
pub use tried::{Progress, Tried};

#[cfg(test)]
mod tests;
