//! Patterns of names: `*` stands for any text, `#` for a digit.

/// Whether a name fits a pattern. The case of ASCII letters does not matter.
///
/// Hundreds of patterns are compared with a model's name for each request, so this compares bytes: most
/// patterns differ in the first one. A star never ends inside a character, because what follows it begins
/// one.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Behind the last star: its place in the pattern, and how far it reaches in the name.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), name.get(read)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                at += 1;
                star = Some((at, read));
                continue;
            }
            (Some(fixed), Some(byte)) if fits(*fixed, *byte) => {
                at += 1;
                read += 1;
                continue;
            }
            _ => {}
        }
        match &mut star {
            Some((after, reached)) if *reached < name.len() => {
                *reached += 1;
                (at, read) = (*after, *reached);
            }
            _ => return false,
        }
    }
}

/// Whether a name is a pattern.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '#'])
}

/// The number of characters that a pattern fixes: the higher, the more exact it is.
pub fn rank(pattern: &str) -> usize {
    pattern.len() - pattern.matches('*').count()
}

/// Whether a byte of a name fits one of a pattern that is no `*`.
fn fits(fixed: u8, byte: u8) -> bool {
    match fixed {
        b'#' => byte.is_ascii_digit(),
        letter => letter.eq_ignore_ascii_case(&byte),
    }
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
            ("*ü", "éü"),
            ("*ab*", "aab"),
            ("a**b", "ab"),
            ("*", "éa"),
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
            ("*a*b", "bab a"),
            ("a*#", "a1b"),
            ("*aab", "aaab-"),
            ("é", "è"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
