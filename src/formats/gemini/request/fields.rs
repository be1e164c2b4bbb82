//! The words in which a field is refused, and the two spellings of names: camel case and snake case.

use std::borrow::Cow;
use std::fmt::Display;

use serde::de::Deserialize;

use crate::error::{Error, Result};
use crate::formats::fields::{self, Words};

/// The fields of a client's object.
pub(crate) type Fields<'a> = fields::Fields<'a, Contents>;

/// The words of errors for clients of Gemini's API.
pub(crate) struct Contents;

impl Words for Contents {
    const OBJECT: &str = "an object that has no field twice";
    const TEXT: &str = "a string";
    const BOOLEAN: &str = "true or false";
    const LIST: &str = "an array";
    // People write `{"parts": {"text": "Hi"}}`, which is clear.
    const LONE_ITEMS: bool = true;
    const SPELLING: Option<fields::Spelling> = Some(camel);

    fn wrong(at: &dyn Display, expected: &str) -> Error {
        wrong(at, expected)
    }

    fn required(at: &dyn Display) -> Error {
        required(at)
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

/// Hands the items of an array to `take`, each with its index.
///
/// # Errors
/// 400 if it is not an array or an item has the wrong type; errors of `take`.
pub(crate) fn each<'a, T: Deserialize<'a>>(
    raw: &'a str,
    at: &dyn Display,
    take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    fields::each::<Contents, T>(raw, at, take)
}

/// The error for a field of the wrong type or value.
pub(crate) fn wrong(at: &dyn Display, expected: &str) -> Error {
    Error::caller(400, "invalid_value", format!("`{at}` must be {expected}.")).at(at.to_string())
}

/// The error for a required field that is missing.
pub(crate) fn required(at: &dyn Display) -> Error {
    Error::caller(400, "missing_required_parameter", format!("`{at}` is required.")).at(at.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

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
