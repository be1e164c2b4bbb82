//! Embeddings in the form that was asked for: some hosts ignore `encoding_format`, and official SDKs, which ask for
//! base64, decode a list of numbers to garbage.

use serde_json::value::RawValue;

use super::wire::{MAX_ITEMS, members, object};
use crate::formats::embedding::to_base64;
use crate::formats::operation::Reform;
use crate::wire::json::Document;
use crate::wire::list::BoundedList;

object! {
    EmbeddingItem { embedding: "embedding" }
}

/// Embeddings in base64.
pub(super) const REFORM: Reform = Reform { is_asked: wants_base64, apply: as_base64 };

fn wants_base64(request: &Document<'_>) -> bool {
    request.value("encoding_format") == Some("\"base64\"")
}

/// A response whose embeddings are lists of numbers, with base64 of 32-bit floats in their place; `None` if it can
/// stay as it is.
fn as_base64(body: &[u8]) -> Option<Vec<u8>> {
    let document = Document::read(body).ok()?;
    let items: BoundedList<&RawValue, MAX_ITEMS> = serde_json::from_str(document.value("data")?).ok()?;
    let (mut edited, mut from) = (Vec::new(), 0);
    for item in items.iter() {
        let Some(list) = members::<EmbeddingItem<'_>>(Some(item)).and_then(|item| item.embedding) else { continue };
        if !list.get().starts_with('[') {
            continue;
        }
        let text = to_base64(list.get())?;
        let start = (list.get().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        edited.extend_from_slice(body.get(from..start)?);
        edited.extend_from_slice(["\"", &text, "\""].concat().as_bytes());
        from = start.checked_add(list.get().len())?;
    }
    if from == 0 {
        return None;
    }
    edited.extend_from_slice(body.get(from..)?);
    Some(edited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::base64;

    #[test]
    fn lists_of_numbers_become_base64_and_all_else_stays() {
        let body = br#"{ "data":[{"index":0,"embedding":[0.5, -1]},{"embedding":"AACAPw==","x":1}],"usage":{"prompt_tokens":1} }"#;
        let written = String::from_utf8(as_base64(body).unwrap()).unwrap();
        assert_eq!(written, String::from_utf8_lossy(body).replace("[0.5, -1]", "\"AAAAPwAAgL8=\""));
        assert_eq!(base64::decode("AAAAPwAAgL8=").unwrap(), [0.5f32.to_le_bytes(), (-1f32).to_le_bytes()].concat());
        for other in ["{}", "[]", r#"{"data":[{"embedding":"AACAPw=="}]}"#, r#"{"data":[{"embedding":["x"]}]}"#] {
            assert_eq!(as_base64(other.as_bytes()), None, "{other}");
        }
    }
}
