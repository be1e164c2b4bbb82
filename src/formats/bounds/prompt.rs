//! The most tokens that a prompt can have, and whether it may be cached for an hour.

use serde_json::value::RawValue;

use crate::formats::prompt_wire::{Part, Turn, each, object};
use crate::wire::json::{Document, parse_integer};

/// The most tokens of a part that is not text. The largest known image takes 48,169; the bound also covers
/// two hours of audio and a file of a hundred pages.
const PART_BOUND: u64 = 65_536;
/// The most tokens that a provider adds to a request by itself, such as instructions for the use of tools.
const REQUEST_BOUND: u64 = 1_024;

/// Whether a request may ask the provider to cache its prompt for an hour: it holds `"ttl":"1h"`, possibly
/// with escaped letters.
pub fn may_cache_long(body: &[u8]) -> bool {
    [b"1h".as_slice(), b"\\u003", b"\\u006"].iter().any(|word| memchr::memmem::find(body, word).is_some())
}

/// Whether a body may hold audio, or video with sound. An escaped letter may hide the word.
pub fn may_have_audio(body: &[u8]) -> bool {
    let words = [b"udio".as_slice(), b"ideo", b"UDIO", b"IDEO", b"\\u00"];
    words.iter().any(|word| memchr::memmem::find(body, word).is_some())
}

/// The tokens that a request allows for thinking, if it says so.
pub fn thinking_budget(document: &Document<'_>) -> Option<u64> {
    let nested = |object: &str, name: &str| {
        let object = Document::read(document.value(object)?.as_bytes()).ok()?;
        parse_integer(object.value(name)?)
    };
    let own = || parse_integer(document.value("thinking_budget")?);
    nested("thinking", "budget_tokens").or_else(|| nested("reasoning", "max_tokens")).or_else(own)
}

/// The most tokens that a request's prompt can have. A token has at least one byte, and the format adds fewer
/// tokens to a message than the JSON around it has bytes. Parts that are not text, and what a provider may
/// add, are allowed for.
pub fn most_tokens(document: &Document<'_>) -> u64 {
    let body = document.bytes();
    let raw = document.value("messages").unwrap_or_default();
    let parts = other_parts(raw).unwrap_or_else(|| raw.bytes().filter(|byte| *byte == b'{').count() as u64);
    (body.len() as u64).saturating_add(parts.saturating_mul(PART_BOUND)).saturating_add(REQUEST_BOUND)
}

/// The number of parts that are not text; `None` if the messages cannot be read.
fn other_parts(messages: &str) -> Option<u64> {
    let mut others = 0;
    each(messages, |message| {
        let turn = object::<Turn<'_>>(message)?;
        // Audio that the model made before is referred to by its id.
        others += u64::from(turn.audio.is_some()) + nested_parts(turn.content, NESTED_PARTS)?;
        Some(())
    })?;
    Some(others)
}

/// The depth to which parts are read: results of tools hold documents, which hold images.
const NESTED_PARTS: u8 = 4;

/// The number of parts in a content that are not text. A part that holds others counts as those, but at least
/// as one.
fn nested_parts(content: Option<&RawValue>, depth: u8) -> Option<u64> {
    let content = content.map_or("", RawValue::get);
    if !content.starts_with('[') {
        return Some(u64::from(content.starts_with('{')));
    }
    let (mut others, depth) = (0_u64, depth.checked_sub(1)?);
    each(content, |part| {
        let part = object::<Part<'_>>(part)?;
        let inside = nested_parts(part.content, depth)?.saturating_add(
            part.source
                .and_then(|source| object::<Turn<'_>>(source.get()))
                .map_or(Some(0), |source| nested_parts(source.content, depth))?,
        );
        let is_text = matches!(part.kind?.as_ref(), "text" | "refusal");
        others = others.saturating_add(inside.max(u64::from(!is_text)));
        Some(())
    })?;
    Some(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(messages: &str) -> u64 {
        let body = format!(r#"{{"messages":{messages}}}"#);
        let bound = most_tokens(&Document::read(body.as_bytes()).unwrap());
        (bound - REQUEST_BOUND - body.len() as u64) / PART_BOUND
    }

    #[test]
    fn a_budget_is_read_in_each_spelling() {
        for (body, budget) in [
            (r#"{"thinking":{"type":"enabled","budget_tokens":5}}"#, Some(5)),
            (r#"{"reasoning":{"max_tokens":6}}"#, Some(6)),
            (r#"{"enable_thinking":true,"thinking_budget":7}"#, Some(7)),
            (r#"{"thinking":{"type":"enabled"},"reasoning":{"effort":"low"}}"#, None),
            (r#"{"thinking":true,"reasoning":null}"#, None),
        ] {
            assert_eq!(thinking_budget(&Document::read(body.as_bytes()).unwrap()), budget, "{body}");
        }
    }

    #[test]
    fn a_bound_allows_for_parts_that_are_not_text() {
        assert_eq!(bounded(r#"[{"content":"x"},{"content":[{"type":"text"}]}]"#), 0);
        assert_eq!(bounded(r#"[{"content":[{"type":"image_url"},{"type":"text"},{"type":"file"}]}]"#), 2);
        assert_eq!(bounded(r#"[{"content":[{"odd":{}}]}]"#), 3, "not understood: each object may be a part");
        assert_eq!(bounded(r#"[{"content":{"type":"image_url"}}]"#), 1);
        let result =
            |content: &str| bounded(&format!(r#"[{{"content":[{{"type":"tool_result","content":{content}}}]}}]"#));
        let image = r#"{"type":"image","source":{"type":"url","url":"u"}}"#;
        assert_eq!(result(&format!("[{image},{image},{image}]")), 3, "each of them, not one for all");
        assert_eq!((result("\"x\""), result(r#"[{"type":"text","text":"x"}]"#), result("[7]")), (1, 1, 2));
        let document = format!(r#"{{"type":"document","source":{{"type":"content","content":[{image},{image}]}}}}"#);
        assert_eq!(result(&format!("[{document},{image}]")), 3);
        let deep = format!("{}{}{}", r#"[{"type":"tool_result","content":"#.repeat(50), "[]", "}]".repeat(50));
        assert_eq!(bounded(&format!(r#"[{{"content":{deep}}}]"#)), 51, "not understood");
        assert_eq!(
            bounded(r#"[{"content":"x"},{"role":"assistant","audio":{"id":"a"}},{"audio":null,"content":null}]"#),
            1
        );
    }
}
