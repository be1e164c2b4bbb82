//! Cuts a text into pieces. No token spans two of them.
//!
//! Each encoding publishes its cuts as a regular expression. They are written out here, because an engine for
//! such expressions would be larger than the gateway, and engines that support these (with lookahead) fail on
//! a long run of spaces. This code reads each character a few times at most. Tests compare it with the
//! expressions.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::encoding::Encoding;

/// The classes of characters that the expressions distinguish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// `\p{Lu}`, `\p{Lt}`: an upper-case or title-case letter.
    Upper,
    /// `\p{Ll}`: a lower-case letter.
    Lower,
    /// `\p{Lo}`, `\p{Lm}`: a letter without case, or a modifier letter.
    Plain,
    /// `\p{M}`: a combining mark.
    Mark,
    /// `\p{N}`.
    Number,
    /// Whitespace except line ends.
    Space,
    /// `\r` or `\n`.
    LineEnd,
    /// Punctuation, symbols, control characters, and unassigned characters.
    Other,
}
use Class::{LineEnd, Lower, Mark, Number, Other, Plain, Space, Upper};

fn class(c: char) -> Class {
    match c {
        'a'..='z' => Lower,
        'A'..='Z' => Upper,
        '0'..='9' => Number,
        '\r' | '\n' => LineEnd,
        '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => Plain,
        _ if c.is_whitespace() => Space,
        _ if c.is_ascii() => Other,
        _ => match (c.general_category(), c.general_category_group()) {
            (GeneralCategory::UppercaseLetter | GeneralCategory::TitlecaseLetter, _) => Upper,
            (GeneralCategory::LowercaseLetter, _) => Lower,
            (_, GeneralCategoryGroup::Letter) => Plain,
            (_, GeneralCategoryGroup::Mark) => Mark,
            (_, GeneralCategoryGroup::Number) => Number,
            _ => Other,
        },
    }
}

impl Class {
    fn is_letter(self) -> bool {
        matches!(self, Upper | Lower | Plain)
    }

    /// Whether a word may begin with one such character before its first letter.
    fn may_precede(self) -> bool {
        matches!(self, Space | Mark | Other)
    }

    fn is_symbol(self) -> bool {
        matches!(self, Mark | Other)
    }

    fn is_space(self) -> bool {
        matches!(self, Space | LineEnd)
    }
}

/// The end of a text's first piece, in bytes; 0 only for an empty text.
pub(super) fn first_piece_end(encoding: Encoding, text: &str) -> usize {
    let Some(first) = text.chars().next() else { return 0 };
    let (kind, length) = (class(first), first.len_utf8());
    let word = match encoding {
        Encoding::O200k => cased_word(text, kind, length),
        Encoding::Cl100k => contraction(text, 0).or_else(|| plain_word(text, kind, length)),
    };
    word.or_else(|| number(text, kind)).or_else(|| symbols(encoding, text, first)).unwrap_or_else(|| match encoding {
        Encoding::O200k => spaces(text, false),
        Encoding::Cl100k => spaces(text, true),
    })
}

/// `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
/// or else
/// `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
fn cased_word(text: &str, kind: Class, length: usize) -> Option<usize> {
    let from = if kind.may_precede() { length } else { 0 };
    let end = lower_end(text, from).or_else(|| match kind {
        // A mark before upper-case letters is a word of its own.
        Mark => Some(length),
        _ => Some(run_end(text, from, |c, _| class(c) == Upper)).filter(|end| *end > from),
    })?;
    Some(contraction(text, end).unwrap_or(end))
}

/// The end of upper-case letters followed by at least one lower-case letter. Letters without case count as
/// both.
fn lower_end(text: &str, from: usize) -> Option<usize> {
    let mut last = None;
    for (at, c) in text.get(from..)?.char_indices() {
        match class(c) {
            Upper => {}
            Plain | Mark => last = Some(from + at + c.len_utf8()),
            Lower => return Some(run_end(text, from + at, |c, _| matches!(class(c), Lower | Plain | Mark))),
            Number | Space | LineEnd | Other => break,
        }
    }
    last
}

/// `[^\r\n\p{L}\p{N}]?+\p{L}++`
fn plain_word(text: &str, kind: Class, length: usize) -> Option<usize> {
    let from = if kind.may_precede() { length } else { 0 };
    Some(run_end(text, from, |c, _| class(c).is_letter())).filter(|end| *end > from)
}

/// The end of `(?i:'s|'t|'re|'ve|'m|'ll|'d)`, if it begins at `from`.
fn contraction(text: &str, from: usize) -> Option<usize> {
    let mut chars = text.get(from..)?.strip_prefix('\'')?.chars();
    let first = chars.next()?;
    let length = match first.to_ascii_lowercase() {
        // Case folding makes the long s an s.
        's' | 'ſ' | 't' | 'm' | 'd' => first.len_utf8(),
        letter @ ('r' | 'v' | 'l') => {
            let second = chars.next()?.to_ascii_lowercase();
            (if letter == 'l' { second == 'l' } else { second == 'e' }).then_some(2)?
        }
        _ => return None,
    };
    Some(from + 1 + length)
}

/// `\p{N}{1,3}`
fn number(text: &str, kind: Class) -> Option<usize> {
    (kind == Number).then(|| run_end(text, 0, |c, nth| nth < 3 && class(c) == Number))
}

/// ` ?[^\s\p{L}\p{N}]+[\r\n/]*`, in cl100k without the slash.
fn symbols(encoding: Encoding, text: &str, first: char) -> Option<usize> {
    let from = usize::from(first == ' ');
    let end = Some(run_end(text, from, |c, _| class(c).is_symbol())).filter(|end| *end > from)?;
    let slash = encoding == Encoding::O200k;
    Some(run_end(text, end, |c, _| class(c) == LineEnd || (slash && c == '/')))
}

/// `\s*[\r\n]+|\s+(?!\S)|\s+`. With `end_first`, `\s++$|\s*[\r\n]|\s+(?!\S)|\s`: all whitespace at the end of
/// a text is one piece.
fn spaces(text: &str, end_first: bool) -> usize {
    let end = run_end(text, 0, |c, _| class(c).is_space());
    if end_first && end == text.len() {
        return end;
    }
    let space = text.get(..end).unwrap_or_default();
    if let Some(line_end) = space.rfind(['\r', '\n']) {
        return line_end + 1;
    }
    let last = space.chars().next_back().map_or(0, char::len_utf8);
    // The last space belongs to the next piece, unless it is the only one or the text ends.
    if end == text.len() || end == last { end } else { end - last }
}

/// The end of the run of characters from `from` for which `goes_on` holds. It gets each character and its
/// index in the run.
fn run_end(text: &str, from: usize, goes_on: impl Fn(char, usize) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let stop = rest.char_indices().enumerate().find(|(nth, (_, c))| !goes_on(*c, *nth));
    from + stop.map_or(rest.len(), |(_, (at, _))| at)
}
