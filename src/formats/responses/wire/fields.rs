//! Reads a client's object field by field, so that unknown fields can be reported by name.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::wire::list::{self, ListError};

/// The fields of an object that have not been taken yet. The place `at` is formatted only for errors.
pub(crate) struct Fields<'a>(Vec<(Key<'a>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// 400 if it is not an object.
    pub(crate) fn read(raw: &'a str, at: &dyn Display) -> Result<Self> {
        serde_json::from_str(raw).map_err(|_| wrong(at, "an object"))
    }

    /// Takes a field; `None` if it is missing or `null`. Of two with one name, the last counts.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut found = None;
        self.0.retain(|(key, value)| {
            let matches = key.0 == name;
            if matches {
                found = Some(*value);
            }
            !matches
        });
        found.filter(|value| value.get() != "null")
    }

    /// Takes a field as JSON.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Raw<'a>> {
        self.take(name).map(Raw::from)
    }

    /// Takes a string; `None` if it is missing, `null` or something else.
    pub(crate) fn word(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.take(name).and_then(text)
    }

    /// Takes a required string.
    ///
    /// # Errors
    /// 400 if it is missing or not a string.
    pub(crate) fn text(&mut self, name: &str, at: &dyn Display) -> Result<Cow<'a, str>> {
        self.word(name).ok_or_else(|| wrong(&format_args!("{at}.{name}"), "a string"))
    }

    /// Takes a required string, unread.
    ///
    /// # Errors
    /// 400 if it is missing or not a string.
    pub(crate) fn json_text(&mut self, name: &str, at: &dyn Display) -> Result<Raw<'a>> {
        let raw = self.raw(name).filter(Raw::is_text);
        raw.ok_or_else(|| wrong(&format_args!("{at}.{name}"), "a string"))
    }

    /// Whether a field is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key.0 == name)
    }

    /// The names of the fields that were not taken and hold something.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| !Raw::from(*value).is_blank()).map(|(name, _)| name.0.as_ref())
    }
}

/// The text of a JSON string; `None` if it is not a string.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

/// Hands the items of an array to `take`, each with its index. They are not collected: parsed, they take many
/// times the memory of their text.
///
/// # Errors
/// 400 if it is not an array or an item has the wrong type; errors of `take`.
pub(crate) fn each<'a, T: Deserialize<'a>>(
    raw: &'a str,
    at: &dyn Display,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let (mut number, mut refused) = (0_usize, None);
    let read = list::each(raw, |item| {
        refused = take(number, item).err();
        number = number.saturating_add(1);
        refused.is_none()
    });
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(ListError::NotAList)) => Err(wrong(at, "an array")),
        (None, Err(ListError::Item(bad))) => Err(wrong(&format_args!("{at}[{bad}]"), "an object")),
    }
}

/// A field that violates the format.
pub(crate) fn wrong(at: &dyn Display, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{at}` must be {expected}.")).at(at.to_string())
}

/// The contents of a JSON string, still escaped; empty if it is not a string.
pub(crate) fn escaped_text<'r>(raw: &'r Raw<'_>) -> &'r str {
    raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct FieldVisitor;
        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(4);
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldVisitor)
    }
}
