//! Whether some JSON would take far more memory, when it is taken apart, than its text does. It is told before it is taken apart.

use serde_json::Value;

/// So many pieces JSON of any length may have: members of objects, items of lists, and these themselves. Each takes some hundred bytes at most.
pub const MOST_PIECES: usize = 100_000;
/// … and one more for so many of its bytes.
const BYTES: usize = 256;

/// Whether JSON has more pieces than are taken apart. Commas and brackets are counted, but for those in strings.
pub fn is_dense(json: &[u8]) -> bool {
    let most = most_pieces(json.len());
    // Each piece has a byte of its own.
    json.len() > most && pieces(json, most) > most
}

/// How many pieces so many bytes of JSON may have.
pub fn most_pieces(bytes: usize) -> usize {
    MOST_PIECES.saturating_add(bytes / BYTES)
}

/// JSON as a tree; `None` if it is none, or too dense for one.
pub fn tree(json: &[u8]) -> Option<Value> {
    if is_dense(json) { None } else { serde_json::from_slice(json).ok() }
}

/// Counts pieces, no further than just beyond `most`.
fn pieces(json: &[u8], most: usize) -> usize {
    let (mut count, mut rest) = (0_usize, json);
    while count <= most {
        let Some(quote) = memchr::memchr(b'"', rest) else { return count.saturating_add(marks(rest)) };
        let (outside, string) = rest.split_at(quote);
        count = count.saturating_add(marks(outside));
        rest = after_string(string.get(1..).unwrap_or_default());
    }
    count
}

fn marks(outside: &[u8]) -> usize {
    outside.iter().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count()
}

/// What follows a string, whose opening quote has been taken.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_counted_and_what_stands_in_strings_is_not() {
        let count = |json: &str| pieces(json.as_bytes(), usize::MAX);
        assert_eq!(count(r#"{"a":[1,2,{}],"b":",{[\",{\\","c":""}"#), 7);
        assert_eq!((count(""), count("7"), count("[]"), count(r#""unfinished,,,"#)), (0, 0, 1, 0));
        assert_eq!((count(r#"["\"#), count(r#"["\\",1]"#)), (1, 2));
        assert_eq!(pieces(b"[[[[[[[", 3), 7);
        assert!(pieces(&b"[\"\"".repeat(100), 3) < 10);
    }

    #[test]
    fn long_texts_are_not_dense_and_millions_of_pieces_are() {
        let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        assert!(!is_dense(list("1", MOST_PIECES).as_bytes()));
        assert!(is_dense(list("1", MOST_PIECES + 10_000).as_bytes()));
        assert!(!is_dense(list(&format!("\"{}\"", "{,".repeat(100)), MOST_PIECES).as_bytes()));
        assert!(!is_dense(list(&format!("{{\"a\":\"{}\"}}", "x".repeat(600)), 200_000).as_bytes()));
        assert!(tree(list("{\"\":0}", 60_000).as_bytes()).is_none() && tree(b"{oops").is_none());
        assert_eq!(tree(b"[1]"), Some(serde_json::json!([1])));
    }
}
