//! Reads objects member by member. Each value stays as it was written until it is needed.

use std::borrow::Cow;
use std::fmt::Display;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::wire::list::{self, ListError};
use crate::wire::typed;

/// The name of a member.
#[derive(Deserialize)]
pub(crate) struct MemberName<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Declares a struct with the known members, `None` where they are missing or null, and the names of unknown
/// members that are not harmless. Unlike with serde's derive, only objects are accepted.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $key:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: Option<&'a serde_json::value::RawValue>,)*
            pub(crate) others: Vec<std::borrow::Cow<'a, str>>,
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                struct MemberVisitor;
                impl<'de> serde::de::Visitor<'de> for MemberVisitor {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut members: A,
                    ) -> std::result::Result<Self::Value, A::Error> {
                        let mut found = $name::default();
                        while let Some($crate::formats::openai::wire::MemberName(key)) = members.next_key()? {
                            match key.as_ref() {
                                $($key => found.$field = members.next_value()?,)*
                                _ => {
                                    let value: &serde_json::value::RawValue = members.next_value()?;
                                    if !$crate::wire::json::is_empty_value(value.get()) {
                                        found.others.push(key);
                                    }
                                }
                            }
                        }
                        Ok(found)
                    }
                }
                deserializer.deserialize_map(MemberVisitor)
            }
        }
    };
}
pub(crate) use object;

/// The text of a JSON string; `None` if it is not a string.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    unquote(raw.get())
}

/// The text of a JSON string; `None` if it is not a string.
pub(crate) fn unquote(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(json).ok().map(Cow::Owned)
}

/// A JSON string, unread; `None` if it is not a string.
pub(crate) fn string(raw: &RawValue) -> Option<Raw<'_>> {
    Some(Raw::from(raw)).filter(Raw::is_text)
}

/// Reads an object; `None` if it is not an object.
pub(crate) fn members<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    typed::from_str(raw?.get()).ok()
}

/// Hands the items of an array to `take`, each with its index. They are not collected: parsed, they take many
/// times the memory of their text.
///
/// # Errors
/// 400 naming the first item that is not an object; errors of `take`.
pub(crate) fn each<'a, T: Deserialize<'a>>(
    json: &'a str,
    place: impl Display,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let (mut index, mut refused) = (0_usize, None);
    let read = list::each(json, |item| {
        refused = take(index, item).err();
        index = index.saturating_add(1);
        refused.is_none()
    });
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(ListError::NotAList)) => Err(wrong(place, "an array of objects")),
        (None, Err(ListError::Item(at))) => Err(wrong(format_args!("{place}[{at}]"), "an object")),
    }
}

/// An error for a value of the wrong type.
pub(crate) fn wrong(place: impl Display, expected: &str) -> Error {
    let place = place.to_string();
    Error::caller(400, "invalid_type", format!("`{place}` must be {expected}.")).at(place)
}
