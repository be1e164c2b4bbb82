//! Reads the fields of a key from the JSON of the admin API. Errors name the invalid field.

use serde_json::{Map, Value};

use super::api_key::{ApiKey, id_of};
use super::key_text;
use super::limits::{Budget, Period};
use crate::config::decimal::scaled;
use crate::config::{MAX_BUDGET_PERCENT, MAX_THRESHOLDS, Millis, Nanos, OnDisconnect, near};
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::wire::date;

/// The largest integer that every JSON parser reads exactly: 2^53 − 1.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
/// The largest budget: a billion dollars, in nano-dollars.
const MAX_BUDGET: Nanos = 1_000_000_000_000_000_000;
/// The decimals of a dollar in nano-dollars.
const DECIMALS: i32 = 9;
/// The digits that a JSON number holds exactly in every parser.
const EXACT_DIGITS: usize = 15;
/// The first moment of the year 10000.
const YEAR_10000: Millis = 253_402_300_800_000;

/// The fields of a key, and how each is read.
const FIELDS: &[(&str, ReadField)] = &[
    ("name", |record, value| set(&mut record.name, value, |value| label("name", value))),
    ("owner", |record, value| set(&mut record.owner, value, |value| label("owner", value))),
    ("metadata", metadata),
    ("enabled", enabled),
    ("expires_at", |record, value| set(&mut record.limits.expires_at, value, expires_at)),
    ("models", models),
    ("parent", |record, value| set(&mut record.limits.parent, value, parent)),
    ("requests_per_minute", |record, value| {
        set(&mut record.limits.requests_per_minute, value, |value| count("requests_per_minute", value))
    }),
    ("tokens_per_minute", |record, value| {
        set(&mut record.limits.tokens_per_minute, value, |value| count("tokens_per_minute", value))
    }),
    ("concurrent_requests", |record, value| {
        set(&mut record.limits.concurrent, value, |value| count("concurrent_requests", value))
    }),
    ("max_body_bytes", |record, value| {
        set(&mut record.limits.max_body_bytes, value, |value| count("max_body_bytes", value))
    }),
    ("on_disconnect", |record, value| set(&mut record.limits.on_disconnect, value, on_disconnect)),
    ("show_attempts", show_attempts),
    ("store", store),
    ("budget", |record, value| set(&mut record.limits.budget, value, budget)),
    ("budget_alerts", |record, value| set(&mut record.limits.budget_alerts, value, budget_alerts)),
];

type ReadField = fn(&mut ApiKey, &Value) -> Result<()>;

/// The fields of a budget.
pub const BUDGET: &[&str] = &["amount_nanos", "amount", "per", "fit"];

/// The names of all fields that can be set at creation.
pub fn fields() -> impl Iterator<Item = &'static str> {
    std::iter::once("id").chain(FIELDS.iter().map(|(name, _)| *name))
}

/// Reads the record of a new key. Its id is empty if the object has none.
///
/// # Errors
/// 400 with the name of the invalid field.
pub fn read(mut patch: Map<String, Value>) -> Result<ApiKey> {
    let mut record = ApiKey::default();
    match patch.remove("id") {
        None | Some(Value::Null) => {}
        Some(Value::String(id)) => record.id = new_id(id)?,
        Some(_) => return Err(wrong_type("id", "a string")),
    }
    apply_patch(&mut record, &patch)?;
    Ok(record)
}

/// Changes the fields that are given; `null` clears one.
///
/// # Errors
/// 400 with the name of the invalid field. The record is then partly changed and must be discarded.
pub fn apply_patch(record: &mut ApiKey, patch: &Map<String, Value>) -> Result<()> {
    for (name, value) in patch {
        let Some((_, read)) = FIELDS.iter().find(|(known, _)| known == name) else { return Err(unknown(name)) };
        read(record, value)?;
    }
    Ok(())
}

fn unknown(name: &str) -> Error {
    if name == "id" {
        return Error::caller(400, "unknown_parameter", "`id` cannot be changed.").at("id");
    }
    let known: Vec<&str> = fields().collect();
    unknown_field(name, "a key", &known).at(shown(name))
}

/// The error of an unknown field, with the most similar known name.
fn unknown_field(name: &str, owner: &str, known: &[&str]) -> Error {
    let name = shown(name);
    let hint = near::hint(&name, known);
    let end = if hint.is_empty() { "." } else { &hint };
    Error::caller(400, "unknown_parameter", format!("`{name}` is not a field of {owner}{end}"))
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

fn new_id(id: String) -> Result<String> {
    if !key_text::is_id(&id) {
        return Err(invalid("id", "be 1 to 64 of the characters a-z, 0-9, `_` and `-`"));
    }
    // These would collide with the ids of other kinds of keys.
    if id == "anonymous" || id.starts_with("vk_") || id.starts_with("key_") {
        return Err(invalid("id", "not be `anonymous` or begin with `vk_` or `key_`"));
    }
    Ok(id)
}

fn set<T>(field: &mut Option<T>, value: &Value, read: impl Fn(&Value) -> Result<T>) -> Result<()> {
    *field = if value.is_null() { None } else { Some(read(value)?) };
    Ok(())
}

fn label(field: &'static str, value: &Value) -> Result<String> {
    let text = text(field, value)?;
    let is_valid = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(invalid(field, "have 1 to 256 characters, without control characters"))
    }
}

fn metadata(record: &mut ApiKey, value: &Value) -> Result<()> {
    const FORM: &str = "have at most 16 members: names of 1 to 64 characters, texts of at most 512";
    record.metadata.clear();
    let members = match value {
        Value::Null => return Ok(()),
        Value::Object(members) => members,
        _ => return Err(wrong_type("metadata", "an object of strings")),
    };
    for (name, value) in members {
        let Value::String(text) = value else { return Err(wrong_type("metadata", "an object of strings")) };
        if !(1..=64).contains(&name.chars().count()) || text.chars().count() > 512 {
            return Err(invalid("metadata", FORM));
        }
        record.metadata.insert(name.clone(), text.clone());
    }
    if members.len() > 16 { Err(invalid("metadata", FORM)) } else { Ok(()) }
}

fn enabled(record: &mut ApiKey, value: &Value) -> Result<()> {
    record.limits.enabled = value.as_bool().ok_or_else(|| wrong_type("enabled", "true or false"))?;
    Ok(())
}

/// A time of RFC 3339, or seconds since 1970.
fn expires_at(value: &Value) -> Result<Millis> {
    let time = match value {
        Value::String(text) => date::read_time(text),
        Value::Number(seconds) => seconds.as_u64().and_then(|seconds| seconds.checked_mul(1000)),
        _ => return Err(wrong_type("expires_at", "a string or an integer")),
    };
    time.filter(|time| *time < YEAR_10000).ok_or_else(|| {
        invalid("expires_at", "be a time such as 2027-01-31T00:00:00Z, or an integer of seconds since 1970")
    })
}

fn models(record: &mut ApiKey, value: &Value) -> Result<()> {
    let list = match value {
        Value::Null => {
            record.limits.models.clear();
            return Ok(());
        }
        Value::Array(list) => list,
        _ => return Err(wrong_type("models", "an array of strings")),
    };
    // An empty list could mean all models or none, so it is refused.
    if !(1..=100).contains(&list.len()) {
        return Err(invalid("models", "name 1 to 100 models; omit it or send null to allow every model"));
    }
    record.limits.models = list.iter().map(pattern).collect::<Result<_>>()?;
    Ok(())
}

fn pattern(value: &Value) -> Result<String> {
    let text = value.as_str().ok_or_else(|| wrong_type("models", "an array of strings"))?;
    let is_valid = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_valid { Ok(text.to_owned()) } else { Err(invalid("models", "contain names of 1 to 256 characters")) }
}

fn parent(value: &Value) -> Result<AccountId> {
    let id = id_of(text("parent", value)?);
    if key_text::is_id(id) { Ok(key_text::account(id)) } else { Err(invalid("parent", "be the id of a key")) }
}

fn count(field: &'static str, value: &Value) -> Result<u64> {
    match value {
        Value::Number(number) => number
            .as_u64()
            .filter(|count| (1..=MAX_SAFE_INTEGER).contains(count))
            .ok_or_else(|| invalid(field, "be an integer from 1 to 9007199254740991")),
        _ => Err(wrong_type(field, "an integer")),
    }
}

const PERIODS: &[(&str, Period)] =
    &[("day", Period::Day), ("week", Period::Week), ("month", Period::Month), ("total", Period::Total)];

/// The name of a period.
pub fn period(per: Period) -> &'static str {
    PERIODS.iter().find(|(_, known)| *known == per).map_or("total", |(word, _)| word)
}

fn on_disconnect(value: &Value) -> Result<OnDisconnect> {
    let word = text("on_disconnect", value)?;
    let known = OnDisconnect::WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, ending)| *ending).ok_or_else(|| invalid("on_disconnect", "be one of cancel and finish"))
}

fn store(record: &mut ApiKey, value: &Value) -> Result<()> {
    record.limits.never_stores = match value {
        Value::String(word) if word == "never" => true,
        Value::Null => false,
        _ => return Err(wrong_type("store", "`never` or null")),
    };
    Ok(())
}

fn show_attempts(record: &mut ApiKey, value: &Value) -> Result<()> {
    record.limits.show_attempts = match value {
        Value::Bool(shows) => *shows,
        Value::Null => false,
        _ => return Err(wrong_type("show_attempts", "true or false")),
    };
    Ok(())
}

fn budget(value: &Value) -> Result<Budget> {
    let Value::Object(members) = value else { return Err(wrong_type("budget", "an object")) };
    if let Some(name) = members.keys().find(|name| !BUDGET.contains(&name.as_str())) {
        return Err(unknown_field(name, "a budget", BUDGET).at(format!("budget.{}", shown(name))));
    }
    let word = text("budget.per", members.get("per").ok_or_else(|| missing("budget.per"))?)?;
    let per = PERIODS.iter().find(|(known, _)| *known == word).map(|(_, per)| *per);
    let per = per.ok_or_else(|| invalid("budget.per", "be one of day, week, month and total"))?;
    let nanos = match (members.get("amount_nanos"), members.get("amount")) {
        (Some(amount), None) => nanos(amount)?,
        (None, Some(amount)) => dollars(amount)?,
        (None, None) => return Err(missing("budget.amount_nanos")),
        (Some(_), Some(_)) => return Err(invalid("budget.amount", "not be combined with `budget.amount_nanos`")),
    };
    let fit = match members.get("fit") {
        None | Some(Value::Null) => false,
        Some(value) => value.as_bool().ok_or_else(|| wrong_type("budget.fit", "true or false"))?,
    };
    Ok(Budget { nanos, per, fit })
}

/// Percentages, sorted. An empty list is none, as in the configuration.
fn budget_alerts(value: &Value) -> Result<Vec<u32>> {
    const FORM: &str = "have at most 10 integers from 1 to 1000";
    let Value::Array(list) = value else { return Err(wrong_type("budget_alerts", "an array of integers")) };
    if list.len() > MAX_THRESHOLDS {
        return Err(invalid("budget_alerts", FORM));
    }
    let percent = |value: &Value| {
        let Value::Number(number) = value else { return Err(wrong_type("budget_alerts", "an array of integers")) };
        let percent = number.as_u64().filter(|percent| (1..=MAX_BUDGET_PERCENT).contains(percent));
        percent.and_then(|percent| u32::try_from(percent).ok()).ok_or_else(|| invalid("budget_alerts", FORM))
    };
    let mut percents: Vec<u32> = list.iter().map(percent).collect::<Result<_>>()?;
    percents.sort_unstable();
    percents.dedup();
    Ok(percents)
}

fn nanos(value: &Value) -> Result<Nanos> {
    let Value::Number(number) = value else { return Err(wrong_type("budget.amount_nanos", "an integer")) };
    let nanos = number.as_u64().filter(|nanos| *nanos <= MAX_BUDGET);
    nanos.ok_or_else(|| invalid("budget.amount_nanos", "be an integer of nano-dollars, at most 10^18"))
}

/// Dollars with up to nine decimals, as a string, or as a number with so few digits that it is exact.
fn dollars(value: &Value) -> Result<Nanos> {
    let amount = match value {
        Value::String(text) => scaled(text, DECIMALS),
        Value::Number(number) => {
            let text = number.to_string();
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            if digits > EXACT_DIGITS { None } else { scaled(&text, DECIMALS) }
        }
        _ => return Err(wrong_type("budget.amount", "a string or a number")),
    };
    amount
        .filter(|nanos| *nanos <= MAX_BUDGET)
        .ok_or_else(|| invalid("budget.amount", "be dollars such as \"12.50\", with up to 9 decimals, at most 10^9"))
}

fn text<'v>(field: &'static str, value: &'v Value) -> Result<&'v str> {
    value.as_str().ok_or_else(|| wrong_type(field, "a string"))
}

fn missing(field: &'static str) -> Error {
    Error::caller(400, "missing_required_parameter", format!("`{field}` is required.")).at(field)
}

fn wrong_type(field: &'static str, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{field}` must be {expected}.")).at(field)
}

fn invalid(field: &'static str, rule: &str) -> Error {
    Error::caller(400, "invalid_value", format!("`{field}` must {rule}.")).at(field)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn made(patch: &Value) -> Result<ApiKey> {
        read(patch.as_object().unwrap().clone())
    }

    #[test]
    fn a_whole_key_is_read() {
        let record = made(&json!({
            "id": "ci-1", "name": "CI", "owner": "ops@example.com", "metadata": {"team": "blue"}, "enabled": false,
            "expires_at": "2027-01-01T00:00:00Z", "models": ["demo/*"], "parent": "vk_team", "requests_per_minute": 60,
            "tokens_per_minute": 1000, "concurrent_requests": 2, "max_body_bytes": 4096, "on_disconnect": "finish",
            "budget": {"amount": "5.000000001", "per": "month"}
        }))
        .unwrap();
        assert_eq!(record.id, "ci-1");
        assert_eq!(record.name.as_deref(), Some("CI"));
        assert_eq!(record.parent(), Some("team"));
        assert_eq!(record.limits.budget, Some(Budget { nanos: 5_000_000_001, per: Period::Month, fit: false }));
        assert_eq!(record.limits.expires_at, Some(1_798_761_600_000));
        assert!(!record.limits.enabled);
        assert_eq!(record.limits.concurrent, Some(2));
        assert_eq!(record.limits.max_body_bytes, Some(4096));
        assert_eq!(record.limits.on_disconnect, Some(OnDisconnect::Finish));
    }

    #[test]
    fn null_clears_a_field_and_an_omitted_field_stays() {
        let mut record =
            made(&json!({"name": "a", "owner": "b", "budget": {"amount_nanos": 1, "per": "day"}})).unwrap();
        apply_patch(&mut record, json!({"name": null, "budget": null}).as_object().unwrap()).unwrap();
        assert_eq!(record.name, None);
        assert_eq!(record.owner.as_deref(), Some("b"));
        assert_eq!(record.limits.budget, None);
    }

    #[test]
    fn a_budget_may_lower_output_limits() {
        let fit = |budget: Value| made(&json!({ "budget": budget })).unwrap().limits.budget.unwrap().fit;
        assert!(fit(json!({"amount": "5", "per": "day", "fit": true})));
        assert!(!fit(json!({"amount": "5", "per": "day", "fit": null})) && !fit(json!({"amount": "5", "per": "day"})));
    }

    #[test]
    fn thresholds_of_alerts_are_sorted_and_an_empty_list_is_not_null() {
        let read = |patch: Value| made(&patch).unwrap().limits.budget_alerts;
        assert_eq!(read(json!({"budget_alerts": [100, 80, 100]})), Some(vec![80, 100]));
        assert_eq!(read(json!({"budget_alerts": []})), Some(Vec::new()));
        assert_eq!(read(json!({"budget_alerts": null})), None);
        assert_eq!(read(json!({})), None);
        for (value, code) in [
            (json!(80), "invalid_type"),
            (json!(["80"]), "invalid_type"),
            (json!([0]), "invalid_value"),
            (json!([1001]), "invalid_value"),
            (json!([80.5]), "invalid_value"),
            (json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), "invalid_value"),
        ] {
            let error = made(&json!({ "budget_alerts": value })).unwrap_err();
            assert_eq!((error.param(), error.code()), (Some("budget_alerts"), Some(code)), "{value}");
        }
    }

    #[test]
    fn money_is_exact() {
        for (amount, nanos) in [
            (&json!("0"), 0),
            (&json!("5.00"), 5_000_000_000),
            (&json!(5), 5_000_000_000),
            (&json!(0.1), 100_000_000),
            (&json!(2.0), 2_000_000_000),
            (&json!("0.000000001"), 1),
            (&json!("1000000000"), MAX_BUDGET),
        ] {
            assert_eq!(dollars(amount).ok(), Some(nanos), "{amount}");
        }
        for amount in [&json!("1000000000.000000001"), &json!(""), &json!("."), &json!("-1"), &json!("0.0000000001")] {
            assert!(dollars(amount).is_err(), "{amount}");
        }
        assert!(dollars(&json!(1_234_567.123_456_789_1)).is_err());
    }

    #[test]
    fn each_fault_names_its_field() {
        for (patch, param, code) in [
            (&json!({"nmae": "x"}), "nmae", "unknown_parameter"),
            (&json!({"id": "A"}), "id", "invalid_value"),
            (&json!({"id": "key_0123456789ab"}), "id", "invalid_value"),
            (&json!({"id": 1}), "id", "invalid_type"),
            (&json!({"name": ""}), "name", "invalid_value"),
            (&json!({"name": 7}), "name", "invalid_type"),
            (&json!({"owner": "a\nb"}), "owner", "invalid_value"),
            (&json!({"metadata": {"a": 1}}), "metadata", "invalid_type"),
            (&json!({"metadata": {"": "x"}}), "metadata", "invalid_value"),
            (&json!({"enabled": null}), "enabled", "invalid_type"),
            (&json!({"expires_at": "tomorrow"}), "expires_at", "invalid_value"),
            (&json!({"expires_at": 1.5}), "expires_at", "invalid_value"),
            (&json!({"expires_at": u64::MAX}), "expires_at", "invalid_value"),
            (&json!({"models": []}), "models", "invalid_value"),
            (&json!({"models": "*"}), "models", "invalid_type"),
            (&json!({"models": [1]}), "models", "invalid_type"),
            (&json!({"parent": "No"}), "parent", "invalid_value"),
            (&json!({"requests_per_minute": 0}), "requests_per_minute", "invalid_value"),
            (&json!({"tokens_per_minute": -1}), "tokens_per_minute", "invalid_value"),
            (&json!({"concurrent_requests": "2"}), "concurrent_requests", "invalid_type"),
            (&json!({"max_body_bytes": 1.5}), "max_body_bytes", "invalid_value"),
            (&json!({"on_disconnect": "stay"}), "on_disconnect", "invalid_value"),
            (&json!({"on_disconnect": true}), "on_disconnect", "invalid_type"),
            (&json!({"budget": 5}), "budget", "invalid_type"),
            (&json!({"budget": {"amount": "5"}}), "budget.per", "missing_required_parameter"),
            (&json!({"budget": {"per": "day"}}), "budget.amount_nanos", "missing_required_parameter"),
            (&json!({"budget": {"per": "year", "amount": "5"}}), "budget.per", "invalid_value"),
            (&json!({"budget": {"per": "day", "amount": "5", "amount_nanos": 5}}), "budget.amount", "invalid_value"),
            (&json!({"budget": {"per": "day", "amuont": "5"}}), "budget.amuont", "unknown_parameter"),
            (&json!({"budget": {"per": "day", "amount": "5", "fit": "yes"}}), "budget.fit", "invalid_type"),
        ] {
            let error = made(patch).unwrap_err();
            assert_eq!(error.param(), Some(param), "{patch}");
            assert_eq!(error.code(), Some(code), "{patch}");
            assert_eq!(error.status(), 400, "{patch}");
        }
        assert_eq!(
            made(&json!({"nmae": 1})).unwrap_err().message(),
            "`nmae` is not a field of a key, did you mean `name`?"
        );
        assert_eq!(made(&json!({"zzz": 1})).unwrap_err().message(), "`zzz` is not a field of a key.");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            "[0-9]{0,30}[.]?[0-9]{0,30}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map("amount|amount_nanos|per|.*", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// No JSON makes the reader panic, and a record that is read survives being stored.
        #[test]
        fn any_patch_is_read_or_refused(values in prop::collection::vec((0usize..14, any_json()), 0..4)) {
            let names: Vec<&str> = fields().chain(["other"]).collect();
            let patch = values.into_iter().map(|(at, value)| (names[at % names.len()].to_owned(), value)).collect();
            if let Ok(record) = read(patch) {
                let text = serde_json::to_string(&record).unwrap();
                prop_assert_eq!(serde_json::from_str::<ApiKey>(&text).unwrap(), record);
            }
        }
    }
}
