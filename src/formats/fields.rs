//! Reads a client's object field by field, so that unknown fields can be reported by name. A format gives the words
//! of its errors, and the names of its fields.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::canonical::{Raw, text_of};
use crate::error::{Error, Result};
use crate::wire::list::{self, ListError};
use crate::wire::typed;

/// How a format calls what it expects, and what it does with names.
pub(crate) trait Words {
    /// "an object", as the format says it; likewise the others.
    const OBJECT: &str;
    const TEXT: &str;
    const NUMBER: &str = "a number";
    const BOOLEAN: &str;
    const LIST: &str;
    /// Whether a list of one item may be written as that item.
    const LONE_ITEMS: bool = false;
    /// Names that are written in several ways, and may then stand once only.
    const SPELLING: Option<Spelling> = None;

    /// A field that violates the format.
    fn wrong(at: &dyn Display, expected: &str) -> Error;

    /// A required field that is missing.
    fn required(at: &dyn Display) -> Error;

    /// The place of an item.
    fn item(at: &dyn Display, index: usize) -> String {
        format!("{at}[{index}]")
    }
}

/// Writes a name as the format's reader expects it.
pub(crate) type Spelling = fn(Cow<'_, str>) -> Cow<'_, str>;

/// The fields of an object that have not been taken yet. The place `at` is formatted only for errors.
pub(crate) struct Fields<'a, W>(Members<'a>, PhantomData<W>);

type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The most fields of an object in which none may stand twice: finding out takes as many comparisons.
const MAX_FIELDS: usize = 256;

impl<'a, W: Words> Fields<'a, W> {
    /// Reads an object.
    ///
    /// # Errors
    /// 400 if it is not an object.
    pub(crate) fn read(raw: &'a str, at: &dyn Display) -> Result<Self> {
        typed::from_str(raw).map_err(|_| W::wrong(at, W::OBJECT))
    }

    /// Takes a field; `None` if it is missing or `null`. Of two with one name, the last counts.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        take(&mut self.0, name)
    }

    /// Takes a field as JSON.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Raw<'a>> {
        self.take(name).map(Raw::from)
    }

    /// Takes a string; `None` if it is missing, `null` or something else.
    pub(crate) fn word(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.take(name).and_then(text_of)
    }

    /// Takes a required field.
    ///
    /// # Errors
    /// 400 if it is missing.
    pub(crate) fn need(&mut self, name: &str, at: &dyn Display) -> Result<&'a RawValue> {
        self.take(name).ok_or_else(|| W::required(&Member { at, name }))
    }

    /// Takes an object's fields; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not an object.
    pub(crate) fn object(&mut self, name: &str, at: &dyn Display) -> Result<Option<Self>> {
        let value = self.take(name);
        value.map(|value| Self::read(value.get(), &Member { at, name })).transpose()
    }

    /// Takes a required string.
    ///
    /// # Errors
    /// 400 if it is missing or not a string.
    pub(crate) fn text(&mut self, name: &str, at: &dyn Display) -> Result<Cow<'a, str>> {
        let raw = self.need(name, at)?;
        text_of(raw).ok_or_else(|| W::wrong(&Member { at, name }, W::TEXT))
    }

    /// Takes a string; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not a string.
    pub(crate) fn optional_text(&mut self, name: &str, at: &dyn Display) -> Result<Option<Cow<'a, str>>> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        text_of(raw).map(Some).ok_or_else(|| W::wrong(&Member { at, name }, W::TEXT))
    }

    /// Takes a required string, unread.
    ///
    /// # Errors
    /// 400 if it is missing or not a string.
    pub(crate) fn json_text(&mut self, name: &str, at: &dyn Display) -> Result<Raw<'a>> {
        self.optional_json_text(name, at)?.ok_or_else(|| W::required(&Member { at, name }))
    }

    /// Takes a string, unread; `None` if it is missing.
    ///
    /// # Errors
    /// 400 if it is not a string.
    pub(crate) fn optional_json_text(&mut self, name: &str, at: &dyn Display) -> Result<Option<Raw<'a>>> {
        let raw = self.raw(name);
        if raw.as_ref().is_some_and(|raw| !raw.is_text()) {
            return Err(W::wrong(&Member { at, name }, W::TEXT));
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
            return Err(W::wrong(&Member { at, name }, W::NUMBER));
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
            Some(_) => Err(W::wrong(&Member { at, name }, W::BOOLEAN)),
        }
    }

    /// The values of a field that was not taken: several, if it stands there several times.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a RawValue> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Whether a field is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all().any(|key| key == name)
    }

    /// The names of all fields that were not taken.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The names of the fields that were not taken and hold something.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| !Raw::from(*value).is_blank()).map(|(name, _)| name.as_ref())
    }
}

fn take<'a>(members: &mut Members<'a>, name: &str) -> Option<&'a RawValue> {
    let mut found = None;
    members.retain(|(key, value)| {
        let matches = key == name;
        if matches {
            found = Some(*value);
        }
        !matches
    });
    found.filter(|value| value.get() != "null")
}

/// The place of a member. A place without a name is the body.
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

/// Hands the items of an array to `take`, each with its index. They are not collected: parsed, they take many
/// times the memory of their text.
///
/// # Errors
/// 400 if it is not an array or an item has the wrong type; errors of `take`.
pub(crate) fn each<'a, W: Words, T: Deserialize<'a>>(
    raw: &'a str,
    at: &dyn Display,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    if W::LONE_ITEMS
        && !raw.starts_with('[')
        && let Ok(item) = typed::from_str(raw)
    {
        return take(0, item);
    }
    let (mut number, mut refused) = (0_usize, None);
    let read = list::each(raw, |item| {
        refused = take(number, item).err();
        number = number.saturating_add(1);
        refused.is_none()
    });
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(ListError::NotAList)) => Err(W::wrong(at, W::LIST)),
        (None, Err(ListError::Item(bad))) => Err(W::wrong(&W::item(at, bad), W::OBJECT)),
    }
}

/// Reads the members of an object. One visitor serves all formats, because each costs code.
struct MemberVisitor(Option<Spelling>);

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut members: Members<'de> = Vec::with_capacity(4);
        while let Some((Key(mut name), value)) = map.next_entry()? {
            if let Some(spell) = self.0 {
                name = spell(name);
                if members.len() >= MAX_FIELDS || members.iter().any(|(known, _)| *known == name) {
                    return Err(A::Error::custom("a field stands twice, or there are too many"));
                }
            }
            members.push((name, value));
        }
        Ok(members)
    }
}

impl<'de: 'a, 'a, W: Words> Deserialize<'de> for Fields<'a, W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(MemberVisitor(W::SPELLING)).map(|members| Self(members, PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl Words for Plain {
        const OBJECT: &str = "an object";
        const TEXT: &str = "a string";
        const BOOLEAN: &str = "a boolean";
        const LIST: &str = "an array";

        fn wrong(at: &dyn Display, expected: &str) -> Error {
            Error::caller(400, "wrong", format!("{at} is not {expected}"))
        }

        fn required(at: &dyn Display) -> Error {
            Error::caller(400, "missing", format!("{at} is missing"))
        }
    }

    #[test]
    fn errors_name_the_place_and_the_last_of_two_fields_counts() {
        let json = r#"{"t":"a\"b","n":-1,"b":true,"t":"last","empty":"","x":[],"o":{}}"#;
        let read = || Fields::<Plain>::read(json, &"").unwrap();
        let mut fields = read();
        assert_eq!(fields.text("t", &"").unwrap(), "last");
        assert_eq!(fields.number("n", &"").unwrap().unwrap().get(), "-1");
        assert_eq!(fields.boolean("b", &"").unwrap(), Some(true));
        assert!(fields.object("o", &"").unwrap().is_some() && fields.has("x") && fields.rest().next().is_none());
        let said = |error: Option<Error>| error.unwrap().message().to_owned();
        assert_eq!(said(read().text("n", &"body").err()), "body.n is not a string");
        assert_eq!(said(read().json_text("gone", &"").err()), "gone is missing");
        assert_eq!(said(read().boolean("t", &"").err()), "t is not a boolean");
        assert_eq!(said(read().number("t", &"").err()), "t is not a number");
        assert_eq!(said(read().object("x", &"at").err()), "at.x is not an object");
        let items = |raw: &str| each::<Plain, Fields<'_, Plain>>(raw, &"list", |_, _| Ok(()));
        assert_eq!(said(items("[{},7]").err()), "list[1] is not an object");
        assert_eq!(said(items("{}").err()), "list is not an array");
    }
}
