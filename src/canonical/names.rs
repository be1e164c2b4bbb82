//! Names, each once, in the order in which they came. However many there are, noting one more takes no longer.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;

/// So few are compared one by one.
const FEW: usize = 16;

/// Names, each once.
#[derive(Clone, Debug, Default)]
pub struct UniqueNames<'a> {
    list: Vec<Cow<'a, str>>,
    /// Their hashes, if they are not few. Two names with one hash are taken for one.
    known: BTreeSet<u64>,
}

impl<'a> UniqueNames<'a> {
    /// Notes a name.
    pub fn note(&mut self, name: impl Into<Cow<'a, str>>) {
        let name = name.into();
        if self.is_new(&name) {
            self.list.push(name);
        }
    }

    fn is_new(&mut self, name: &str) -> bool {
        if self.list.len() < FEW {
            return !self.list.iter().any(|known| known == name);
        }
        if self.known.is_empty() {
            self.known = self.list.iter().map(|known| hash(known)).collect();
        }
        self.known.insert(hash(name))
    }

    /// The names.
    pub fn into_vec(self) -> Vec<Cow<'a, str>> {
        self.list
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl<'a> Deref for UniqueNames<'a> {
    type Target = [Cow<'a, str>];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl<'a, N: Into<Cow<'a, str>>> FromIterator<N> for UniqueNames<'a> {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.note(name));
        all
    }
}

impl PartialEq for UniqueNames<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_noted_once_in_its_order_however_many_there_are() {
        let numbers = (0..50_000).chain(0..50_000).map(|number| number.to_string());
        let names: UniqueNames<'_> = numbers.collect();
        assert_eq!(names.len(), 50_000);
        assert!(names.iter().enumerate().all(|(at, name)| *name == at.to_string()));
        assert_eq!(["b", "a", "b"].into_iter().collect::<UniqueNames<'_>>().into_vec(), ["b", "a"]);
    }
}
