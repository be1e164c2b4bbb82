//! The opening of a conversation, which stays the same while the conversation grows.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::list;

/// The most of an opening that is compared, in bytes.
pub(super) const MAX_OPENING: usize = 4 << 10;

#[derive(Deserialize)]
struct Turn<'t> {
    #[serde(borrow, default)]
    role: Option<&'t str>,
}

/// The beginning of a conversation's JSON: a list up to the first turn of the user, or a text. 4 KiB at most.
pub fn opening(question: &str) -> &str {
    // The rest of a long conversation is not read, nor is that of a long turn.
    let read = question.get(..question.floor_char_boundary(MAX_OPENING)).unwrap_or(question);
    let mut end = None;
    let _ = list::each(read, |item: &RawValue| {
        let item = item.get();
        let role = serde_json::from_str::<Turn<'_>>(item).ok().and_then(|turn| turn.role);
        if role == Some("user") {
            // The item is a part of the list's text.
            let start = (item.as_ptr() as usize).saturating_sub(read.as_ptr() as usize);
            end = Some(start.saturating_add(item.len()));
        }
        end.is_none()
    });
    end.and_then(|end| read.get(..end)).unwrap_or(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_that_grows_keeps_its_opening() {
        let first = r#"[{"role":"system","content":"S"}, {"role":"user","content":"A"}]"#;
        let later =
            r#"[{"role":"system","content":"S"}, {"role":"user","content":"A"}, {"role":"user","content":"B"}]"#;
        assert_eq!(opening(first), r#"[{"role":"system","content":"S"}, {"role":"user","content":"A"}"#);
        assert_eq!(opening(first), opening(later));
    }

    #[test]
    fn conversations_differ_by_their_first_question() {
        let [one, other] = ["A", "B"].map(|text| format!(r#"[{{"role":"user","content":"{text}"}}]"#));
        assert_ne!(opening(&one), opening(&other));
    }

    #[test]
    fn an_opening_is_bounded_and_never_cut_within_a_character() {
        let long = format!(r#"[{{"role":"user","content":"{}"}}]"#, "é".repeat(9_000));
        assert!(opening(&long).len() <= MAX_OPENING);
        let late =
            format!(r#"[{{"role":"system","content":"{}"}},{{"role":"user","content":"A"}}]"#, "x".repeat(5_000));
        assert_eq!(opening(&late), &late[..MAX_OPENING]);
        assert_eq!(opening("\"a text\""), "\"a text\"");
        assert_eq!(opening("[]"), "[]");
        assert_eq!(opening(""), "");
    }
}
