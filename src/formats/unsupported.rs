//! What a provider will not be told of a request, because its format has no place for it.

use std::borrow::Cow;

use crate::canonical::UniqueNames;

/// The names of what is left out, each once, in the order in which they were noted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Dropped(UniqueNames<'static>);

impl Dropped {
    /// Notes a name.
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>) {
        self.0.note(name);
    }

    /// Notes a name, if what it names is lost.
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
