//! The schema of a tool as the API takes it: of the type `object`, and without alternatives at its top.
//! Source: its refusals, `tools.0.custom.input_schema.type: Field required` and `input_schema does not support oneOf,
//! allOf, or anyOf at the top level`.

use serde_json::{Map, Value};

use crate::canonical::Raw;
use crate::formats::unsupported::UnsupportedFields;
use crate::wire::dense::parse_tree;
use crate::wire::json::Document;

/// The words that the API refuses at the top of a schema. If one is left out, the client is told its name here.
const COMBINING: [(&str, &str); 3] = [
    ("anyOf", "tools[].function.parameters.anyOf"),
    ("oneOf", "tools[].function.parameters.oneOf"),
    ("allOf", "tools[].function.parameters.allOf"),
];

/// The schema that is sent for a tool's own. What the API takes is left as it is.
pub(super) fn input_schema<'a>(given: Option<&Raw<'a>>, unsupported: &mut UnsupportedFields) -> Raw<'a> {
    let Some(given) = given.filter(|schema| !schema.is_blank()) else {
        return Raw::of(&serde_json::json!({ "type": "object", "properties": {} }));
    };
    let Ok(mut document) = Document::read(given.get().as_bytes()) else { return given.clone() };
    if COMBINING.iter().any(|(word, _)| document.value(word).is_some()) {
        return flattened(given, unsupported).unwrap_or_else(|| given.clone());
    }
    if document.value("type").is_some() {
        return given.clone();
    }
    document.set("type", "\"object\"");
    let whole = String::from_utf8_lossy(&document.render()).into_owned();
    Raw::from_string(whole).unwrap_or_else(|| given.clone())
}

/// A schema with the properties of all its alternatives. Those that each of them requires stay required.
fn flattened(given: &Raw<'_>, unsupported: &mut UnsupportedFields) -> Option<Raw<'static>> {
    let Value::Object(mut schema) = parse_tree(given.get().as_bytes())? else { return None };
    for (word, name) in COMBINING {
        let Some(Value::Array(parts)) = schema.remove(word) else { continue };
        unsupported.add(name);
        let parts: Vec<Map<String, Value>> = parts
            .into_iter()
            .filter_map(|part| if let Value::Object(part) = part { Some(part) } else { None })
            .collect();
        let is_required = |name: &Value| match word {
            "allOf" => parts.iter().any(|part| required(part).contains(name)),
            _ => parts.iter().all(|part| required(part).contains(name)),
        };
        let mut all = required(&schema).to_vec();
        for name in parts.iter().flat_map(|part| required(part)) {
            if is_required(name) && !all.contains(name) {
                all.push(name.clone());
            }
        }
        let own = schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(own) = own {
            for part in &parts {
                let properties = part.get("properties").and_then(Value::as_object).into_iter().flatten();
                properties.for_each(|(name, schema)| {
                    own.entry(name.clone()).or_insert_with(|| schema.clone());
                });
            }
        }
        if !all.is_empty() {
            schema.insert("required".to_owned(), Value::Array(all));
        }
    }
    schema.insert("type".to_owned(), "object".into());
    Some(Raw::of(&schema))
}

/// The names that a schema requires.
fn required(schema: &Map<String, Value>) -> &[Value] {
    schema.get("required").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(given: &'static str) -> (String, Vec<String>) {
        let mut unsupported = UnsupportedFields::default();
        let schema = input_schema(Raw::parse(given).as_ref(), &mut unsupported).get().to_owned();
        (schema, unsupported.into_names().iter().map(|name| name.to_string()).collect())
    }

    #[test]
    fn a_schema_has_a_type() {
        for given in [r#"{"type":"object","properties":{"a":{"anyOf":[]}}}"#, r#"{"type":["object","null"]}"#] {
            assert_eq!(sent(given), (given.to_owned(), vec![]));
        }
        assert_eq!(sent("{}").0, r#"{"properties":{},"type":"object"}"#);
        let typed = sent(r#"{"properties":{"a":{}},"required":["a"]}"#).0;
        assert_eq!(typed, r#"{"properties":{"a":{}},"required":["a"],"type":"object"}"#);
    }

    #[test]
    fn alternatives_at_the_top_become_one_object_and_are_named() {
        let (schema, named) = sent(
            r#"{"properties":{"a":{"type":"string"}},"required":["a"],
                "anyOf":[{"properties":{"b":{}},"required":["b","d"]},{"properties":{"c":{},"a":{}},"required":["d","c"]}]}"#,
        );
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let expected = serde_json::json!({
            "type": "object", "required": ["a", "d"], "properties": { "a": { "type": "string" }, "b": {}, "c": {} },
        });
        assert_eq!((schema, named), (expected, vec!["tools[].function.parameters.anyOf".to_owned()]));
        let (all, _) = sent(r#"{"allOf":[{"required":["x"],"properties":{"x":{}}},{"required":["y"]}]}"#);
        assert_eq!(serde_json::from_str::<Value>(&all).unwrap()["required"], serde_json::json!(["x", "y"]));
    }
}
