//! JSON values that are copied and not parsed. Most texts, numbers and schemas are the same in two formats,
//! so their bytes are carried, including escapes.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value as its original text.
#[derive(Clone)]
pub struct Raw<'a>(Cow<'a, RawValue>);

impl<'a> Raw<'a> {
    /// Writes a text as a JSON string.
    pub fn quoted(text: &str) -> Raw<'static> {
        Raw::of(&text)
    }

    /// Writes a value as JSON, or `null` if it cannot be serialized.
    pub fn of(value: &impl Serialize) -> Raw<'static> {
        Raw(Cow::Owned(serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())))
    }

    /// Borrows JSON from a text. `None` if the text is not JSON.
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Takes over a text that is JSON. `None` if it is not.
    pub fn from_string(json: String) -> Option<Raw<'static>> {
        RawValue::from_string(json).ok().map(|raw| Raw(Cow::Owned(raw)))
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The decoded text of a JSON string. `None` for other values.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        text_of(&self.0)
    }

    /// Whether it is a JSON string.
    pub fn is_text(&self) -> bool {
        self.get().starts_with('"')
    }

    /// Whether the value is `null` or an empty string, array or object, without inner whitespace.
    pub fn is_blank(&self) -> bool {
        matches!(self.get(), "null" | "\"\"" | "[]" | "{}")
    }

    /// A copy that borrows nothing.
    pub fn owned(&self) -> Raw<'static> {
        Raw(Cow::Owned(self.0.clone().into_owned()))
    }
}

/// The decoded text of a JSON string. `None` for other values.
pub fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    // Without an escape, what stands between the quotes is the text.
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

impl<'a> From<&'a RawValue> for Raw<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(Cow::Borrowed(raw))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::from)
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Raw<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_carried_with_its_escapes_and_can_be_read() {
        let raw = Raw::parse(r#" "a\u00e9\n" "#).unwrap();
        assert_eq!((raw.get(), raw.text().as_deref()), (r#""a\u00e9\n""#, Some("aé\n")));
        assert!(matches!(Raw::parse(r#""plain""#).unwrap().text(), Some(Cow::Owned(_) | Cow::Borrowed("plain"))));
        assert_eq!(Raw::quoted("a\"b").get(), r#""a\"b""#);
        assert_eq!((Raw::parse("7").unwrap().text(), Raw::parse("{oops")), (None, None));
    }

    #[test]
    fn null_and_empty_values_are_blank() {
        for blank in ["null", "\"\"", "[]", "{}"] {
            assert!(Raw::parse(blank).unwrap().is_blank());
        }
        assert!(!Raw::parse("0").unwrap().is_blank());
    }
}
