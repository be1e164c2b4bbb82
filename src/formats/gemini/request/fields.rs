//! Reads a client's object field by field, in camel case or snake case, so that unknown fields can be reported by
//! name.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::wire::list::{self, ListError};

/// The fields of an object that have not been taken yet, by their names in camel case. The place `at` is formatted
/// only for errors.
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The most fields of an object: looking one up takes as many comparisons.
const MAX_FIELDS: usize = 256;

impl<'a> Fields<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// 400 if it is not an object, or has a field twice.
    pub(crate) fn read(raw: &'a str, at: &dyn Display) -> Result<Self> {
        serde_json::from_str(raw).map_err(|_| wrong(at, "an object that has no field twice"))
    }

    /// Takes a field; `None` if it is missing or `null`.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.swap_remove(at).1).filter(|value| value.get() != "null")
    }

    /// Takes a field as JSON.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Raw<'a>> {
        self.take(name).map(Raw::from)
    }

    /// Takes an object's fields; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not an object.
    pub(crate) fn object(&mut self, name: &str, at: &dyn Display) -> Result<Option<Self>> {
        let value = self.take(name);
        value.map(|value| Self::read(value.get(), &Member { at, name })).transpose()
    }

    /// Takes a string; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not a string.
    pub(crate) fn text(&mut self, name: &str, at: &dyn Display) -> Result<Option<Cow<'a, str>>> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        text(raw).map(Some).ok_or_else(|| wrong(&format_args!("{at}.{name}"), "a string"))
    }

    /// Takes a required string.
    ///
    /// # Errors
    /// 400 if it is missing or not a string.
    pub(crate) fn need_text(&mut self, name: &str, at: &dyn Display) -> Result<Cow<'a, str>> {
        self.text(name, at)?.ok_or_else(|| required(&format_args!("{at}.{name}")))
    }

    /// Takes a string, unread; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not a string.
    pub(crate) fn json_text(&mut self, name: &str, at: &dyn Display) -> Result<Option<Raw<'a>>> {
        let raw = self.raw(name);
        if raw.as_ref().is_some_and(|raw| !raw.is_text()) {
            return Err(wrong(&format_args!("{at}.{name}"), "a string"));
        }
        Ok(raw)
    }

    /// Takes a number, unread; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not a number.
    pub(crate) fn number(&mut self, name: &str, at: &dyn Display) -> Result<Option<Raw<'a>>> {
        let raw = self.raw(name);
        let is_number = |raw: &Raw<'_>| raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if raw.as_ref().is_some_and(|raw| !is_number(raw)) {
            return Err(wrong(&format_args!("{at}.{name}"), "a number"));
        }
        Ok(raw)
    }

    /// Takes a boolean; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not a boolean.
    pub(crate) fn boolean(&mut self, name: &str, at: &dyn Display) -> Result<Option<bool>> {
        match self.take(name).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(&format_args!("{at}.{name}"), "true or false")),
        }
    }

    /// The names of all fields that were not taken.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The names of the fields that were not taken and hold something.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> =
            self.0.iter().filter(|(_, value)| !Raw::from(*value).is_blank()).map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        names.into_iter()
    }
}

/// The place of a member. The body itself has no name.
struct Member<'m> {
    at: &'m dyn Display,
    name: &'m str,
}

impl Display for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_string();
        if at.is_empty() { f.write_str(self.name) } else { write!(f, "{at}.{}", self.name) }
    }
}

/// A name in camel case. Google reads each field under both names.
pub(crate) fn camel(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.contains('_') {
        return name;
    }
    let mut camel = String::with_capacity(name.len());
    let mut raises = false;
    for c in name.chars() {
        match c {
            '_' if !camel.is_empty() => raises = true,
            c if std::mem::take(&mut raises) => camel.push(c.to_ascii_uppercase()),
            c => camel.push(c),
        }
    }
    Cow::Owned(camel)
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
        (None, Err(ListError::Item(bad))) => {
            Err(wrong(&format_args!("{at}[{bad}]"), "an object that has no field twice"))
        }
    }
}

/// The error for a field of the wrong type or value.
pub(crate) fn wrong(at: &dyn Display, expected: &str) -> Error {
    Error::caller(400, "invalid_value", format!("`{at}` must be {expected}.")).at(at.to_string())
}

/// The error for a required field that is missing.
pub(crate) fn required(at: &dyn Display) -> Error {
    Error::caller(400, "missing_required_parameter", format!("`{at}` is required.")).at(at.to_string())
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
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(4);
                while let Some((Key(name), value)) = map.next_entry()? {
                    let name = camel(name);
                    if fields.len() >= MAX_FIELDS || fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom("a field stands twice, or there are too many"));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_two_names_and_may_stand_once() {
        for (name, expected) in [
            ("maxOutputTokens", "maxOutputTokens"),
            ("max_output_tokens", "maxOutputTokens"),
            ("top_p", "topP"),
            ("any_of", "anyOf"),
            ("_x", "_x"),
        ] {
            assert_eq!(camel(Cow::Borrowed(name)), expected);
        }
        let mut fields = Fields::read(r#"{"top_p":1,"t\u006fpK":2,"odd":null}"#, &"x").unwrap();
        assert_eq!(fields.take("topP").map(RawValue::get), Some("1"));
        assert_eq!(fields.rest().collect::<Vec<_>>(), ["topK"]);
        for twice in [r#"{"topP":1,"top_p":1}"#, r#"{"a":1,"a":1}"#, "[]", "7"] {
            assert!(Fields::read(twice, &"x").is_err(), "{twice}");
        }
    }
}
