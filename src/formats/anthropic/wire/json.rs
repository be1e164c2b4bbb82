//! Reading of single JSON values.

use serde::Deserialize;

use crate::canonical::Raw;

/// Reads an object; a list would pass for the members of a struct, in their order.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

/// What stands between the quotes of a JSON string.
pub(crate) fn inside<'r>(raw: &'r Raw<'_>) -> &'r str {
    raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

/// Whether a text shows nothing: the API refuses such blocks.
pub(crate) fn is_empty_text(raw: &Raw<'_>) -> bool {
    let inside = inside(raw).trim();
    inside.is_empty() || inside.len() < 64 && raw.text().is_some_and(|text| text.trim().is_empty())
}

/// A call's arguments as the object that they should be. What is none is kept, under a name that says so.
pub(crate) fn arguments<'a>(json: &'a str) -> Raw<'a> {
    let trimmed = json.trim();
    let read = trimmed.starts_with('{').then(|| Raw::parse(trimmed)).flatten();
    read.unwrap_or_else(|| match trimmed {
        "" | "null" | "\"\"" => Raw::of(&serde_json::Map::new()),
        _ => Raw::of(&serde_json::json!({ "_invalid_json": json })),
    })
}
