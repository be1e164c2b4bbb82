//! The words for reasons, as isolates tell them each other and the admin API shows them.

use crate::policy::failure::FailureClass;

const WORDS: &[(FailureClass, &str)] = &[
    (FailureClass::Rate, "rate"),
    (FailureClass::Quota, "quota"),
    (FailureClass::Credential, "credential"),
    (FailureClass::Overload, "overload"),
    (FailureClass::Context, "context"),
    (FailureClass::Policy, "policy"),
    (FailureClass::Unsupported, "unsupported"),
    (FailureClass::Region, "region"),
    (FailureClass::Caller, "caller"),
    (FailureClass::Empty, "hollow"),
    (FailureClass::Timeout, "timeout"),
    (FailureClass::Unreachable, "unreachable"),
    (FailureClass::Truncated, "truncated"),
];

/// The word for a class.
pub fn word_of(class: FailureClass) -> &'static str {
    WORDS.iter().find(|(known, _)| *known == class).map_or("unknown", |(_, word)| word)
}

/// The class that a word means; `None` for a word of another build.
pub fn class_of(word: &str) -> Option<FailureClass> {
    WORDS.iter().find(|(_, known)| *known == word).map(|(class, _)| *class)
}
