//! The string literals of Rust code.

/// The texts of the string literals, with escapes as they are written; comments and characters are left out.
pub fn literals(code: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), code);
    while let Some(at) = rest.find(['/', '"', '\'', 'r']) {
        let from = &rest[at..];
        // Bytes have the prefix `b`.
        let before = rest[..at].strip_suffix('b').unwrap_or(&rest[..at]);
        let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let hashes = from[1..].bytes().take_while(|byte| *byte == b'#').count();
        let length = if from.starts_with("//") {
            from.find('\n').unwrap_or(from.len())
        } else if from.starts_with('r') && !is_word && from[1 + hashes..].starts_with('"') {
            let body = &from[hashes + 2..];
            let end = body.find(&["\"", &"#".repeat(hashes)].concat()).unwrap();
            found.push(&body[..end]);
            hashes + 2 + end + 1 + hashes
        } else if let Some(body) = from.strip_prefix('"') {
            let end = end_of_string(body);
            found.push(&body[..end]);
            end + 2
        } else if from.starts_with('\'') {
            length_of_character(from)
        } else {
            1
        };
        rest = &from[length..];
    }
    found
}

/// The position of the quotation mark that ends a string.
fn end_of_string(body: &str) -> usize {
    let mut is_escaped = false;
    let ends = |(_, letter): &(usize, char)| {
        let ends = *letter == '"' && !is_escaped;
        is_escaped = *letter == '\\' && !is_escaped;
        ends
    };
    body.char_indices().find(ends).unwrap().0
}

/// The length of a character literal; 1 for the beginning of a lifetime.
fn length_of_character(from: &str) -> usize {
    let mut letters = from.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let after = at + escaped.len_utf8();
            after + from[after..].find('\'').unwrap() + 1
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}
