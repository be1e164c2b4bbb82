//! The opening of a conversation, which stays the same while the conversation grows.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::list;

/// The most of an opening that is compared, in bytes.
const MAX_OPENING: usize = 4 << 10;

#[derive(Deserialize)]
struct Turn<'t> {
    #[serde(borrow, default)]
    role: Option<&'t str>,
}

/// The beginning of a conversation's JSON: a list up to the first turn of the user, or a text. 4 KiB at most.
pub fn opening(question: &str) -> &str {
    let mut end = 0;
    let read = list::each(question, |item: &RawValue| {
        let item = item.get();
        // The item is a part of the list's text.
        end = (item.as_ptr() as usize).saturating_sub(question.as_ptr() as usize).saturating_add(item.len());
        let role = serde_json::from_str::<Turn<'_>>(item).ok().and_then(|turn| turn.role);
        role != Some("user")
    });
    // Reading ends in an error at the first turn of the user: the rest of a long conversation is not read.
    let end = if read.is_err() && end > 0 { end } else { question.len() };
    let mut end = end.min(MAX_OPENING);
    while !question.is_char_boundary(end) {
        end -= 1;
    }
    question.get(..end).unwrap_or(question)
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
        assert_eq!(opening("\"a text\""), "\"a text\"");
        assert_eq!(opening("[]"), "[]");
        assert_eq!(opening(""), "");
    }
}
