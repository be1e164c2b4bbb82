//! A part of a message, as clients and providers write it.

use serde_json::value::RawValue;

use super::fields::{object, string, text};
use super::response::MOST;
use crate::canonical::Raw;
use crate::wire::list::Few;

object! {
    /// A part of a message.
    PartIn {
        kind: "type",
        text: "text",
        refusal: "refusal",
        image: "image_url",
        audio: "input_audio",
        file: "file",
        thinking: "thinking",
        cache: "cache_control",
        // Mistral's, of a part of thinking.
        closed: "closed",
    }
}

/// The text of a part of thinking: a string, or a list of texts (Mistral).
pub(crate) fn thought(raw: &RawValue) -> Option<Raw<'_>> {
    if let Some(text) = string(raw) {
        return Some(text);
    }
    let parts: Few<PartIn<'_>, MOST> = serde_json::from_str(raw.get()).ok()?;
    match &*parts {
        [] => None,
        [one] => one.text.and_then(string),
        several => {
            let all: String = several.iter().filter_map(|part| part.text.and_then(text)).collect();
            Some(Raw::quoted(&all))
        }
    }
}
