//! Reads JSON arrays item by item, so that a long array is never held in memory as a whole.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::typed::Reader;

/// Why an array was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// The value is not an array.
    NotAList,
    /// The item of this index has another type, or was refused.
    Item(usize),
}

/// Passes each item of an array to `take`, which returns false to refuse one and stop.
///
/// # Errors
/// If the value is not an array, or an item has another type or is refused.
pub fn each<'a, T: Deserialize<'a>>(json: &'a str, take: impl FnMut(T) -> bool) -> Result<(), ListError> {
    if !json.trim_ascii_start().starts_with('[') {
        return Err(ListError::NotAList);
    }
    let mut at = 0;
    let items = Items { take, at: &mut at, item: PhantomData };
    Reader::new(json).deserialize_seq(items).map_err(|_| ListError::Item(at))
}

struct Items<'c, T, F> {
    take: F,
    at: &'c mut usize,
    item: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> Visitor<'de> for Items<'_, T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            if !(self.take)(item) {
                return Err(A::Error::custom("refused"));
            }
            *self.at = self.at.saturating_add(1);
        }
        Ok(())
    }
}

/// An array of at most `N` items. A longer one is an error, because an item can take many times the memory of
/// its text.
#[derive(Debug)]
pub struct BoundedList<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Default for BoundedList<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> std::ops::Deref for BoundedList<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for BoundedList<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut few = Vec::new();
        let take = |item| {
            few.push(item);
            few.len() <= N
        };
        deserializer.deserialize_seq(Items { take, at: &mut 0, item: PhantomData })?;
        Ok(Self(few))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_an_error_names_the_refused_one() {
        let mut seen = Vec::new();
        assert_eq!(
            each(" [1, 2,3]", |item: u8| {
                seen.push(item);
                true
            }),
            Ok(())
        );
        assert_eq!(seen, [1, 2, 3]);
        assert_eq!(each("[1,2,3]", |item: u8| item < 3), Err(ListError::Item(2)));
        assert_eq!(each("[1,\"2\"]", |_: u8| true), Err(ListError::Item(1)));
        let list =
            |count: usize| serde_json::from_str::<BoundedList<u8, 3>>(&format!("[{}]", vec!["1"; count].join(",")));
        assert_eq!(*list(3).unwrap(), [1, 1, 1]);
        assert!(list(4).is_err());
        assert_eq!(
            (each("{}", |_: u8| true), each("", |_: u8| true)),
            (Err(ListError::NotAList), Err(ListError::NotAList))
        );
    }
}
