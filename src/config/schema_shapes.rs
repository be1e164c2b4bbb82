//! Parts of a JSON Schema: a shape for each way in which a value of the configuration is read (`yaml.rs`).
#![expect(
    clippy::needless_pass_by_value,
    reason = "shapes are put together like values; json! copies what it is given"
)]

use serde_json::{Map, Value, json};

use crate::catalogue::field::{EFFORTS, Kind, NEW_NAMES, Verb};

/// A number or a word counts as text.
pub(super) fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// A word that is read as it is written.
pub(super) fn word(word: &str) -> Value {
    json!({ "const": word })
}

/// The schema of any value.
pub(super) fn any() -> Value {
    json!({})
}

/// `true` or `false`, or a word of YAML 1.1 for them.
pub(super) fn flag() -> Value {
    let words = ["yes", "on", "no", "off"].map(in_any_case).join("|");
    json!({ "type": ["boolean", "string"], "pattern": format!("^({words})$") })
}

/// `true`, or a word for it.
pub(super) fn yes() -> Value {
    let words = ["yes", "on"].map(in_any_case).join("|");
    any_of(vec![json!({ "const": true }), json!({ "type": "string", "pattern": format!("^({words})$") })])
}

/// The schema of a whole number of at least `least`.
pub(super) fn count(least: u64) -> Value {
    json!({ "type": "integer", "minimum": least })
}

/// A whole number with a limit.
pub(super) fn count_to(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// A time in seconds.
pub(super) fn seconds() -> Value {
    json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 86_400 })
}

/// An amount of money with at most so many decimals, as a number or as its text.
pub(super) fn dollars(places: u32) -> Value {
    let most = u64::MAX / 10_u64.pow(places);
    json!({ "type": ["number", "string"], "minimum": 0, "maximum": most, "pattern": r"^[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$" })
}

/// One of these words, in any case. Editors suggest the first spelling.
pub(super) fn choice<T>(choices: &[(&str, T)]) -> Value {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let spellings: Vec<String> = names.iter().map(|name| in_any_case(name)).collect();
    any_of(vec![
        json!({ "enum": names }),
        json!({ "type": "string", "pattern": format!("^({})$", spellings.join("|")) }),
    ])
}

/// A pattern for a word in upper, lower or mixed case. JSON Schema's patterns have no flags.
fn in_any_case(word: &str) -> String {
    let letter = |c: char| match (c.to_ascii_lowercase(), c.to_ascii_uppercase()) {
        (lower, upper) if lower != upper => format!("[{lower}{upper}]"),
        ('.', _) => "[.]".to_owned(),
        _ => c.to_string(),
    };
    word.chars().map(letter).collect()
}

/// The schema of a list whose items all fit `item`.
pub(super) fn list(item: Value) -> Value {
    json!({ "type": "array", "items": item })
}

/// A mapping with any keys.
pub(super) fn map(value: Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

/// A mapping whose keys fit a pattern.
pub(super) fn named_map(names: &str, value: Value) -> Value {
    json!({ "type": "object", "additionalProperties": value, "propertyNames": { "pattern": names } })
}

/// A mapping with these keys and no others. A key may be written without a value.
pub(super) fn table(rows: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        rows.iter().map(|(key, value)| ((*key).to_owned(), nullable(value.clone()))).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// A mapping with these keys and no others, each with a value.
pub(super) fn full_table(rows: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> = rows.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// The schema of a value that fits at least one of several schemas.
pub(super) fn any_of(ways: Vec<Value>) -> Value {
    json!({ "anyOf": ways })
}

/// This, or nothing.
pub(super) fn nullable(mut schema: Value) -> Value {
    let null = || json!("null");
    if let Some(ways) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        ways.push(json!({ "type": "null" }));
    } else if let Some(types) = schema.get_mut("type") {
        match types {
            Value::Array(types) => types.push(null()),
            one => *one = Value::Array(vec![one.take(), null()]),
        }
    } else if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema
}

/// The opposite of [`nullable`].
pub(super) fn without_null(schema: &mut Value) {
    if let Some(ways) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        ways.retain(|way| way.get("type") != Some(&json!("null")));
    } else if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
    }
}

/// The value of a field of the catalogue.
pub(super) fn fact(kind: Kind) -> Value {
    match kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count(u64::MAX) => count(1),
        Kind::Count(most) => count_to(1, most),
        Kind::Dollars => json!({ "type": "number", "minimum": 0, "maximum": 1_000 }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Words(words) => list(json!({ "enum": words })),
        Kind::Names => json!({ "type": "array", "items": text(), "minItems": 1 }),
        Kind::Fit(verbs) => any_of(verbs.iter().map(|verb| fit(*verb)).collect()),
    }
}

fn fit(verb: Verb) -> Value {
    let with = |name: &str, argument: Value| json!({ "type": "object", "additionalProperties": false, "properties": { name: argument }, "required": [name] });
    match verb {
        Verb::Keep => word("keep"),
        Verb::Drop => word("drop"),
        Verb::Rename => with("rename", json!({ "enum": NEW_NAMES })),
        Verb::Cut => with("cut", count(1)),
        Verb::Hash => with("hash", count(1)),
        Verb::NearestOf => with("nearest_of", json!({ "type": "array", "items": { "enum": EFFORTS }, "minItems": 1 })),
    }
}
