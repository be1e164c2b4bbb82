//! The words in which a field is refused.

use std::fmt::Display;

use serde::de::Deserialize;

use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::formats::fields::{self, Words};

/// The fields of a client's object.
pub(crate) type Fields<'a> = fields::Fields<'a, Items>;

/// The words of errors for clients of the Responses API.
pub(crate) struct Items;

impl Words for Items {
    const OBJECT: &str = "an object";
    const TEXT: &str = "a string";
    const BOOLEAN: &str = "a boolean";
    const LIST: &str = "an array";

    fn wrong(at: &dyn Display, expected: &str) -> Error {
        wrong(at, expected)
    }

    fn required(at: &dyn Display) -> Error {
        Error::caller(400, "missing_required_parameter", format!("`{at}` is required.")).at(at.to_string())
    }
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
    fields::each::<Items, T>(raw, at, take)
}

/// A field that violates the format.
pub(crate) fn wrong(at: &dyn Display, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{at}` must be {expected}.")).at(at.to_string())
}

/// The contents of a JSON string, still escaped; empty if it is not a string.
pub(crate) fn escaped_text<'r>(raw: &'r Raw<'_>) -> &'r str {
    raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}
