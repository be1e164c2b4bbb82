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

/// The member that says what kind of object one is.
const TYPE: &str = "type";

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
    /// Lists of objects are concatenated, and objects that continue the last one are merged with it.
    Parts(&'static PartRules),
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

/// The rules of a list of typed objects.
#[derive(Debug)]
pub(in crate::formats) struct PartRules {
    /// The types of the objects that may come in pieces: JSON strings.
    pub(in crate::formats) growing: &'static [&'static str],
    /// The members in which two pieces of one object do not differ, besides their type.
    pub(in crate::formats) same: &'static [&'static str],
    /// The rules of the members.
    pub(in crate::formats) members: Rules,
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
    /// The rule of a member.
    pub(in crate::formats) fn of(&self, key: &str) -> Rule {
        self.known.iter().find(|(known, _)| *known == key).map_or(self.other, |(_, rule)| *rule)
    }
}

/// An object that has too many members.
struct TooMany;

impl Rule {
    /// The value of a member after the JSON that an event has for it. `None` if whole responses have none.
    fn apply(self, current: Option<Value>, json: &str) -> Result<Option<Value>, TooMany> {
        let value = match self {
            Self::Absent => return Ok(current),
            Self::First if current.as_ref().is_some_and(|current| current.weight() == Weight::Full) => {
                return Ok(current);
            }
            Self::Text if json.starts_with('"') => append_text(current, contents(json).unwrap_or_default()),
            Self::Base64 if json.starts_with('"') => append_base64(current, json),
            Self::Items if json.starts_with('[') => append_items(current, json),
            Self::Parts(rules) if json.starts_with('[') => append_parts(current, json, rules).ok_or(TooMany)?,
            Self::Object(rules) if json.starts_with('{') => {
                let mut fields = if let Some(Value::Object(fields)) = current { fields } else { Fields::default() };
                fields.merge(json, rules).ok_or(TooMany)?;
                Value::Object(fields)
            }
            _ => heavier(current, json),
        };
        Ok(Some(value))
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
        if let Some((_, slot)) = self.0.iter_mut().find(|(known, _)| known == key) {
            let current = std::mem::replace(slot, Value::Json(String::new()));
            if let Some(value) = rule.apply(Some(current), json).ok()? {
                *slot = value;
            }
        } else if let Some(value) = rule.apply(None, json).ok()? {
            if self.0.len() >= MAX_MEMBERS {
                return None;
            }
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

    /// A member that is an object, if it has been merged.
    pub(in crate::formats) fn object_mut(&mut self, key: &str) -> Option<&mut Self> {
        let (_, value) = self.0.iter_mut().find(|(known, _)| known == key)?;
        if let Value::Object(fields) = value { Some(fields) } else { None }
    }

    /// A member's JSON, if it has not grown.
    pub(in crate::formats) fn json(&self, key: &str) -> Option<&str> {
        if let Some(Value::Json(json)) = self.get(key) { Some(json) } else { None }
    }

    pub(in crate::formats) fn size(&self) -> Size {
        let empty = Size { bytes: 2, nodes: 1 };
        self.0.iter().fold(empty, |size, (key, value)| size.plus(value.size()).longer(key.len().saturating_add(4)))
    }

    /// Takes over members that are missing or null here, as far as `may` allows it.
    pub(in crate::formats) fn fill(&mut self, from: Self, may: impl Fn(&str) -> bool) {
        for (key, value) in from.0 {
            if may(&key) && self.get(&key).is_none_or(|known| known.weight() == Weight::Null) {
                self.set(&key, value);
            }
        }
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
    let is_base64 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte));
    let raw = Raw::parse(json);
    let read = raw.as_ref().and_then(Raw::text).filter(|text| is_base64(text));
    let piece = read.as_deref().or(contents(json)).unwrap_or_default();
    let Some(Value::Text(mut text)) = current else { return append_text(current, piece) };
    let tail = text.len().saturating_sub(4);
    let padded = text.get(tail..).filter(|tail| tail.ends_with('=')).and_then(base64::decode);
    if let Some((mut bytes, more)) = padded.zip(base64::decode(piece)) {
        bytes.extend_from_slice(&more);
        text.truncate(tail);
        return append_text(Some(Value::Text(text)), &base64::encode(&bytes));
    }
    append_text(Some(Value::Text(text)), piece)
}

fn items_of(current: Option<Value>) -> Vec<Value> {
    let mut items = Vec::new();
    match current {
        Some(Value::List(begun)) => return begun,
        Some(Value::Json(json)) => {
            // Another value than a list gives way to one.
            let _ = each_item(&json, |item| {
                items.push(Value::copy(item));
                Some(())
            });
        }
        _ => {}
    }
    items
}

fn append_items(current: Option<Value>, json: &str) -> Value {
    let mut items = items_of(current);
    // The value is a list, as its JSON has been read before.
    let _ = each_item(json, |item| {
        items.push(Value::copy(item));
        Some(())
    });
    Value::List(items)
}

/// Appends a list of typed objects. `None` if one of them has too many members.
fn append_parts(current: Option<Value>, json: &str, rules: &'static PartRules) -> Option<Value> {
    let mut items = items_of(current);
    each_item(json, |item| {
        let Ok(part) = Document::read(item.as_bytes()) else {
            items.push(Value::copy(item));
            return Some(());
        };
        match items.last_mut() {
            Some(Value::Object(last)) if rules.continues(last, &part) => last.merge(item, &rules.members)?,
            _ if rules.grows(&part) => {
                let mut fields = Fields::default();
                fields.merge(item, &rules.members)?;
                items.push(Value::Object(fields));
            }
            _ => items.push(Value::copy(item)),
        }
        Some(())
    })?;
    Some(Value::List(items))
}

impl PartRules {
    fn grows(&self, part: &Document<'_>) -> bool {
        part.value(TYPE).is_some_and(|kind| self.growing.contains(&kind))
    }

    /// Whether a part continues the last one.
    fn continues(&self, last: &Fields, part: &Document<'_>) -> bool {
        let is_same = |key: &str| match (last.json(key), part.value(key)) {
            (Some(one), Some(other)) => one == other || one == "null" || other == "null",
            _ => true,
        };
        self.grows(part) && last.json(TYPE) == part.value(TYPE) && self.same.iter().all(|key| is_same(key))
    }
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
            ("parts", Rule::Parts(&PARTS)),
            ("absent", Rule::Absent),
        ],
        other: Rule::Last,
    };

    const PARTS: PartRules = PartRules {
        growing: &["\"t\""],
        same: &["index"],
        members: Rules { known: &[("text", Rule::Text)], other: Rule::Last },
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
    fn lists_are_joined() {
        let pieces = [r#"{"items":[1, {"a":2}],"absent":1}"#, r#"{"items":null,"z":0}"#, r#"{"items":["x"]}"#];
        assert_eq!(merged(&pieces), r#"{"items":[1,{"a":2},"x"],"z":0}"#);
    }

    #[test]
    fn pieces_of_a_part_become_one() {
        let list = |items: &str| format!("{{\"parts\":[{items}]}}");
        let piece = |index: u8, text: &str| format!(r#"{{"type":"t","index":{index},"text":"{text}"}}"#);
        let pieces = [
            list(&[piece(0, "a"), piece(0, "b")].join(",")),
            list(r#"{"type":"t","text":"c","sign":1}"#),
            list(&piece(1, "d")),
            list(r#"{"type":"u","text":"e"},{"type":"u","text":"f"},7"#),
            list(&piece(1, "g")),
        ];
        let expected = [
            r#"{"type":"t","index":0,"text":"abc","sign":1}"#,
            &piece(1, "d"),
            r#"{"type":"u","text":"e"},{"type":"u","text":"f"},7"#,
            &piece(1, "g"),
        ];
        assert_eq!(merged(&pieces.each_ref().map(String::as_str)), list(&expected.join(",")));
    }

    #[test]
    fn base64_is_joined_across_its_padding() {
        assert_eq!(
            merged(&[r#"{"data":"Zg=="}"#, r#"{"data":"bw=="}"#, r#"{"data":"b2I="}"#]),
            r#"{"data":"Zm9vYg=="}"#
        );
        assert_eq!(merged(&[r#"{"data":"Zm9v"}"#, r#"{"data":"Yg\u003d="}"#]), r#"{"data":"Zm9vYg=="}"#);
        let odd = [r#"{"data":"Zg=="}"#, r#"{"data":"\"\\"}"#];
        assert_eq!(merged(&odd), r#"{"data":"Zg==\"\\"}"#);
    }

    #[test]
    fn only_objects_with_few_members_are_merged() {
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|number| format!("\"{number}\":1")).collect();
        let many = format!("{{{}}}", many.join(","));
        for json in ["[1]", "7", "{oops", &many, &format!(r#"{{"object":{many}}}"#)] {
            assert_eq!(Fields::default().merge(json, &RULES), None);
        }
        let part = format!(r#"{{"parts":[{{"type":"t","x":{many}}}]}}"#);
        assert_eq!(Fields::default().merge(&part, &RULES), Some(()), "values are not merged");
        let part = part.replace(r#""x":{"#, r#""x":1,"#).replace("}}]}", "}]}");
        assert_eq!(Fields::default().merge(&part, &RULES), None);
    }
}
