//! Estimates, before JSON is parsed, whether the parsed tree would take far more memory than the text.

use serde_json::Value;

/// The nodes that JSON of any length may have: objects, arrays, and their members and items. A node takes up
/// to about a hundred bytes of memory.
pub const MAX_NODES: usize = 100_000;
/// JSON may have one node more than [`MAX_NODES`] for each of these many bytes.
const BYTES_PER_NODE: usize = 256;

/// Whether JSON has too many nodes to be parsed. Commas and opening brackets outside strings are counted.
pub fn is_dense(json: &[u8]) -> bool {
    let most = max_nodes(json.len());
    // Each node has at least one byte.
    json.len() > most && count_nodes(json, most) > most
}

/// The nodes that JSON of this length may have.
pub fn max_nodes(bytes: usize) -> usize {
    MAX_NODES.saturating_add(bytes / BYTES_PER_NODE)
}

/// Parses JSON to a tree. `None` if it is malformed or has too many nodes.
pub fn parse_tree(json: &[u8]) -> Option<Value> {
    if is_dense(json) { None } else { serde_json::from_slice(json).ok() }
}

/// The value of a member of a member: one for each name. [`Value::pointer`] would take each name apart and
/// unescape it.
pub fn member_at<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names.iter().try_fold(value, |value, name| value.get(name))
}

/// Counts nodes, and stops soon after `most`.
fn count_nodes(json: &[u8], most: usize) -> usize {
    let (mut count, mut rest) = (0_usize, json);
    while count <= most {
        let Some(quote) = memchr::memchr(b'"', rest) else { return count.saturating_add(count_delimiters(rest)) };
        let (outside, string) = rest.split_at(quote);
        count = count.saturating_add(count_delimiters(outside));
        rest = after_string(string.get(1..).unwrap_or_default());
    }
    count
}

fn count_delimiters(outside: &[u8]) -> usize {
    outside.iter().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count()
}

/// The bytes after a string that begins before `rest`, whose opening quote is already consumed.
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
    fn nodes_are_counted_outside_strings_only() {
        let count = |json: &str| count_nodes(json.as_bytes(), usize::MAX);
        assert_eq!(count(r#"{"a":[1,2,{}],"b":",{[\",{\\","c":""}"#), 7);
        assert_eq!((count(""), count("7"), count("[]"), count(r#""unfinished,,,"#)), (0, 0, 1, 0));
        assert_eq!((count(r#"["\"#), count(r#"["\\",1]"#)), (1, 2));
        assert_eq!(count_nodes(b"[[[[[[[", 3), 7);
        assert!(count_nodes(&b"[\"\"".repeat(100), 3) < 10);
    }

    #[test]
    fn long_texts_are_not_dense_and_millions_of_nodes_are() {
        let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
        assert!(!is_dense(list("1", MAX_NODES).as_bytes()));
        assert!(is_dense(list("1", MAX_NODES + 10_000).as_bytes()));
        assert!(!is_dense(list(&format!("\"{}\"", "{,".repeat(100)), MAX_NODES).as_bytes()));
        assert!(!is_dense(list(&format!("{{\"a\":\"{}\"}}", "x".repeat(600)), 200_000).as_bytes()));
        assert!(parse_tree(list("{\"\":0}", 60_000).as_bytes()).is_none() && parse_tree(b"{oops").is_none());
        assert_eq!(parse_tree(b"[1]"), Some(serde_json::json!([1])));
    }
}
