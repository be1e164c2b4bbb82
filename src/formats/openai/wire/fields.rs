//! Objects of this format, taken apart member by member; each value stays as it was written until someone needs to read it.

use std::borrow::Cow;
use std::fmt::Display;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::wire::list::{self, Stop};

/// The name of a member.
#[derive(Deserialize)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A struct of the members that are known, `None` where they are missing or null, and the names of others that say something.
/// Unlike what serde derives, it is read from objects only.
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
                struct Collect;
                impl<'de> serde::de::Visitor<'de> for Collect {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut members: A,
                    ) -> std::result::Result<Self::Value, A::Error> {
                        let mut found = $name::default();
                        while let Some($crate::formats::openai::wire::Key(key)) = members.next_key()? {
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
                deserializer.deserialize_map(Collect)
            }
        }
    };
}
pub(crate) use object;

/// The text of a JSON string; `None` if it is something else.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    unquote(raw.get())
}

/// The text of a JSON string; `None` if it is something else.
pub(crate) fn unquote(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(json).ok().map(Cow::Owned)
}

/// A JSON string, unread; `None` if it is something else.
pub(crate) fn string(raw: &RawValue) -> Option<Raw<'_>> {
    Some(Raw::from(raw)).filter(Raw::is_text)
}

/// An object, taken apart; `None` if it is something else.
pub(crate) fn members<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Hands over the items of a list of objects one by one, each with its number: as objects, they take many times the memory of their text.
///
/// # Errors
/// 400 naming the first item that is no object; as `take`.
pub(crate) fn each<'a, T: Deserialize<'a>>(
    json: &'a str,
    place: impl Display,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let (mut at, mut refused) = (0_usize, None);
    let read = list::each(json, |item| {
        refused = take(at, item).err();
        at = at.saturating_add(1);
        refused.is_none()
    });
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(Stop::NoList)) => Err(wrong(place, "an array of objects")),
        (None, Err(Stop::Item(at))) => Err(wrong(format_args!("{place}[{at}]"), "an object")),
    }
}

/// What stands at a place is of the wrong kind.
pub(crate) fn wrong(place: impl Display, expected: &str) -> Error {
    let place = place.to_string();
    Error::caller(400, "invalid_type", format!("`{place}` must be {expected}.")).at(place)
}
