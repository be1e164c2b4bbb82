//! Writes names that a caller chose for a response header and for the log: bounded in length, and in a header
//! in printable ASCII only.

use std::borrow::Cow;

use crate::formats::Adjustment;

/// The response header that names the fields that were left out.
const DROPPED: &str = "x-llm-bridge-dropped";

/// The response header with the values that were replaced.
const ADJUSTED: &str = "x-llm-bridge-adjusted";

/// The most bytes of a name in a header.
const MAX_NAME_BYTES: usize = 64;
/// The most bytes of all names in a header.
const MAX_LIST_BYTES: usize = 2 << 10;
/// The most bytes of all names in the log.
const MAX_LOGGED_BYTES: usize = 16 << 10;
/// The bytes reserved for the note on names that are left out.
const NOTE_BYTES: usize = 40;
/// The most bytes of the value of a response header.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// The fields that were dropped or adjusted for a provider, as response headers and the log write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedFields {
    /// For the response header: the names as [`listed`] writes them.
    pub header: String,
    /// For the log: the names in full, with a comma between them.
    pub logged: String,
    /// For another response header: the values that were replaced, with those that were sent instead.
    pub adjusted: String,
}

impl DroppedFields {
    /// Both forms of these names and adjustments; `None` if there are none.
    pub fn of(names: &[Cow<'static, str>], adjusted: &[Adjustment]) -> Option<Self> {
        if names.is_empty() && adjusted.is_empty() {
            return None;
        }
        let adjusted: Vec<Cow<'_, str>> = adjusted.iter().map(|adjustment| adjustment.to_string().into()).collect();
        let all: Vec<&str> = names.iter().chain(&adjusted).map(Cow::as_ref).collect();
        let logged = joined(all.into_iter(), MAX_LOGGED_BYTES);
        Some(Self { header: listed(names), logged, adjusted: listed(&adjusted) })
    }

    /// The response headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = [(DROPPED, &self.header), (ADJUSTED, &self.adjusted)];
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.clone()))
    }
}

/// Lists names for a header or a message. Each name is cut and escaped as in JSON, so that the list has only
/// printable ASCII and no name contains a comma. Names beyond the limit are counted.
pub fn listed(names: &[Cow<'_, str>]) -> String {
    joined(names.iter().map(|name| escaped(name)), MAX_LIST_BYTES)
}

/// Whether a text is safe as the value of a response header on every platform: visible ASCII, spaces and
/// tabs, of bounded length.
pub fn fits_header(value: &str) -> bool {
    value.len() <= MAX_HEADER_BYTES && value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

/// Joins names with commas, within `limit` bytes.
fn joined<N: AsRef<str>>(names: impl ExactSizeIterator<Item = N>, limit: usize) -> String {
    let (mut out, count) = (String::new(), names.len());
    for (at, name) in names.enumerate() {
        let name = name.as_ref();
        let between = if at == 0 { "" } else { ", " };
        let last = at + 1 == count;
        if out.len() + between.len() + name.len() + if last { 0 } else { NOTE_BYTES } > limit {
            let mut room = limit.saturating_sub(NOTE_BYTES);
            // A first name that exceeds the limit is cut.
            if at == 0 {
                while !name.is_char_boundary(room.min(name.len())) {
                    room -= 1;
                }
                out.push_str(name.get(..room).unwrap_or(name));
            }
            let left = count - at - usize::from(at == 0);
            let more = if left > 0 { format!(", ..., and {left} more") } else { "...".to_owned() };
            return out + &more;
        }
        out.push_str(between);
        out.push_str(name);
    }
    out
}

/// A name in printable ASCII, of at most [`MAX_NAME_BYTES`]. It is never cut within an escape.
fn escaped(name: &str) -> String {
    const CUT: &str = "...";
    let (mut out, mut cut) = (String::new(), None);
    let last = name.chars().count().saturating_sub(1);
    for (at, character) in name.chars().enumerate() {
        let edge = at == 0 || at == last;
        match character {
            '\\' => out.push_str("\\\\"),
            ' ' if !edge => out.push(' '),
            '!'..='~' if character != ',' => out.push(character),
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
        if out.len() <= MAX_NAME_BYTES - CUT.len() {
            cut = Some(out.len());
        }
        if out.len() > MAX_NAME_BYTES {
            out.truncate(cut.unwrap_or(0));
            return out + CUT;
        }
    }
    if out.is_empty() { "\"\"".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Cow<'static, str>> {
        names.iter().map(|name| Cow::Owned((*name).to_owned())).collect()
    }

    #[test]
    fn a_name_is_printable_ascii_without_a_comma() {
        for (name, expected) in [
            ("seed", "seed"),
            ("messages[].name", "messages[].name"),
            ("a\r\nset-cookie: x=1", "a\\u000d\\u000aset-cookie: x=1"),
            ("思考", "\\u601d\\u8003"),
            ("🙂", "\\ud83d\\ude42"),
            ("a, seed", "a\\u002c seed"),
            ("a\\u0041", "a\\\\u0041"),
            (" a ", "\\u0020a\\u0020"),
            ("\u{7f}\u{0}\u{85}", "\\u007f\\u0000\\u0085"),
            ("", "\"\""),
        ] {
            assert_eq!(escaped(name), expected);
        }
    }

    #[test]
    fn a_long_name_is_cut_between_escapes() {
        assert_eq!(escaped(&"k".repeat(64)), "k".repeat(64));
        assert_eq!(escaped(&"k".repeat(65)), format!("{}...", "k".repeat(61)));
        assert_eq!(escaped(&"考".repeat(9)), "\\u8003".repeat(9));
        assert_eq!(escaped(&"考".repeat(11)), format!("{}...", "\\u8003".repeat(10)));
        assert_eq!(escaped(&"🙂".repeat(99)), format!("{}...", "\\ud83d\\ude42".repeat(5)));
    }

    #[test]
    fn many_names_are_counted() {
        let many: Vec<String> = (0..2000).map(|number| format!("field_number_{number}")).collect();
        let many = names(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let DroppedFields { header, logged, .. } = DroppedFields::of(&many, &[]).unwrap();
        assert!(header.len() <= MAX_LIST_BYTES && fits_header(&header), "{}", header.len());
        let (listed, left) = header.rsplit_once(", ..., and ").unwrap();
        let count: usize = left.strip_suffix(" more").unwrap().parse().unwrap();
        assert_eq!(listed.split(", ").count() + count, 2000);
        assert!(logged.len() <= MAX_LOGGED_BYTES && logged.len() > 8 * MAX_LIST_BYTES / 2, "{}", logged.len());
        assert_eq!(DroppedFields::of(&[], &[]), None);
        let long = DroppedFields::of(&names(&[&"é".repeat(MAX_LOGGED_BYTES)]), &[]).unwrap();
        assert!(long.logged.len() <= MAX_LOGGED_BYTES && long.logged.ends_with("é..."));
        assert_eq!(DroppedFields::of(&names(&["a", "b"]), &[]).unwrap().logged, "a, b");
    }

    #[test]
    fn text_that_no_header_can_hold_is_detected() {
        assert!(fits_header("text/plain; a=\"b\"\t") && fits_header(""));
        for value in ["a\r\nb", "\0", "é", "\u{7f}", &"x".repeat(MAX_HEADER_BYTES + 1)] {
            assert!(!fits_header(value), "{value:?}");
        }
    }
}
