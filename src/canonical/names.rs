//! A list of names without duplicates.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;

/// Up to this length, names are compared one by one.
const FEW: usize = 16;

/// Names without duplicates, in the order of their first occurrence. Adding one takes constant or logarithmic
/// time.
#[derive(Clone, Debug, Default)]
pub struct UniqueNames<'a> {
    list: Vec<Cow<'a, str>>,
    /// The hashes of the names, once there are more than [`FEW`]. Two names with the same hash count as one.
    known: BTreeSet<u64>,
}

impl<'a> UniqueNames<'a> {
    /// Adds a name, unless it is in the list.
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
    fn each_name_is_listed_once_in_order_however_many_there_are() {
        let numbers = (0..50_000).chain(0..50_000).map(|number| number.to_string());
        let names: UniqueNames<'_> = numbers.collect();
        assert_eq!(names.len(), 50_000);
        assert!(names.iter().enumerate().all(|(at, name)| *name == at.to_string()));
        assert_eq!(["b", "a", "b"].into_iter().collect::<UniqueNames<'_>>().into_vec(), ["b", "a"]);
    }
}
