//! Schemas in the form of OpenAPI, which `parameters` and `responseSchema` have, as JSON Schema. The order of the
//! properties stays.
//! Source: <https://ai.google.dev/api/caching#Schema>.

use std::borrow::Cow;

use serde_json::Value;

use super::fields::camel;
use crate::canonical::Raw;
use crate::wire::json::{self, Document, quote};

/// Counts, which protobuf writes as strings.
const COUNTS: &[&str] = &["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// A schema as JSON Schema. What is no object is carried as it is.
pub(crate) fn json_schema<'a>(schema: Raw<'a>) -> Raw<'a> {
    let converted = convert(schema.get()).and_then(Raw::from_string);
    converted.unwrap_or(schema)
}

/// `None` for a value that is no object.
fn convert(schema: &str) -> Option<String> {
    let schema = Document::read(schema.as_bytes()).ok()?;
    let named = |name: &str| schema.members().filter(|(key, _)| camel(Cow::Borrowed(*key)) == name).last();
    let is_nullable = named("nullable").is_some_and(|(_, value)| value == "true");
    let mut out = String::from("{");
    for (key, value) in schema.members() {
        // `$ref`, `$defs` and the like keep their names.
        let name = if key.starts_with('$') { Cow::Borrowed(key) } else { camel(Cow::Borrowed(key)) };
        let value = match name.as_ref() {
            // An order of the fields has no place in JSON Schema, and `enum` says what the format would.
            "nullable" | "propertyOrdering" => continue,
            "format" if value == "\"enum\"" => continue,
            "type" => match kind(value, is_nullable) {
                Some(kind) => Cow::Owned(kind),
                None => continue,
            },
            "properties" | "$defs" | "defs" => members(value),
            "anyOf" if is_nullable => Cow::Owned(with_item(&items(value), r#"{"type":"null"}"#)),
            "enum" if is_nullable => Cow::Owned(with_item(value, "null")),
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => items(value),
            "items" | "additionalProperties" | "not" => convert(value).map_or(Cow::Borrowed(value), Cow::Owned),
            name if COUNTS.contains(&name) => count(value),
            _ => Cow::Borrowed(value),
        };
        add(&mut out, &name, &value);
    }
    out.push('}');
    Some(out)
}

fn add(object: &mut String, name: &str, value: &str) {
    if object.len() > 1 {
        object.push(',');
    }
    object.push_str(&quote(name));
    object.push(':');
    object.push_str(value);
}

/// A type in lower case, with `null` beside it if that is allowed; `None` if none is stated.
fn kind(value: &str, is_nullable: bool) -> Option<String> {
    let Some(kind) = json::text(value) else { return Some(value.to_owned()) };
    let kind = kind.to_ascii_lowercase();
    let quoted = quote(&kind);
    (kind != "type_unspecified").then(|| if is_nullable { format!("[{quoted},\"null\"]") } else { quoted })
}

/// An object whose members are schemas.
fn members(value: &str) -> Cow<'_, str> {
    let Ok(object) = Document::read(value.as_bytes()) else { return Cow::Borrowed(value) };
    let mut out = String::from("{");
    for (name, member) in object.members() {
        add(&mut out, name, convert(member).as_deref().unwrap_or(member));
    }
    out.push('}');
    Cow::Owned(out)
}

/// A list of schemas.
fn items(value: &str) -> Cow<'_, str> {
    let Ok(list) = serde_json::from_str::<Vec<Raw<'_>>>(value) else { return Cow::Borrowed(value) };
    let items: Vec<String> = list.iter().map(|item| convert(item.get()).unwrap_or_else(|| item.get().into())).collect();
    Cow::Owned(format!("[{}]", items.join(",")))
}

/// A list with one more item, unless it has it.
fn with_item(list: &str, item: &str) -> String {
    let Some(inside) = list.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return list.to_owned();
    };
    let known = serde_json::from_str::<Vec<Value>>(list).unwrap_or_default();
    if serde_json::from_str(item).is_ok_and(|item: Value| known.contains(&item)) {
        return list.to_owned();
    }
    if inside.trim().is_empty() { format!("[{item}]") } else { format!("[{inside},{item}]") }
}

/// A count as a number.
fn count(value: &str) -> Cow<'_, str> {
    let number = json::text(value).and_then(|text| text.parse::<u64>().ok());
    number.map_or(Cow::Borrowed(value), |number| Cow::Owned(number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_lower_case_and_null_is_a_type() {
        let schema = r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","enum":["A"],"format":"enum","nullable":true},
            "a_list":{"type":"ARRAY","items":{"type":"INTEGER"},"min_items":"2"},
            "either":{"any_of":[{"type":"NUMBER"},{"type":"BOOLEAN"}],"nullable":true}},
            "required":["type"],"propertyOrdering":["type"]}"#;
        let expected = concat!(
            r#"{"type":"object","properties":{"type":{"type":["string","null"],"enum":["A",null]},"#,
            r#""a_list":{"type":"array","items":{"type":"integer"},"minItems":2},"#,
            r#""either":{"anyOf":[{"type":"number"},{"type":"boolean"},{"type":"null"}]}},"required":["type"]}"#,
        );
        assert_eq!(json_schema(Raw::parse(schema).unwrap()).get(), expected);
        assert_eq!(json_schema(Raw::parse("[7]").unwrap()).get(), "[7]");
        assert_eq!(json_schema(Raw::parse(r#"{"enum":[null],"nullable":true}"#).unwrap()).get(), r#"{"enum":[null]}"#);
    }
}
