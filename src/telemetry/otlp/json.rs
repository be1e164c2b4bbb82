//! OTLP's JSON: ids in hex, enums as integers, 64-bit integers as strings.

use super::encoder::Encoder;
use super::fields::Field;
use super::trace_context::hex;
use crate::wire::json::quote;

/// A JSON object that is being written: its members, without braces.
#[derive(Debug, Default)]
pub(super) struct Json {
    members: String,
}

impl Json {
    /// The object.
    pub(super) fn finish(self) -> String {
        format!("{{{}}}", self.members)
    }

    fn member(&mut self, field: Field, json: &str) {
        let separator = if self.members.is_empty() { "" } else { "," };
        self.members.extend([separator, "\"", field.name, "\":", json]);
    }
}

impl Encoder for Json {
    fn text(&mut self, field: Field, value: &str) {
        self.member(field, &quote(value));
    }

    fn id(&mut self, field: Field, value: &[u8]) {
        self.member(field, &quote(&hex(value)));
    }

    fn truth(&mut self, field: Field, value: bool) {
        self.member(field, if value { "true" } else { "false" });
    }

    fn small(&mut self, field: Field, value: u32) {
        self.member(field, &value.to_string());
    }

    fn fixed_small(&mut self, field: Field, value: u32) {
        self.small(field, value);
    }

    fn integer(&mut self, field: Field, value: u64) {
        self.member(field, &format!("\"{}\"", value.min(i64::MAX.unsigned_abs())));
    }

    fn fixed(&mut self, field: Field, value: u64) {
        self.member(field, &format!("\"{value}\""));
    }

    fn number(&mut self, field: Field, value: f64) {
        self.member(field, &number(value));
    }

    fn fixed_list(&mut self, field: Field, values: &[u64]) {
        let texts: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        self.member(field, &format!("[{}]", texts.join(",")));
    }

    fn number_list(&mut self, field: Field, values: &[f64]) {
        let texts: Vec<String> = values.iter().map(|value| number(*value)).collect();
        self.member(field, &format!("[{}]", texts.join(",")));
    }

    fn message(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.member(field, &inner.finish());
    }

    fn messages<T>(&mut self, field: Field, items: &[T], write: impl Fn(&mut Self, &T)) {
        if items.is_empty() {
            return;
        }
        let objects = items.iter().map(|item| {
            let mut inner = Self::default();
            write(&mut inner, item);
            inner.finish()
        });
        let objects: Vec<String> = objects.collect();
        self.member(field, &format!("[{}]", objects.join(",")));
    }

    fn encoded(&mut self, field: Field, items: &[Vec<u8>]) {
        if !items.is_empty() {
            self.member(field, &format!("[{}]", String::from_utf8_lossy(&items.join(&b','))));
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        self.finish().into_bytes()
    }
}

/// A `double`. JSON has finite numbers only; protobuf's mapping names the others.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "\"NaN\"".to_owned(),
        f64::INFINITY => "\"Infinity\"".to_owned(),
        f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
        value => serde_json::to_string(&value).unwrap_or_default(),
    }
}
