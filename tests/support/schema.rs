//! As much of JSON Schema as the description of the admin API uses; a word that is not known here is a fault.

use llm_bridge::ledger::key_text;
use llm_bridge::wire::date;
use serde_json::Value;

/// Holds a value against a schema of an OpenAPI document.
pub fn validate(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (word, rule) in schema.as_object().unwrap() {
        let good = match word.as_str() {
            "description" | "default" => true,
            "$ref" => {
                let named = document.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap();
                validate(document, named, value)?;
                true
            }
            "const" => rule == value,
            "enum" => rule.as_array().unwrap().contains(value),
            "oneOf" => {
                rule.as_array().unwrap().iter().filter(|rule| validate(document, rule, value).is_ok()).count() == 1
            }
            "type" => match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "pattern" => rule == "^[a-z0-9_-]{1,64}$" && value.as_str().is_none_or(key_text::is_id),
            "format" => value.as_str().is_none_or(|text| match rule.as_str().unwrap() {
                "date" => date::read_day(text).is_some(),
                "date-time" => date::read_time(text).is_some(),
                _ => false,
            }),
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| validate(document, rule, item))?;
                true
            }
            "required" | "properties" | "additionalProperties" => members(document, schema, word, value)?,
            bound => within(bound, rule, value)?,
        };
        if !good {
            return Err(format!("not `{word}`: {rule}: {value}"));
        }
    }
    Ok(())
}

fn members(document: &Value, schema: &Value, word: &str, value: &Value) -> Result<bool, String> {
    let Some(map) = value.as_object() else { return Ok(true) };
    let rule = &schema[word];
    if word == "required" {
        return Ok(rule.as_array().unwrap().iter().all(|name| map.contains_key(name.as_str().unwrap())));
    }
    for (name, member) in map {
        let known = schema.get("properties").and_then(|known| known.get(name));
        match (word, known) {
            ("properties", Some(rule)) => validate(document, rule, member)?,
            ("additionalProperties", None) if rule == false => return Err(format!("`{name}` is not described")),
            ("additionalProperties", None) => validate(document, rule, member)?,
            _ => {}
        }
    }
    Ok(true)
}

fn within(bound: &str, rule: &Value, value: &Value) -> Result<bool, String> {
    let number = rule.as_f64().unwrap();
    let length = |length: usize| u32::try_from(length).map(f64::from).unwrap();
    let measured = match bound {
        "minimum" | "maximum" => value.as_f64(),
        "minLength" | "maxLength" => value.as_str().map(|text| length(text.chars().count())),
        "minItems" | "maxItems" => value.as_array().map(|list| length(list.len())),
        "maxProperties" => value.as_object().map(|map| length(map.len())),
        other => return Err(format!("the validator does not know `{other}`")),
    };
    Ok(measured.is_none_or(|measured| if bound.starts_with("min") { measured >= number } else { measured <= number }))
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
