//! Patterns of names: `*` stands for any text, `#` for a digit.

/// Whether a name fits a pattern. The case of ASCII letters does not matter.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return is(pattern, name) };
    let Some(mut left) = strip(name, head) else { return false };
    let mut parts: Vec<&str> = Vec::new();
    let tail = match rest.rsplit_once('*') {
        Some((middle, tail)) => {
            parts.extend(middle.split('*'));
            tail
        }
        None => rest,
    };
    for part in parts {
        let Some(at) = (0..=left.len()).find(|at| left.get(*at..).is_some_and(|rest| strip(rest, part).is_some()))
        else {
            return false;
        };
        left = left.get(at + part.len()..).unwrap_or_default();
    }
    let start = left.len().checked_sub(tail.len());
    start.and_then(|start| left.get(start..)).is_some_and(|end| is(tail, end))
}

/// Whether a name is a pattern.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '#'])
}

/// The number of characters that a pattern fixes: the higher, the more exact it is.
pub fn rank(pattern: &str) -> usize {
    pattern.len() - pattern.matches('*').count()
}

fn strip<'n>(name: &'n str, head: &str) -> Option<&'n str> {
    let (start, rest) = name.split_at_checked(head.len())?;
    is(head, start).then_some(rest)
}

/// Whether a text without `*` fits.
fn is(pattern: &str, text: &str) -> bool {
    let fits = |(pattern, byte): (u8, u8)| match pattern {
        b'#' => byte.is_ascii_digit(),
        letter => letter.eq_ignore_ascii_case(&byte),
    };
    pattern.len() == text.len() && pattern.bytes().zip(text.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text_and_a_hash_a_digit() {
        for (pattern, name) in [
            ("gpt-5", "GPT-5"),
            ("gpt-*", "gpt-"),
            ("gpt-*", "gpt-9-x"),
            ("*", ""),
            ("*claude-*-4", "anthropic.claude-opus-4"),
            ("*claude-*-4-5*", "claude-haiku-4-5-20251001"),
            ("*a*b*a", "xabxa"),
            ("o#-*", "o3-mini"),
            ("gpt-5.#-pro*", "gpt-5.4-pro"),
            ("é*", "éa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("gpt-5", "gpt-5-mini"),
            ("gpt-*", "xgpt-5"),
            ("a*a", "a"),
            ("*claude-*-4", "claude-opus-4-5"),
            ("o#", "oo"),
            ("o#-*", "o3mini"),
            ("e*", "é"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
