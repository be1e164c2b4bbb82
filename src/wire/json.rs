//! Edits the top-level members of a JSON object and keeps every other byte as it was.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::members::{Member as Pair, members};

/// Why bytes could not be read as a [`Document`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentError {
    /// Not JSON.
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What was wrong or missing there.
        reason: String,
    },
    /// JSON, but an array or a scalar.
    NotAnObject,
    /// An object with more than [`MAX_MEMBERS`] members.
    TooManyMembers,
}

/// The most members that a [`Document`] may have. A member takes many times the memory of its shortest text.
pub const MAX_MEMBERS: usize = 10_000;

/// Marks serde's error for too many members.
const TOO_MANY_MEMBERS: &str = "too many members";

/// A JSON object. Edits are kept beside the original bytes until [`Document::render`] writes both.
#[derive(Clone)]
pub struct Document<'a> {
    bytes: &'a [u8],
    members: Vec<Member<'a>>,
    added: Vec<(String, String)>,
    edited: bool,
}

#[derive(Clone)]
struct Member<'a> {
    key: Cow<'a, str>,
    /// From the opening quote of the key to the end of the value.
    span: Range<usize>,
    value_start: usize,
    value: &'a str,
    edit: MemberEdit,
}

#[derive(Clone)]
enum MemberEdit {
    Unchanged,
    Removed,
    Replaced(String),
    Renamed(String),
}

impl<'a> Document<'a> {
    /// Reads an object and checks that all of it is JSON in UTF-8.
    ///
    /// # Errors
    /// If the bytes are malformed, hold another kind of value, or have more than [`MAX_MEMBERS`] members.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let text = simdutf8::basic::from_utf8(bytes).ok();
        let pairs = match text.and_then(|text| members(text, MAX_MEMBERS)) {
            Some(pairs) => pairs,
            None => serde_json::from_slice::<Members<'_>>(bytes).map_err(|error| document_error(bytes, &error))?.0,
        };
        let mut members = Vec::with_capacity(pairs.len());
        let mut from = skip_whitespace(bytes, 0) + 1;
        for (key, value) in pairs {
            let value_start = value.as_ptr() as usize - bytes.as_ptr() as usize;
            let end = value_start + value.len();
            let span = skip_whitespace(bytes, from)..end;
            from = skip_whitespace(bytes, end) + 1;
            members.push(Member { key, span, value_start, value, edit: MemberEdit::Unchanged });
        }
        Ok(Self { bytes, members, added: Vec::new(), edited: false })
    }

    /// An object without members.
    pub fn empty() -> Document<'static> {
        Document { bytes: b"{}", members: Vec::new(), added: Vec::new(), edited: false }
    }

    /// The JSON text of a member, edits included. Of a repeated key, the last member counts.
    pub fn value(&self, key: &str) -> Option<&str> {
        let added = self.added.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        added.or_else(|| self.members.iter().rev().find(|member| member.is_named(key)).map(Member::value))
    }

    /// The original bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The original members in order: each key, and the JSON text of its value.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|member| (member.key.as_ref(), member.value))
    }

    /// The members with all edits applied: each key, and the JSON text of its value. A key may occur twice.
    pub fn edited_members(&self) -> impl Iterator<Item = (&str, &str)> {
        let kept = self.members.iter().filter_map(|member| match &member.edit {
            MemberEdit::Removed => None,
            MemberEdit::Renamed(name) => Some((name.as_str(), member.value())),
            MemberEdit::Unchanged | MemberEdit::Replaced(_) => Some((member.key.as_ref(), member.value())),
        });
        kept.chain(self.added.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// The first of `keys` that occurs more than once.
    pub fn repeated<'k>(&self, keys: &[&'k str]) -> Option<&'k str> {
        keys.iter().copied().find(|key| self.members.iter().filter(|member| member.is_named(key)).count() > 1)
    }

    /// Sets a member to a JSON text, in place if it exists, at the end otherwise.
    pub fn set(&mut self, key: &str, json: impl Into<String>) {
        let json = json.into();
        self.edited = true;
        if let Some(pair) = self.added.iter_mut().find(|(name, _)| name == key) {
            pair.1 = json;
            return;
        }
        let mut places = self.members.iter_mut().rev().filter(|member| member.is_named(key));
        match places.next() {
            Some(member) if matches!(member.edit, MemberEdit::Unchanged) => member.edit = MemberEdit::Replaced(json),
            Some(member) => {
                member.edit = MemberEdit::Removed;
                self.added.push((key.to_owned(), json));
                return;
            }
            None => {
                self.added.push((key.to_owned(), json));
                return;
            }
        }
        places.for_each(|earlier| earlier.edit = MemberEdit::Removed);
    }

    /// Removes every member with this key.
    pub fn remove(&mut self, key: &str) {
        self.edited = true;
        self.added.retain(|(name, _)| name != key);
        self.members
            .iter_mut()
            .filter(|member| member.is_named(key))
            .for_each(|member| member.edit = MemberEdit::Removed);
    }

    /// Renames a member and removes any other member with the new name. Does nothing if `old` is absent.
    pub fn rename(&mut self, old: &str, new: &str) {
        if old == new || self.value(old).is_none() {
            return;
        }
        self.remove(new);
        if let Some(pair) = self.added.iter_mut().find(|(name, _)| name == old) {
            new.clone_into(&mut pair.0);
            return;
        }
        let mut places = self.members.iter_mut().rev().filter(|member| member.is_named(old));
        if let Some(member) = places.next() {
            if matches!(member.edit, MemberEdit::Replaced(_)) {
                self.added.push((new.to_owned(), member.value().to_owned()));
                member.edit = MemberEdit::Removed;
            } else {
                member.edit = MemberEdit::Renamed(new.to_owned());
            }
        }
        places.for_each(|earlier| earlier.edit = MemberEdit::Removed);
    }

    /// Writes the object with its edits. Without edits, borrows the original bytes.
    pub fn render(&self) -> Cow<'a, [u8]> {
        if !self.edited {
            return Cow::Borrowed(self.bytes);
        }
        let mut out = Vec::with_capacity(self.bytes.len() + self.edits_len());
        let first = self.members.first().map_or_else(|| skip_whitespace(self.bytes, 0) + 1, |member| member.span.start);
        out.extend_from_slice(self.slice(0..first));
        let mut empty = true;
        let mut last_end = first;
        for member in &self.members {
            if !matches!(member.edit, MemberEdit::Removed) {
                if !empty {
                    out.extend_from_slice(self.slice(last_end..member.span.start));
                }
                self.render_member(member, &mut out);
                empty = false;
            }
            last_end = member.span.end;
        }
        for (key, value) in &self.added {
            if !empty {
                out.push(b',');
            }
            out.extend_from_slice(quote(key).as_bytes());
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
            empty = false;
        }
        out.extend_from_slice(self.slice(last_end..self.bytes.len()));
        Cow::Owned(out)
    }

    fn render_member(&self, member: &Member<'a>, out: &mut Vec<u8>) {
        match &member.edit {
            MemberEdit::Replaced(value) => {
                out.extend_from_slice(self.slice(member.span.start..member.value_start));
                out.extend_from_slice(value.as_bytes());
            }
            MemberEdit::Renamed(key) => {
                out.extend_from_slice(quote(key).as_bytes());
                out.push(b':');
                out.extend_from_slice(member.value.as_bytes());
            }
            MemberEdit::Unchanged | MemberEdit::Removed => out.extend_from_slice(self.slice(member.span.clone())),
        }
    }

    fn edits_len(&self) -> usize {
        let in_place = self.members.iter().map(|member| match &member.edit {
            MemberEdit::Replaced(text) | MemberEdit::Renamed(text) => text.len() + 4,
            MemberEdit::Unchanged | MemberEdit::Removed => 0,
        });
        in_place.sum::<usize>() + self.added.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>()
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }
}

impl Member<'_> {
    fn is_named(&self, key: &str) -> bool {
        match &self.edit {
            MemberEdit::Removed => false,
            MemberEdit::Renamed(name) => name == key,
            MemberEdit::Unchanged | MemberEdit::Replaced(_) => self.key == key,
        }
    }

    fn value(&self) -> &str {
        match &self.edit {
            MemberEdit::Replaced(value) => value,
            MemberEdit::Unchanged | MemberEdit::Renamed(_) | MemberEdit::Removed => self.value,
        }
    }
}

/// The value of the last member called `name` in a fragment of JSON, which may begin and end anywhere. A
/// string that contains the name does not match, because the quotes in it are escaped.
pub fn last_value<'a>(piece: &'a [u8], name: &str) -> Option<&'a str> {
    let key = quote(name);
    let at = memchr::memmem::rfind(piece, key.as_bytes())?;
    let rest = piece.get(at + key.len()..)?.trim_ascii_start().strip_prefix(b":")?;
    let value = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>().next()?;
    value.ok().map(RawValue::get)
}

/// The text of a JSON string; `None` for any other value. Whether it is a string is seen by its first byte:
/// serde_json writes an error with the position and the found value for everything else, which takes longer
/// than to read most strings.
pub fn text(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.trim_ascii_start().starts_with('"') {
        return None;
    }
    let plain = serde_json::from_str::<&str>(raw).map(Cow::Borrowed);
    plain.or_else(|_| serde_json::from_str(raw).map(Cow::Owned)).ok()
}

/// Writes a string as JSON.
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Reads a JSON number that is an integer by its value: `4096`, `4096.0`, `4.096e3`. Larger ones become
/// `u64::MAX`. `None` for other numbers, and for other values.
pub fn parse_integer(raw: &str) -> Option<u64> {
    if let Ok(number) = raw.parse() {
        return Some(number);
    }
    let number: f64 = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then(|| raw.parse().ok())??;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    (number >= 0.0 && (number.is_infinite() || number.fract() == 0.0)).then_some(number as u64)
}

/// Whether most readers treat a value like an absent member: null, false, or an empty string, array or
/// object.
pub fn is_empty_value(json: &str) -> bool {
    matches!(json, "null" | "false" | "\"\"" | "[]" | "{}")
}

fn skip_whitespace(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

fn document_error(bytes: &[u8], error: &serde_json::Error) -> DocumentError {
    if error.is_data() && error.to_string().starts_with(TOO_MANY_MEMBERS) {
        return DocumentError::TooManyMembers;
    }
    if error.is_data() {
        // serde reports another kind of value before it has seen whether the rest is JSON at all.
        return match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => DocumentError::NotAnObject,
            Err(deeper) if deeper.is_data() => DocumentError::NotAnObject,
            Err(deeper) => document_error(bytes, &deeper),
        };
    }
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
    DocumentError::Syntax { line: error.line(), column: error.column().max(1), reason }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object as serde_json reads them.
struct Members<'a>(Vec<Pair<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some((key, value)) = map.next_entry::<Key<'_>, &RawValue>()? {
                    if pairs.len() >= MAX_MEMBERS {
                        return Err(serde::de::Error::custom(TOO_MANY_MEMBERS));
                    }
                    pairs.push((key.0, value.get()));
                }
                Ok(Members(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, change: impl FnOnce(&mut Document<'_>)) -> String {
        let mut document = Document::read(text.as_bytes()).unwrap();
        change(&mut document);
        String::from_utf8(document.render().into_owned()).unwrap()
    }

    #[test]
    fn the_last_value_of_a_name_is_found_in_a_piece() {
        let piece = br#"aid \\"usage\\": 1", "usage": {"n": 1}, "x": "usage", "usage" : {"n": [2]} , "m": "c"#;
        assert_eq!(last_value(piece, "usage"), Some("{\"n\": [2]}"));
        assert_eq!((last_value(piece, "m"), last_value(piece, "n")), (None, Some("[2]")));
        assert_eq!(last_value(b"", "n"), None);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused_where_they_stand() {
        let long = [b"{\n \"a\":\"".as_slice(), &[b'x'; 200], b"\xff\"}"].concat();
        let cut = b"{\"a\":[1,\"\xe2\x82\"]}";
        for (bytes, at) in [(long.as_slice(), (2, 207)), (b"{\"\xffa\":1}", (1, 3)), (cut, (1, 10))] {
            let (line, column) = at;
            let reason = "invalid unicode code point".to_owned();
            assert_eq!(Document::read(bytes).err(), Some(DocumentError::Syntax { line, column, reason }));
        }
        // An error names the first fault of the text.
        let Err(DocumentError::Syntax { reason, .. }) = Document::read(b"{\"a\" 1,\"b\":\"\xff\"}") else { panic!() };
        assert_eq!(reason, "expected `:`");
    }

    #[test]
    fn texts_are_read_and_nothing_else() {
        for (raw, expected) in [
            (r#""plain""#, Some("plain")),
            (r#" "a \u0033\n" "#, Some("a 3\n")),
            (r#""""#, Some("")),
            ("1", None),
            ("null", None),
            (r#"["a"]"#, None),
            (r#""cut"#, None),
            (r#""two" "texts""#, None),
            ("", None),
        ] {
            assert_eq!(text(raw).as_deref(), expected, "{raw}");
        }
        assert!(matches!(text(r#""plain""#), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn a_value_is_replaced_and_all_else_stays() {
        let text = " {\"a\" : 1.0 ,\r\n\t\"model\":\"x\\u00e9\" , \"z\":[1e2, {\"model\":1}] } \n";
        assert_eq!(
            edit(text, |d| d.set("model", "\"y\"")),
            " {\"a\" : 1.0 ,\r\n\t\"model\":\"y\" , \"z\":[1e2, {\"model\":1}] } \n"
        );
        assert_eq!(edit(text, |_| ()), text);
    }

    #[test]
    fn members_come_and_go_with_their_commas() {
        assert_eq!(edit("{}", |d| d.set("a", "1")), "{\"a\":1}");
        assert_eq!(edit("{ }", |d| d.set("a", "1")), "{\"a\":1 }");
        assert_eq!(edit("{\"a\":1}", |d| d.remove("a")), "{}");
        assert_eq!(edit("{\"a\":1, \"b\":2, \"c\":3}", |d| d.remove("a")), "{\"b\":2, \"c\":3}");
        assert_eq!(edit("{\"a\":1, \"b\":2, \"c\":3}", |d| d.remove("b")), "{\"a\":1, \"c\":3}");
        assert_eq!(edit("{\"a\":1, \"b\":2, \"c\":3 }", |d| d.remove("c")), "{\"a\":1, \"b\":2 }");
        let all_but_new = |d: &mut Document<'_>| {
            d.remove("a");
            d.remove("b");
            d.set("n", "0");
        };
        assert_eq!(edit("{\"a\":1,\"b\":2}", all_but_new), "{\"n\":0}");
    }

    #[test]
    fn renames_chain_and_overwrite() {
        let chain = |d: &mut Document<'_>| {
            d.rename("a", "b");
            d.rename("b", "c");
        };
        assert_eq!(edit("{\"a\":1}", chain), "{\"c\":1}");
        assert_eq!(edit("{\"a\":1,\"b\":2}", |d| d.rename("a", "b")), "{\"b\":1}");
        assert_eq!(edit("{\"b\":2}", |d| d.rename("a", "b")), "{\"b\":2}");
        let after_set = |d: &mut Document<'_>| {
            d.set("a", "7");
            d.rename("a", "b");
        };
        assert_eq!(edit("{\"a\":1,\"z\":0}", after_set), "{\"z\":0,\"b\":7}");
    }

    #[test]
    fn escaped_keys_are_the_same_keys() {
        assert_eq!(edit(r#"{"mod\u0065l":"x"}"#, |d| d.set("model", "\"y\"")), r#"{"mod\u0065l":"y"}"#);
        let twice = Document::read(br#"{"model":1,"mod\u0065l":2}"#).unwrap();
        assert_eq!(twice.repeated(&["stream", "model"]), Some("model"));
        assert_eq!(twice.value("model"), Some("2"));
    }

    #[test]
    fn members_are_listed_with_their_edits() {
        let mut document = Document::read(br#"{"a":1,"b":2,"c":3,"d":4,"d":5}"#).unwrap();
        document.rename("a", "x");
        document.set("b", "7");
        document.remove("c");
        document.set("n", "0");
        let members: Vec<(&str, &str)> = document.edited_members().collect();
        assert_eq!(members, [("x", "1"), ("b", "7"), ("d", "4"), ("d", "5"), ("n", "0")]);
    }

    #[test]
    fn errors_say_where() {
        let syntax = |text: &str| match Document::read(text.as_bytes()).err() {
            Some(DocumentError::Syntax { line, column, .. }) => (line, column),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(syntax("{\"a\":1,\n \"b\" 2}"), (2, 6));
        assert_eq!(syntax(""), (1, 1));
        assert_eq!(syntax("[1,"), (1, 3));
        assert_eq!(syntax("{\"a\":1} x"), (1, 9));
        assert_eq!(Document::read(b"[1]").err(), Some(DocumentError::NotAnObject));
        assert_eq!(Document::read(b"\"x\"").err(), Some(DocumentError::NotAnObject));
        assert!(matches!(Document::read(b"{\"a\":\"\xff\"}").err(), Some(DocumentError::Syntax { .. })));
    }
}
