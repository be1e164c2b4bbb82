//! The classes of failures by the words with which isolates tell them each other.

use crate::policy::failure::FailureClass;

/// All classes after which something rests or a breaker opens.
const REASONS: &[FailureClass] = &[
    FailureClass::Rate,
    FailureClass::Quota,
    FailureClass::Credential,
    FailureClass::Overload,
    FailureClass::Capacity,
    FailureClass::Region,
    FailureClass::Unreachable,
    FailureClass::Timeout,
    FailureClass::Hollow,
    FailureClass::Truncated,
];

/// The class with this name; `None` for one of another build, or one that is no reason.
pub fn reason_of(name: &str) -> Option<FailureClass> {
    REASONS.iter().copied().find(|class| class.name() == name)
}
