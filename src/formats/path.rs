//! Paths that name a model: `/models/{model...}:generateContent`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Characters other than letters and digits that need no encoding in a path's segment.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as one segment of a path, percent-encoded.
pub(super) fn segment(name: &str) -> PercentEncode<'_> {
    utf8_percent_encode(name, PLAIN)
}

/// An operation's path with a name in place of its parameter. A path without a parameter stays as it is.
pub(super) fn fill(path: &str, name: &str) -> String {
    let Some((before, rest)) = path.split_once('{') else { return path.to_owned() };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    format!("{before}{}{after}", segment(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_the_place_of_the_parameter() {
        assert_eq!(fill("/models/{model...}:run", "a/b?c d-1.5"), "/models/a%2Fb%3Fc%20d-1.5:run");
        assert_eq!(fill("/deployments/{model}/chat", "gpt-4o"), "/deployments/gpt-4o/chat");
        assert_eq!(fill("/models/{model...}", "m"), "/models/m");
        assert_eq!(fill("/chat/completions", "m"), "/chat/completions");
    }
}
