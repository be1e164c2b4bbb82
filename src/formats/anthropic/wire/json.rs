//! Reads single JSON values.

use serde::Deserialize;

use crate::canonical::Raw;
use crate::wire::typed;

/// Reads a JSON object. Serde alone would also read a list as the fields of a struct, in their order.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

/// The contents of a JSON string, still escaped; empty if it is not a string.
pub(crate) fn escaped_text<'r>(raw: &'r Raw<'_>) -> &'r str {
    raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

/// Whether a text is empty or white space only: the API refuses such blocks.
pub(crate) fn is_empty_text(raw: &Raw<'_>) -> bool {
    let escaped_text = escaped_text(raw).trim();
    escaped_text.is_empty() || escaped_text.len() < 64 && raw.text().is_some_and(|text| text.trim().is_empty())
}

/// A call's arguments as an object. Other JSON is kept in an object under a name that says so.
pub(crate) fn arguments_object<'a>(json: &'a str) -> Raw<'a> {
    let trimmed = json.trim();
    let read = trimmed.starts_with('{').then(|| typed::from_str(trimmed).ok()).flatten();
    read.unwrap_or_else(|| match trimmed {
        "" | "null" | "\"\"" => Raw::of(&serde_json::Map::new()),
        _ => Raw::of(&serde_json::json!({ "_invalid_json": json })),
    })
}
