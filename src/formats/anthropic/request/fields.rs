//! The words in which Anthropic's API refuses a field.

use std::fmt::Display;

use serde::de::Deserialize;

use crate::error::{Error, Result};
use crate::formats::fields::{self, Words};

/// The fields of a client's object.
pub(crate) type Fields<'a> = fields::Fields<'a, Messages>;

/// The words of Anthropic's API.
pub(crate) struct Messages;

impl Words for Messages {
    const OBJECT: &str = "Input should be an object";
    const TEXT: &str = "Input should be a valid string";
    const BOOLEAN: &str = "Input should be a valid boolean";
    const LIST: &str = "Input should be a valid list";

    fn wrong(at: &dyn Display, expected: &str) -> Error {
        wrong(at, expected)
    }

    fn required(at: &dyn Display) -> Error {
        required(at)
    }

    fn item(at: &dyn Display, index: usize) -> String {
        format!("{at}.{index}")
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
    fields::each::<Messages, T>(raw, at, take)
}

/// A field that violates the format, in the wording of Anthropic's API.
pub(crate) fn wrong(at: &dyn Display, expected: &str) -> Error {
    Error::caller(400, "invalid_value", format!("{at}: {expected}")).at(at.to_string())
}

/// A required field that is missing.
pub(crate) fn required(at: &dyn Display) -> Error {
    Error::caller(400, "missing_required_parameter", format!("{at}: Field required")).at(at.to_string())
}
