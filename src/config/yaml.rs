//! YAML values with their path in the file, so that each fault names its line and key.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Value;

use super::{decimal, near};
use crate::catalogue::field::{self, Kind, Value as FieldValue};

/// A fault of the file, or a note about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1; 0 if unknown.
    pub line: usize,
    /// The path of the value, such as `providers.openai.models`.
    pub path: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Collects the faults of a file, so that all are reported at once.
pub struct Report<'t> {
    text: &'t str,
    faults: RefCell<Vec<Problem>>,
    notes: RefCell<Vec<Problem>>,
}

impl<'t> Report<'t> {
    /// An empty report on the file with this text.
    pub fn new(text: &'t str) -> Self {
        Self { text, faults: RefCell::default(), notes: RefCell::default() }
    }

    /// The faults, and the notes about values that are accepted but have no effect, both in the file's order.
    pub fn take(self) -> (Vec<Problem>, Vec<Problem>) {
        let in_order = |mut list: Vec<Problem>| {
            list.sort_by_key(|problem| problem.line);
            list
        };
        (in_order(self.faults.into_inner()), in_order(self.notes.into_inner()))
    }

    fn problem(&self, path: &[String], message: String) -> Problem {
        let line = (1..=path.len()).rev().find_map(|depth| line_of(self.text, path.get(..depth)?)).unwrap_or(1);
        Problem { line, path: render_path(path), message }
    }
}

/// A value of the file and its path.
#[derive(Clone)]
pub struct Node<'a> {
    value: &'a Value,
    path: Vec<String>,
    report: &'a Report<'a>,
}

/// A mapping whose keys have been checked against the known ones.
pub struct Table<'a> {
    node: Node<'a>,
}

impl<'a> Node<'a> {
    /// The file's top-level value.
    pub fn root(value: &'a Value, report: &'a Report<'a>) -> Self {
        Self { value, path: Vec::new(), report }
    }

    /// Reports a fault of this value.
    pub fn fault(&self, message: impl Into<String>) {
        let problem = self.report.problem(&self.path, message.into());
        self.report.faults.borrow_mut().push(problem);
    }

    /// Reports that this value is accepted but has no effect.
    pub fn note(&self, message: impl Into<String>) {
        let problem = self.report.problem(&self.path, message.into());
        self.report.notes.borrow_mut().push(problem);
    }

    /// A mapping. Reports keys other than the known ones, and a value of another type.
    pub fn table(&self, known: &[&str]) -> Option<Table<'a>> {
        for (key, node) in self.entries()? {
            if !known.contains(&key.as_str()) {
                node.fault(format!("unknown key{}; known here: {}", near::hint(&key, known), known.join(", ")));
            }
        }
        Some(Table { node: self.clone() })
    }

    /// The entries of a mapping with any keys, in the file's order.
    pub fn entries(&self) -> Option<Vec<(String, Node<'a>)>> {
        let Value::Mapping(mapping) = self.value else {
            self.expected("a mapping (key: value)");
            return None;
        };
        let entry = |(key, value): (&Value, &'a Value)| match scalar(key) {
            Some(key) => Some((key.clone(), self.child(key, value))),
            None => {
                self.fault("a key must be plain text");
                None
            }
        };
        Some(mapping.iter().filter_map(entry).collect())
    }

    /// The items of a list.
    pub fn list(&self) -> Option<Vec<Node<'a>>> {
        let Value::Sequence(items) = self.value else {
            self.expected("a list (- item)");
            return None;
        };
        Some(items.iter().enumerate().map(|(index, value)| self.child(index.to_string(), value)).collect())
    }

    /// Text. A bare number or boolean counts as the text in the file.
    pub fn text(&self) -> Option<String> {
        let text = scalar(self.value);
        if text.is_none() {
            self.expected("text");
        }
        text
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.value.is_sequence()
    }

    /// Whether nothing was written here.
    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// Whether it is `false`.
    pub fn is_false(&self) -> bool {
        self.value.as_bool() == Some(false)
    }

    /// Whether it is the number 0.
    pub fn is_zero(&self) -> bool {
        self.value.as_f64() == Some(0.0)
    }

    /// The text of a key or keyword, without complaint if it is something else.
    pub fn word(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// `true` or `false` (`yes`, `no`, `on`, `off` count, as in YAML 1.1).
    pub fn flag(&self) -> Option<bool> {
        let flag = match self.value {
            Value::Bool(flag) => Some(*flag),
            Value::String(word) => match word.to_ascii_lowercase().as_str() {
                "yes" | "on" => Some(true),
                "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if flag.is_none() {
            self.expected("true or false");
        }
        flag
    }

    /// An integer of at least `least`.
    pub fn count(&self, least: u64) -> Option<u64> {
        let count = self.value.as_u64().filter(|count| *count >= least);
        if count.is_none() {
            self.expected(&format!("a whole number, at least {least}"));
        }
        count
    }

    /// A time in seconds with any fraction, in milliseconds.
    pub fn seconds(&self) -> Option<u64> {
        let seconds = self.value.as_f64().filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0);
        if seconds.is_none() {
            self.expected("a time in seconds, above 0 and at most 86400");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just above")]
        seconds.map(|seconds| (seconds * 1000.0).ceil() as u64)
    }

    /// A non-negative amount in dollars, scaled by 10 to the power of `places`.
    pub fn dollars(&self, places: i32) -> Option<u64> {
        let amount = scalar(self.value).and_then(|text| decimal::scaled(&text, places));
        if amount.is_none() {
            self.expected(&format!("an amount in dollars, at least 0 and with at most {places} decimals"));
        }
        amount
    }

    /// One of the listed words, in any case.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text()?;
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word)).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(format!(
                "`{word}` is not known{}; expected one of {}",
                near::hint(&word, &names),
                names.join(", ")
            ));
        }
        found
    }

    /// The value of a field of the catalogue.
    pub fn catalogue_value(&self, kind: Kind) -> Option<FieldValue> {
        let found = |expected: String| self.fault(format!("{expected}, found {}", kind_of(self.value)));
        field::read(kind, self.value).map_err(found).ok()
    }

    /// Any value as JSON text.
    pub fn json(&self) -> Option<String> {
        let finite = !matches!(self.value, Value::Number(number) if !number.as_f64().is_none_or(f64::is_finite));
        let json = finite.then(|| serde_json::to_string(self.value).ok()).flatten();
        if json.is_none() {
            self.expected("a value that JSON can hold");
        }
        json
    }

    fn expected(&self, what: &str) {
        self.fault(format!("expected {what}, found {}", kind_of(self.value)));
    }

    fn child(&self, key: String, value: &'a Value) -> Self {
        let mut path = self.path.clone();
        path.push(key);
        Self { value, path, report: self.report }
    }
}

impl<'a> Table<'a> {
    /// The value of a key. A null counts as absent.
    pub fn at(&self, key: &str) -> Option<Node<'a>> {
        let value = self.node.value.get(key).filter(|value| !value.is_null())?;
        Some(self.node.child(key.to_owned(), value))
    }

    /// The mapping itself.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("`{flag}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "text".to_owned(),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(tagged) => format!("the tag {}", tagged.tag),
    }
}

fn render_path(path: &[String]) -> String {
    let mut out = String::new();
    for step in path {
        let plain = step.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        match (plain, out.is_empty()) {
            (true, true) => out.push_str(step),
            (true, false) => out.extend([".", step]),
            (false, _) => out.push_str(&format!("[\"{step}\"]")),
        }
    }
    out
}

/// The line of a key. The file is parsed again and the parser stopped at the key, because only errors know a
/// line.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let deserializer = serde_yaml::Deserializer::from_str(text);
    let error = FindPath(path).deserialize(deserializer).err()?;
    error.to_string().contains(FOUND).then(|| error.location()).flatten().map(|place| place.line())
}

const FOUND: &str = "\u{1}arrived\u{1}";

struct FindPath<'p>(&'p [String]);
struct MatchKey<'p>(&'p str, bool);

impl<'de> DeserializeSeed<'de> for FindPath<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FindPath<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the next step of a path")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((next, rest)) = self.0.split_first() else { return Err(A::Error::custom(FOUND)) };
        while let Some(here) = map.next_key_seed(MatchKey(next, rest.is_empty()))? {
            if here {
                return map.next_value_seed(FindPath(rest));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((next, rest)) = self.0.split_first() else { return Err(A::Error::custom(FOUND)) };
        let index: usize = next.parse().unwrap_or(usize::MAX);
        for _ in 0..index {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(FindPath(rest)).map(|_| ())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        if self.0.is_empty() { Err(E::custom(FOUND)) } else { Ok(()) }
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.visit_str("")
    }
}

impl<'de> DeserializeSeed<'de> for MatchKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for MatchKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        match (key == self.0, self.1) {
            (true, true) => Err(E::custom(FOUND)),
            (here, _) => Ok(here),
        }
    }
}
