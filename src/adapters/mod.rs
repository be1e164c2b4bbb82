//! The wire formats, one folder each. No adapter names another; none waits for anything.

pub mod echo;
pub mod openai;

use crate::config::AdapterKind;

/// What a provider's row may name as its `adapter`; the first is meant where it names none.
pub const KINDS: &[AdapterKind] = &[openai::KIND, echo::KIND];
