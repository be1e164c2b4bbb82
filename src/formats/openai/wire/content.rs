//! The JSON of a part of a message, as clients and providers write it.

use serde_json::value::RawValue;

use super::fields::{object, string, text};
use super::response::MAX_ITEMS;
use crate::canonical::Raw;
use crate::wire::list::BoundedList;

object! {
    /// A part of a message.
    ContentPartFields {
        kind: "type",
        text: "text",
        refusal: "refusal",
        image: "image_url",
        audio: "input_audio",
        file: "file",
        thinking: "thinking",
        cache: "cache_control",
        // Mistral's, of a thinking part.
        closed: "closed",
    }
}

/// The text of a thinking part: a string, or a list of texts (Mistral).
pub(crate) fn thinking_text(raw: &RawValue) -> Option<Raw<'_>> {
    if let Some(text) = string(raw) {
        return Some(text);
    }
    let parts: BoundedList<ContentPartFields<'_>, MAX_ITEMS> = serde_json::from_str(raw.get()).ok()?;
    match &*parts {
        [] => None,
        [one] => one.text.and_then(string),
        several => {
            let all: String = several.iter().filter_map(|part| part.text.and_then(text)).collect();
            Some(Raw::quoted(&all))
        }
    }
}
