//! Names of request fields that a provider's format does not support.

use std::borrow::Cow;

use crate::canonical::UniqueNames;

/// Names of unsupported fields, each once, in the order in which they were added.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct UnsupportedFields(UniqueNames<'static>);

impl UnsupportedFields {
    /// Adds a name.
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>) {
        self.0.note(name);
    }

    /// Adds a name if `lost`.
    pub(crate) fn add_if(&mut self, lost: bool, name: &'static str) {
        if lost {
            self.add(name);
        }
    }

    /// The names.
    pub(crate) fn into_names(self) -> Vec<Cow<'static, str>> {
        self.0.into_vec()
    }
}
