//! JSON values that grow piece by piece, by the rules of a format. What does not grow keeps its bytes.

use serde_json::value::RawValue;

use crate::canonical::Raw;
use crate::wire::base64;
use crate::wire::json::{Document, quote};
use crate::wire::list;

/// The most members of an object.
const MAX_MEMBERS: usize = 1_024;

/// A string longer than this, in bytes, grows by a quarter. Its capacity would double otherwise.
const LARGE_TEXT: usize = 64 << 10;

/// A JSON value under construction.
#[derive(Debug)]
pub(in crate::formats) enum Value {
    /// A value as it was sent.
    Json(String),
    /// A string that grows: its contents, still escaped.
    Text(String),
    Object(Fields),
    List(Vec<Value>),
}

/// The members of an object, in the order in which they came first.
#[derive(Debug, Default)]
pub(in crate::formats) struct Fields(Vec<(String, Value)>);

/// How the values that a member has in several events become one.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats) enum Rule {
    /// The last value counts, unless it is empty.
    Last,
    /// The first value that is not empty counts.
    First,
    /// Strings are concatenated.
    Text,
    /// Strings of base64 are concatenated, each of which may be padded.
    Base64,
    /// Lists are concatenated.
    Items,
    /// Objects are merged.
    Object(&'static Rules),
    /// The builder sets the value later. Its place among the members is that of the first event.
    Place,
    /// Whole responses have no such member.
    Absent,
}

/// The rules of an object's members.
#[derive(Debug)]
pub(in crate::formats) struct Rules {
    pub(in crate::formats) known: &'static [(&'static str, Rule)],
    /// The rule of all other members.
    pub(in crate::formats) other: Rule,
}

/// How much a value takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::formats) struct Size {
    /// The length of its JSON, or slightly more.
    pub(in crate::formats) bytes: usize,
    /// The values that it consists of, as far as they are held apart.
    pub(in crate::formats) nodes: usize,
}

/// How much a value says. A value that says less does not take the place of one that says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Null,
    /// An empty string, list or object.
    Empty,
    Full,
}

impl Rules {
    fn of(&self, key: &str) -> Rule {
        self.known.iter().find(|(known, _)| *known == key).map_or(self.other, |(_, rule)| *rule)
    }
}

impl Rule {
    /// The value of a member after the JSON that an event has for it.
    fn apply(self, current: Option<Value>, json: &str) -> Option<Value> {
        match self {
            Self::Absent => current,
            Self::Place => current.or_else(|| Some(Value::copy("null"))),
            Self::First if current.as_ref().is_some_and(|current| current.weight() == Weight::Full) => current,
            Self::Text if json.starts_with('"') => Some(append_text(current, contents(json).unwrap_or_default())),
            Self::Base64 if json.starts_with('"') => Some(append_base64(current, json)),
            Self::Items if json.starts_with('[') => Some(append_items(current, json)),
            Self::Object(rules) if json.starts_with('{') => {
                let mut fields = if let Some(Value::Object(fields)) = current { fields } else { Fields::default() };
                // The value is an object, as its JSON has been read before.
                let _ = fields.merge(json, rules);
                Some(Value::Object(fields))
            }
            _ => Some(heavier(current, json)),
        }
    }
}

impl Weight {
    fn of(json: &str) -> Self {
        match json {
            "null" => Self::Null,
            "\"\"" | "[]" | "{}" => Self::Empty,
            _ => Self::Full,
        }
    }
}

impl Size {
    pub(in crate::formats) fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), nodes: self.nodes.saturating_add(other.nodes) }
    }

    /// The size with more bytes.
    fn longer(self, bytes: usize) -> Self {
        Self { bytes: self.bytes.saturating_add(bytes), ..self }
    }
}

impl Value {
    pub(in crate::formats) fn copy(json: &str) -> Self {
        Self::Json(json.to_owned())
    }

    fn weight(&self) -> Weight {
        let is_empty = match self {
            Self::Json(json) => return Weight::of(json),
            Self::Text(text) => text.is_empty(),
            Self::Object(fields) => fields.0.is_empty(),
            Self::List(items) => items.is_empty(),
        };
        if is_empty { Weight::Empty } else { Weight::Full }
    }

    pub(in crate::formats) fn size(&self) -> Size {
        let one = Size { bytes: 2, nodes: 1 };
        match self {
            Self::Json(json) => Size { bytes: json.len(), nodes: 1 },
            Self::Text(text) => one.longer(text.len()),
            Self::Object(fields) => fields.size(),
            Self::List(items) => items.iter().fold(one, |size, item| size.plus(item.size()).longer(1)),
        }
    }

    /// Appends the value's JSON.
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Json(json) => out.extend_from_slice(json.as_bytes()),
            Self::Text(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            Self::Object(fields) => fields.write(out),
            Self::List(items) => {
                out.push(b'[');
                for (at, item) in items.into_iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
        }
    }
}

impl Fields {
    /// Merges an object of an event, which is JSON. `None` if it is not an object, or has too many members.
    pub(in crate::formats) fn merge(&mut self, json: &str, rules: &Rules) -> Option<()> {
        let document = Document::read(json.as_bytes()).ok()?;
        document.members().try_for_each(|(key, value)| self.add(key, value, rules.of(key)))
    }

    /// Adds the JSON that an event has for a member. `None` if there are too many members.
    pub(in crate::formats) fn add(&mut self, key: &str, json: &str, rule: Rule) -> Option<()> {
        let found = self.0.iter_mut().find(|(known, _)| known == key);
        if let Some((_, slot)) = found {
            let current = std::mem::replace(slot, Value::Json(String::new()));
            if let Some(value) = rule.apply(Some(current), json) {
                *slot = value;
            }
            return Some(());
        }
        if self.0.len() >= MAX_MEMBERS {
            return None;
        }
        if let Some(value) = rule.apply(None, json) {
            self.0.push((key.to_owned(), value));
        }
        Some(())
    }

    /// Sets a member: in its place if it has one, else at the end.
    pub(in crate::formats) fn set(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Sets a member unless it is there.
    pub(in crate::formats) fn set_missing(&mut self, key: &str, json: &str) {
        if self.get(key).is_none() {
            self.0.push((key.to_owned(), Value::copy(json)));
        }
    }

    pub(in crate::formats) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(in crate::formats) fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// A member's JSON, if it has not grown.
    pub(in crate::formats) fn json(&self, key: &str) -> Option<&str> {
        if let Some(Value::Json(json)) = self.get(key) { Some(json) } else { None }
    }

    pub(in crate::formats) fn size(&self) -> Size {
        let empty = Size { bytes: 2, nodes: 1 };
        self.0.iter().fold(empty, |size, (key, value)| size.plus(value.size()).longer(key.len().saturating_add(4)))
    }

    /// Appends the object's JSON.
    pub(in crate::formats) fn write(self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (key, value)) in self.0.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(quote(&key).as_bytes());
            out.push(b':');
            value.write(out);
        }
        out.push(b'}');
    }
}

/// The contents of a JSON string, still escaped; `None` for other values.
pub(in crate::formats) fn contents(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// Hands each item of a JSON list to `take`. `None` if the value is not a list, or if `take` returns `None`.
pub(in crate::formats) fn each_item(json: &str, mut take: impl FnMut(&str) -> Option<()>) -> Option<()> {
    list::each(json, |item: &RawValue| take(item.get()).is_some()).ok()
}

fn heavier(current: Option<Value>, json: &str) -> Value {
    match current {
        Some(current) if current.weight() > Weight::of(json) => current,
        _ => Value::copy(json),
    }
}

fn append_text(current: Option<Value>, piece: &str) -> Value {
    let mut text = match current {
        Some(Value::Text(text)) => text,
        Some(Value::Json(json)) => contents(&json).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    if text.len() > LARGE_TEXT && text.capacity() - text.len() < piece.len() {
        text.reserve_exact(piece.len().max(text.len() / 4));
    }
    text.push_str(piece);
    Value::Text(text)
}

/// Appends base64. Padding within it would end it for most readers, so bytes around it are encoded again.
fn append_base64(current: Option<Value>, json: &str) -> Value {
    let piece = Raw::parse(json).and_then(|raw| raw.text().map(std::borrow::Cow::into_owned)).unwrap_or_default();
    let Some(Value::Text(mut text)) = current else { return append_text(current, &piece) };
    let tail = text.len().saturating_sub(4);
    let padded = text.get(tail..).filter(|tail| tail.ends_with('=')).and_then(base64::decode);
    if let Some((mut bytes, more)) = padded.zip(base64::decode(&piece)) {
        bytes.extend_from_slice(&more);
        text.truncate(tail);
        return append_text(Some(Value::Text(text)), &base64::encode(&bytes));
    }
    append_text(Some(Value::Text(text)), &piece)
}

fn append_items(current: Option<Value>, json: &str) -> Value {
    let mut items = match current {
        Some(Value::List(items)) => items,
        _ => Vec::new(),
    };
    // The value is a list, as its JSON has been read before.
    let _ = each_item(json, |item| {
        items.push(Value::copy(item));
        Some(())
    });
    Value::List(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Rules = Rules { known: &[], other: Rule::Text };
    const RULES: Rules = Rules {
        known: &[
            ("first", Rule::First),
            ("text", Rule::Text),
            ("data", Rule::Base64),
            ("items", Rule::Items),
            ("object", Rule::Object(&INNER)),
            ("place", Rule::Place),
            ("absent", Rule::Absent),
        ],
        other: Rule::Last,
    };

    fn merged(pieces: &[&str]) -> String {
        let mut fields = Fields::default();
        pieces.iter().for_each(|piece| fields.merge(piece, &RULES).unwrap());
        let size = fields.size();
        let mut out = Vec::new();
        fields.write(&mut out);
        assert!(out.len() <= size.bytes && size.bytes <= out.len() + 2 + out.len() / 4, "{size:?} {}", out.len());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_last_value_counts_unless_it_is_empty() {
        let pieces = [r#"{"a":1.50,"b":null,"c":"x","d":[1]}"#, r#"{"a":2e3,"b":{},"c":"","d":null,"e":false}"#];
        assert_eq!(merged(&pieces), r#"{"a":2e3,"b":{},"c":"x","d":[1],"e":false}"#);
        assert_eq!(merged(&[r#"{"a":true}"#, r#"{"a":false}"#]), r#"{"a":false}"#);
        assert_eq!(merged(&[r#"{"first":""}"#, r#"{"first":"x"}"#, r#"{"first":"y"}"#]), r#"{"first":"x"}"#);
    }

    #[test]
    fn texts_grow_with_their_escapes() {
        let pieces = [r#"{"text":null}"#, r#"{"text":"\ud83d"}"#, r#"{"text":"\ude00\n"}"#, r#"{"text":null}"#];
        assert_eq!(merged(&pieces), r#"{"text":"\ud83d\ude00\n"}"#);
        assert_eq!(merged(&[r#"{"text":null}"#]), r#"{"text":null}"#);
        assert_eq!(merged(&[r#"{"text":""}"#, r#"{"text":null}"#]), r#"{"text":""}"#);
        let object = [r#"{"object":{"x":"a"}}"#, r#"{"object":null}"#, r#"{"object":{"y":"b","x":"c"}}"#];
        assert_eq!(merged(&object), r#"{"object":{"x":"ac","y":"b"}}"#);
    }

    #[test]
    fn lists_are_joined_and_places_kept() {
        let pieces =
            [r#"{"place":7,"items":[1, {"a":2}],"absent":1}"#, r#"{"items":null,"z":0}"#, r#"{"items":["x"]}"#];
        assert_eq!(merged(&pieces), r#"{"place":null,"items":[1,{"a":2},"x"],"z":0}"#);
    }

    #[test]
    fn base64_is_joined_across_its_padding() {
        assert_eq!(
            merged(&[r#"{"data":"Zg=="}"#, r#"{"data":"bw=="}"#, r#"{"data":"b2I="}"#]),
            r#"{"data":"Zm9vYg=="}"#
        );
        assert_eq!(merged(&[r#"{"data":"Zm9v"}"#, r#"{"data":"Yg\u003d="}"#]), r#"{"data":"Zm9vYg=="}"#);
    }

    #[test]
    fn only_objects_with_few_members_are_merged() {
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|number| format!("\"{number}\":1")).collect();
        for json in ["[1]", "7", "{oops", &format!("{{{}}}", many.join(","))] {
            assert_eq!(Fields::default().merge(json, &RULES), None);
        }
    }
}
