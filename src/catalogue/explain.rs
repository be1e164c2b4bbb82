//! What applies to a model, field by field, with the row that each value comes from.

use super::field::{EFFORTS, FIELD_COUNT, FIELDS, FieldRow, Fit, Kind, Value};
use super::price::{self, DatedPrice};
use super::resolve::{Origin, each_row};
use super::rows::{Fact, Host, Source};

/// A value that applies, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Explained {
    /// The field.
    pub field: &'static FieldRow,
    /// Its value.
    pub value: Value,
    /// The row.
    pub origin: Origin,
    /// Where the row was read; none for the operator's.
    pub source: Option<&'static Source>,
}

/// The row that a price comes from.
#[derive(Clone, Copy, Debug)]
pub struct PriceRow {
    /// The row.
    pub origin: Origin,
    /// Where it was read; none for the operator's.
    pub source: Option<&'static Source>,
}

/// The operator's facts: of the provider, then of the model.
#[derive(Clone, Copy, Debug, Default)]
pub struct OperatorFacts<'a> {
    /// Of the provider's row.
    pub provider: &'a [Fact],
    /// Of the model's row.
    pub model: &'a [Fact],
}

/// The row that states the price of a model at the time `now`; `prices` are the operator's for this model.
/// `None` if no row does.
pub fn price_row(
    format: &str,
    host: Option<&'static Host>,
    model: &str,
    prices: &[DatedPrice],
    now: u64,
) -> Option<PriceRow> {
    if price::entry_at(prices, now).is_some() {
        return Some(PriceRow { origin: Origin::Model, source: None });
    }
    let mut found = None;
    each_row(format, host, model, &mut |origin, row| {
        if !row.prices.is_empty() {
            found = Some(PriceRow { origin, source: Some(row.source) });
        }
    });
    found
}

/// All fields that are known of a model, in the order of [`FIELDS`].
pub fn explain(format: &str, host: Option<&'static Host>, model: &str, operator: OperatorFacts<'_>) -> Vec<Explained> {
    let mut known: [Option<Explained>; FIELD_COUNT] = [None; FIELD_COUNT];
    let mut note = |facts: &[Fact], origin: Origin, source: Option<&'static Source>| {
        for fact in facts {
            let index = fact.field.index();
            let field = FIELDS.get(index);
            if let (Some(slot), Some(field)) = (known.get_mut(index), field) {
                *slot = Some(Explained { field, value: fact.value, origin, source });
            }
        }
    };
    each_row(format, host, model, &mut |origin, row| note(row.facts, origin, Some(row.source)));
    note(operator.provider, Origin::Provider, None);
    note(operator.model, Origin::Model, None);
    known.into_iter().flatten().collect()
}

impl Explained {
    /// The value, as it is written in the files.
    pub fn spelling(&self) -> String {
        match (self.value, self.field.kind) {
            (Value::Flag(flag), _) => flag.to_string(),
            (Value::Count(nanos), Kind::Dollars) => dollars(nanos),
            (Value::Count(count), _) => count.to_string(),
            (Value::Word(word), _) => word.to_owned(),
            (Value::Words(set), Kind::Words(words)) => list(words, u64::from(set)),
            (Value::Words(set), _) => set.to_string(),
            (Value::Names(names), _) => format!("[{}]", names.join(", ")),
            (Value::Fit(fit), _) => spelled(fit),
        }
    }
}

/// Nano-dollars as dollars, exactly and without trailing zeros.
fn dollars(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn spelled(fit: Fit) -> String {
    match fit {
        Fit::Keep => "keep".to_owned(),
        Fit::Drop => "drop".to_owned(),
        Fit::Rename(name) => format!("{{ rename: {name} }}"),
        Fit::Cut(length) => format!("{{ cut: {length} }}"),
        Fit::Hash(length) => format!("{{ hash: {length} }}"),
        Fit::NearestOf(efforts) => format!("{{ nearest_of: {} }}", list(EFFORTS, u64::from(efforts.0))),
    }
}

fn list(words: &[&str], set: u64) -> String {
    let some: Vec<&str> =
        words.iter().enumerate().filter(|(index, _)| set & (1 << index) != 0).map(|(_, word)| *word).collect();
    format!("[{}]", some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::field::Field;
    use super::super::resolve::host_named;
    use super::*;

    #[test]
    fn each_value_is_told_with_its_row() {
        let provider = [Fact { field: Field::User, value: Value::Fit(Fit::Drop) }];
        let model = [Fact { field: Field::Context, value: Value::Count(7) }];
        let operator = OperatorFacts { provider: &provider, model: &model };
        let all = explain("openai", host_named("openai"), "gpt-5-mini", operator);
        let told = |name: &str| {
            let one = all.iter().find(|one| one.field.name == name).unwrap();
            (one.spelling(), one.origin.to_string())
        };
        let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
        assert_eq!(told("user"), pair("drop", "your provider's row"));
        assert_eq!(told("context"), pair("7", "your model's row"));
        assert_eq!(told("max_output"), pair("128000", "the model gpt-5-mini at its host"));
        assert_eq!(told("thinking"), pair("[effort]", "the family gpt-*"));
        let efforts = pair("{ nearest_of: [minimal, low, medium, high] }", "the family gpt-5-*");
        assert_eq!(told("reasoning_effort"), efforts);
        assert_eq!(told("limit_fields"), pair("[max_completion_tokens, max_tokens]", "the host openai"));
        assert_eq!(told("reasoning_content"), pair("drop", "the format openai"));
        assert_eq!(told("stop_texts"), pair("{ cut: 4 }", "the host openai"));
        assert_eq!([0, 10_000_000, 10_000_000_000].map(dollars), ["0", "0.01", "10"]);
        let sources = all.iter().map(|one| one.source.map_or("", |source| source.date));
        assert_eq!(sources.filter(|date| date.is_empty()).count(), 2);
    }
}
