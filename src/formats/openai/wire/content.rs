//! The JSON of a part of a message, as clients and providers write it.

use std::borrow::Cow;

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

object! {
    /// An item of `reasoning_details`.
    /// Source: <https://openrouter.ai/docs/guides/best-practices/reasoning-tokens>.
    ReasoningDetail { text: "text", summary: "summary" }
}

/// The reasoning in `reasoning_details` (OpenRouter, MiniMax): its texts and summaries. Encrypted reasoning
/// has neither. `None` if there is no text.
pub(crate) fn details_text(raw: &RawValue) -> Option<Raw<'_>> {
    let details: BoundedList<ReasoningDetail<'_>, MAX_ITEMS> = serde_json::from_str(raw.get()).ok()?;
    let texts = details.iter().filter_map(|detail| detail.text.or(detail.summary).and_then(string));
    let mut texts = texts.filter(|text| !text.is_blank());
    let first = texts.next()?;
    let rest: Vec<Raw<'_>> = texts.collect();
    if rest.is_empty() {
        return Some(first);
    }
    let all: Vec<Cow<'_, str>> = std::iter::once(&first).chain(&rest).filter_map(Raw::text).collect();
    Some(Raw::quoted(&all.concat()))
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
