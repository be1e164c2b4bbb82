//! The limit of a response that a request sets: the fields that count, and how a ceiling changes them.

use crate::catalogue;
use crate::catalogue::field::Field;
use crate::wire::json::{Document, parse_integer};

/// The name that counts if neither the model's row nor the catalogue says which names the provider honours.
const DEFAULT_NAME: &str = "max_tokens";

/// The newer name of the limit, which OpenAI's newer models require.
const COMPLETION_NAME: &str = "max_completion_tokens";

/// Names that some provider reads as a limit. A provider may ignore such a name, so it lowers no reservation;
/// or it may prefer it to the name that it honours, so it may raise the reservation.
const KNOWN_NAMES: &[&str] = &[
    DEFAULT_NAME,
    COMPLETION_NAME,
    "max_output_tokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "max_length",
    "max_gen_len",
    "num_predict",
    "n_predict",
    "maxTokens",
    "maxOutputTokens",
    "maxCompletionTokens",
    "maxNewTokens",
];

/// Objects in which some providers look for fields, which they prefer to those of the top level.
const NESTING_FIELDS: &[&str] =
    &["options", "extra_body", "extra", "generation_config", "generationConfig", "parameters", "inference_config"];

/// Parts of the names of limits, as they may stand in such objects, and the beginning of an escaped letter.
const NESTED_LIMIT_HINTS: &[&str] = &["max", "Max", "MAX", "predict", "limit", "\\u"];

/// The names by which a provider honours a limit for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitNames<'a> {
    /// The names in the model's row.
    Row(&'a [String]),
    /// The names in the catalogue.
    Listed(&'static [&'static str]),
    /// Neither the row nor the catalogue has any.
    Unknown,
}

impl<'a> LimitNames<'a> {
    /// The row's names, or else the catalogue's.
    pub fn of(row: &'a [String], listed: &'static [&'static str]) -> Self {
        match (row.is_empty(), listed.is_empty()) {
            (false, _) => Self::Row(row),
            (true, false) => Self::Listed(listed),
            (true, true) => Self::Unknown,
        }
    }

    /// Whether a limit under this name counts.
    pub fn honours(&self, name: &str) -> bool {
        match self {
            Self::Row(names) => names.iter().any(|own| own == name),
            Self::Listed(names) => names.contains(&name),
            Self::Unknown => name == DEFAULT_NAME,
        }
    }

    /// The name under which the gateway sets a limit, for a model by its provider's name.
    pub fn preferred(&self, model: &str) -> &'a str {
        match self {
            Self::Row(names) => names.first().map_or(DEFAULT_NAME, String::as_str),
            Self::Listed(names) => names.first().copied().unwrap_or(DEFAULT_NAME),
            Self::Unknown => catalogue::family(model).word(Field::DemandedLimit).unwrap_or(DEFAULT_NAME),
        }
    }
}

/// Reads a limit that counts: a whole number of at least 1, or of 0 if `allows_zero`.
fn valid_limit(raw: &str, allows_zero: bool) -> Option<u64> {
    parse_integer(raw).filter(|tokens| *tokens > 0 || allows_zero)
}

fn is_limit(names: &LimitNames<'_>, key: &str) -> bool {
    names.honours(key) || KNOWN_NAMES.contains(&key)
}

/// Whether some provider may read a field of this name as a limit, or look for one in it.
pub fn may_limit(name: &str) -> bool {
    KNOWN_NAMES.contains(&name) || NESTING_FIELDS.contains(&name)
}

/// The limit that a request sets for each response, in tokens, as it is sent. `None` if it sets none that
/// certainly counts.
pub fn requested(document: &Document<'_>, names: &LimitNames<'_>, allows_zero: bool) -> Option<u64> {
    let (mut honoured, mut most) = (false, 0);
    for (key, value) in document.edited_members().filter(|(_, value)| *value != "null") {
        if is_limit(names, key) {
            most = valid_limit(value, allows_zero).map(|tokens| tokens.max(most))?;
            honoured |= names.honours(key);
        } else if hides_limit(key, value) {
            return None;
        }
    }
    honoured.then_some(most)
}

/// Whether a field is an object in which a provider may find a limit.
pub fn hides_limit(key: &str, value: &str) -> bool {
    NESTING_FIELDS.contains(&key) && NESTED_LIMIT_HINTS.iter().any(|hint| value.contains(hint))
}

/// Applies a ceiling to the limits of a request. A larger limit is lowered, an invalid one is replaced, and
/// one under a name that the provider may ignore moves to the name that it honours. A request without a limit
/// stays as it is.
pub fn apply_ceiling(
    document: &mut Document<'_>,
    names: &LimitNames<'_>,
    model: &str,
    ceiling: u64,
    allows_zero: bool,
) {
    let own = names.preferred(model);
    let present = |(key, value): (&str, &str)| is_limit(names, key).then(|| (key.to_owned(), value.to_owned()));
    let present: Vec<(String, String)> = document.edited_members().filter_map(present).collect();
    let values = present.iter().filter(|(_, value)| value != "null");
    let counts = values.clone().any(|(key, _)| names.honours(key) || key == own);
    let limit = |value: &str| valid_limit(value, allows_zero).unwrap_or(ceiling).min(ceiling);
    if counts {
        for (key, value) in values {
            if valid_limit(value, allows_zero).is_none_or(|tokens| tokens > ceiling) {
                document.set(key, limit(value).to_string());
            }
        }
    } else if !present.is_empty() {
        let least = values.map(|(_, value)| limit(value)).min().unwrap_or(ceiling);
        set(document, names, model, least);
    }
}

/// Sets a limit, and removes all others.
pub fn set(document: &mut Document<'_>, names: &LimitNames<'_>, model: &str, limit: u64) {
    let own = names.preferred(model);
    let others: Vec<String> = document
        .edited_members()
        .filter(|(key, _)| *key != own && is_limit(names, key))
        .map(|(key, _)| key.to_owned())
        .collect();
    others.iter().for_each(|key| document.remove(key));
    document.set(own, limit.to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NEW: LimitNames<'_> = LimitNames::Listed(&[COMPLETION_NAME, "max_tokens"]);

    fn asked_in(body: &str, names: &LimitNames<'_>, allows_zero: bool) -> Option<u64> {
        requested(&Document::read(body.as_bytes()).unwrap(), names, allows_zero)
    }

    fn lowered(body: &str, names: &LimitNames<'_>) -> Value {
        let mut document = Document::read(body.as_bytes()).unwrap();
        apply_ceiling(&mut document, names, "m", 100, false);
        serde_json::from_slice(&document.render()).unwrap()
    }

    #[test]
    fn a_limit_is_a_whole_number_by_value() {
        for (raw, tokens) in
            [("4096", 4096), ("4096.0", 4096), ("4.096e3", 4096), ("100e-2", 1), ("1e400", u64::MAX), ("1", 1)]
        {
            let body = format!(r#"{{"max_tokens":{raw}}}"#);
            assert_eq!(asked_in(&body, &LimitNames::Unknown, false), Some(tokens), "{raw}");
        }
        for raw in ["-1", "0", "0.5", "-0", "1e-5", "4096.5", "\"100\"", "null", "[]", "{}", "true", "[5]", "-1e400"] {
            let body = format!(r#"{{"max_tokens":{raw}}}"#);
            assert_eq!(asked_in(&body, &LimitNames::Unknown, false), None, "{raw}");
        }
        assert_eq!(asked_in(r#"{"max_tokens":0}"#, &LimitNames::Unknown, true), Some(0));
        assert_eq!(asked_in(r#"{"max_tokens":-1}"#, &LimitNames::Unknown, true), None);
    }

    #[test]
    fn a_limit_counts_under_a_name_that_is_honoured() {
        let own = ["max_reasoning_token".to_owned()];
        let row = LimitNames::of(&own, &[COMPLETION_NAME]);
        for (body, names, tokens) in [
            (r#"{"max_completion_tokens":5}"#, LimitNames::Unknown, None),
            (r#"{"max_completion_tokens":5}"#, NEW, Some(5)),
            (r#"{"max\u005ftokens":5}"#, LimitNames::Unknown, Some(5)),
            (r#"{"max_tokens":5}"#, row, None),
            (r#"{"max_reasoning_token":7}"#, row, Some(7)),
            (r#"{"max_output_tokens":5}"#, NEW, None),
            (r#"{"num_predict":5}"#, NEW, None),
            ("{}", NEW, None),
        ] {
            assert_eq!(asked_in(body, &names, false), tokens, "{body} {names:?}");
        }
    }

    #[test]
    fn of_several_limits_the_largest_is_reserved() {
        for (body, tokens) in [
            (r#"{"max_tokens":5,"max_completion_tokens":9}"#, Some(9)),
            (r#"{"max_tokens":5,"max_completion_tokens":null}"#, Some(5)),
            (r#"{"max_tokens":5,"max_completion_tokens":-1}"#, None),
            (r#"{"max_tokens":5,"max_new_tokens":"7"}"#, None),
            (r#"{"max_tokens":5,"maxOutputTokens":70}"#, Some(70)),
            (r#"{"max_tokens":5,"options":{"num_predict":70}}"#, None),
            (r#"{"max_tokens":5,"extra_body":{"m\u0061x_tokens":70}}"#, None),
            (r#"{"max_tokens":5,"extra_body":{"google":{"thinking":true}}}"#, Some(5)),
        ] {
            assert_eq!(asked_in(body, &LimitNames::Unknown, false), tokens, "{body}");
        }
    }

    #[test]
    fn a_ceiling_holds_whatever_is_asked() {
        for (body, names, sent) in [
            (r#"{"max_tokens":101}"#, NEW, json!({"max_tokens": 100})),
            (r#"{"max_tokens":1e400}"#, NEW, json!({"max_tokens": 100})),
            (r#"{"max_tokens":100}"#, NEW, json!({"max_tokens": 100})),
            (r#"{"max_tokens":5.0}"#, NEW, json!({"max_tokens": 5.0})),
            (r#"{"max_tokens":-1}"#, NEW, json!({"max_tokens": 100})),
            (r#"{"max_tokens":"5"}"#, NEW, json!({"max_tokens": 100})),
            (r#"{"max_tokens":null}"#, NEW, json!({"max_completion_tokens": 100})),
            (
                r#"{"max_tokens":null,"max_completion_tokens":7}"#,
                NEW,
                json!({"max_tokens": null, "max_completion_tokens": 7}),
            ),
            (r#"{"max_completion_tokens":7}"#, LimitNames::Unknown, json!({"max_tokens": 7})),
            (r#"{"max_new_tokens":-7,"max_length":5}"#, LimitNames::Unknown, json!({"max_tokens": 5})),
            (
                r#"{"max_tokens":7,"max_new_tokens":700}"#,
                LimitNames::Unknown,
                json!({"max_tokens": 7, "max_new_tokens": 100}),
            ),
            (r#"{"temperature":7}"#, NEW, json!({"temperature": 7})),
        ] {
            assert_eq!(lowered(body, &names), sent, "{body} {names:?}");
        }
    }

    #[test]
    fn a_limit_that_is_set_is_the_only_one() {
        let mut document = Document::read(br#"{"max_tokens":"x","maxTokens":9,"num_predict":-1,"a":1}"#).unwrap();
        set(&mut document, &NEW, "m", 5000);
        assert_eq!(document.render().as_ref(), br#"{"a":1,"max_completion_tokens":5000}"#);
        assert_eq!(LimitNames::Unknown.preferred("openai/o3-mini"), COMPLETION_NAME);
    }

    fn any_value() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            "-?(0|[1-9][0-9]{0,4})([.][0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            any::<u64>().prop_map(|number| number.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
        ];
        prop_oneof![4 => number, 1 => "\"[0-9a-z.-]{0,5}\"", 1 => Just("null".to_owned()), 1 => Just("[7]".to_owned())]
    }

    /// What a provider that is lenient in one way or another gives at most, of a model's 1,000 tokens.
    fn given(body: &Value, heeded: &[&str], reads: fn(&Value) -> Option<f64>) -> f64 {
        let limit = heeded.iter().find_map(|name| body.get(*name).filter(|value| !value.is_null()).map(reads));
        limit.flatten().filter(|limit| *limit >= 1.0).map_or(1000.0, |limit| limit.min(1000.0))
    }

    proptest! {
        /// For any values of limits, the reservation is no less than what a lenient provider gives, which
        /// heeds the name that it honours and may prefer another one; and what is sent under a ceiling keeps
        /// to it.
        #[test]
        fn no_value_lowers_what_is_reserved(
            values in prop::collection::btree_map(prop::sample::select(KNOWN_NAMES), any_value(), 0..4),
            ceiling in prop::option::of(1u64..2000),
        ) {
            let members: Vec<String> = values.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let text = format!("{{{}}}", members.join(","));
            let mut document = Document::read(text.as_bytes()).unwrap();
            if let Some(ceiling) = ceiling {
                apply_ceiling(&mut document, &LimitNames::Unknown, "m", ceiling, false);
            }
            let sent = document.render();
            let Ok(sent) = serde_json::from_slice::<Value>(&sent) else { return Ok(()) };
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let reserved = requested(&document, &LimitNames::Unknown, false).map_or(1000.0, |tokens| tokens.min(1000) as f64);
            for preferred in KNOWN_NAMES {
                let strict = |value: &Value| value.as_f64().filter(|number| number.fract() == 0.0);
                for reads in [strict as fn(&Value) -> Option<f64>, Value::as_f64] {
                    for heeded in [&["max_tokens"][..], &[preferred, "max_tokens"]] {
                        let given = given(&sent, heeded, reads);
                        prop_assert!(reserved >= given, "{text}: {reserved} < {given}, by {heeded:?}");
                        let asks = !values.is_empty();
                        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                        let held = ceiling.is_none_or(|ceiling| given <= ceiling.min(1000) as f64);
                        prop_assert!(held || !asks, "{text}: {given} above the ceiling, by {heeded:?}");
                    }
                }
            }
        }
    }
}
