//! Query parameters of a URL. Unknown, repeated and invalid parameters are refused with their names.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::config::near;
use crate::error::{Error, Result};
use crate::wire::date;

/// The parameters of one request.
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Parses a query string that may contain the `known` parameters, each at most once.
    ///
    /// # Errors
    /// 400 with the name of the unknown, repeated or badly encoded parameter.
    pub fn read(query: &str, known: &[&'static str]) -> Result<Self> {
        let mut parameters: Vec<(&'static str, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or_default();
            let Some(name) = known.iter().find(|known| **known == name) else { return Err(unknown(&name, known)) };
            if parameters.iter().any(|(other, _)| other == name) {
                return Err(Error::caller(400, "duplicate_key", format!("`{name}` is given more than once.")).at(*name));
            }
            let value = decode(value).ok_or_else(|| invalid(name, "be text in UTF-8"))?;
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be an integer from 1 to `max`.
    ///
    /// # Errors
    /// 400 if it is not.
    pub fn count(&self, name: &'static str, max: u64) -> Result<Option<u64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let number = number.filter(|number| (1..=max).contains(number));
        number.map(Some).ok_or_else(|| invalid(name, &format!("be an integer from 1 to {max}")))
    }

    /// The value of a parameter that must be a day, counted from 1970-01-01.
    ///
    /// # Errors
    /// 400 if it is not.
    pub fn day(&self, name: &'static str) -> Result<Option<u64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        date::read_day(text).map(Some).ok_or_else(|| invalid(name, "be a day such as 2026-11-23"))
    }
}

/// The error "`name` must `rule`.".
pub fn invalid(name: &'static str, rule: &str) -> Error {
    Error::caller(400, "invalid_value", format!("`{name}` must {rule}.")).at(name)
}

fn unknown(name: &str, known: &[&str]) -> Error {
    let shown: String = name.chars().take(64).collect();
    let hint = near::hint(&shown, known);
    let end = if hint.is_empty() { "." } else { &hint };
    let message = format!("Unknown parameter `{shown}`{end} Expected one of: {}.", known.join(", "));
    Error::caller(400, "unknown_parameter", message).at(shown)
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}
