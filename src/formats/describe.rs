//! Collects what is known of a model at a provider, for lists of models.

use super::model_facts::ModelFacts;
use super::table::{CHAT, provider_format};
use crate::catalogue::field::{Field, Fit, Table, Value};
use crate::catalogue::price::ModelPrice;
use crate::catalogue::{self, Fact, Facts, OperatorFacts};
use crate::config::{FitScope, Millis, Model, Provider};

/// Settings of a chat with the fields of the catalogue that may refuse them.
const SETTINGS: &[(&str, Field)] = &[
    ("temperature", Field::Temperature),
    ("top_p", Field::TopP),
    ("top_k", Field::TopK),
    ("presence_penalty", Field::PresencePenalty),
    ("frequency_penalty", Field::FrequencyPenalty),
    ("stop", Field::Stop),
];

/// The facts of the model that its provider calls `upstream`; `price` is its price at the time `now`.
pub fn describe(
    provider: &Provider,
    model: &Model,
    upstream: &str,
    price: Option<ModelPrice>,
    now: Millis,
) -> ModelFacts {
    let operator = OperatorFacts { provider: &provider.facts, model: &model.facts };
    let mut known = ModelFacts::default();
    for one in catalogue::explain(provider.adapter, provider.host, upstream, operator) {
        known.facts.overlay(&[Fact { field: one.field.field, value: one.value }]);
        if one.field.table == Table::Models {
            known.origins.insert(one.field.name, one.origin);
        }
    }
    known.parameters = parameters(provider, &known.facts);
    if let Some(row) = catalogue::price_row(provider.adapter, provider.host, upstream, &model.prices, now) {
        known.price = price;
        known.origins.insert("price", row.origin);
    }
    known
}

/// The parameters of a chat that a model takes. What neither the model nor its provider's format is known to
/// refuse counts as taken; of a model of which nothing is known, nothing is said.
fn parameters(provider: &Provider, facts: &Facts) -> Vec<&'static str> {
    let is_known = [Field::Tools, Field::Thinking, Field::Thinks, Field::Temperature];
    if !is_known.iter().any(|field| facts.get(*field).is_some()) {
        return Vec::new();
    }
    let unsupported = provider_format(provider.adapter).map(|format| format.unsupported_settings).unwrap_or_default();
    // A model that does not reason unless it is asked to takes what a model that reasons refuses.
    let is_free = facts.word(Field::DefaultEffort) == Some("none") && facts.fit(Field::SamplingAtNone) == Fit::Keep;
    let takes = |field: Field| facts.fit(field) == Fit::Keep || (is_free && field != Field::Stop);
    let mut names = vec!["max_tokens"];
    let taken = SETTINGS.iter().filter(|(name, field)| !unsupported.contains(name) && takes(*field));
    names.extend(taken.map(|(name, _)| *name));
    if facts.flag(Field::Tools) {
        names.extend(["tools", "tool_choice"]);
    }
    if facts.flag(Field::StructuredOutput) {
        names.extend(["response_format", "structured_outputs"]);
    }
    if matches!(facts.get(Field::Thinking), Some(Value::Words(forms)) if forms != 0) {
        names.push("reasoning_effort");
        if takes_reasoning_object(provider, facts) {
            names.push("reasoning");
        }
    }
    names
}

/// Whether a chat may ask for reasoning by an object `reasoning`: where the gateway translates it, and at a host
/// that has the name itself.
fn takes_reasoning_object(provider: &Provider, facts: &Facts) -> bool {
    let is_translated = provider.adapter != CHAT.name || provider.fit == FitScope::Always;
    is_translated || facts.fit(Field::ReasoningContent) == Fit::Rename("reasoning")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{ModelRequest, Raw};
    use crate::catalogue::Origin;
    use crate::catalogue::price::{Rates, TierRates};
    use crate::config::Config;
    use crate::formats::{KINDS, PROVIDER_FORMATS, WriteTarget};

    fn known(row: &str, model: &str) -> ModelFacts {
        let text = format!("providers: {{ p: {row} }}");
        let config = Config::read(&text, KINDS).unwrap();
        let provider = &config.providers[0];
        let row = provider.model(model).or_else(|| provider.pattern(model)).unwrap();
        let rates = Rates { input: 2_500_000, cached_input: 5, ..Rates::default() };
        let standard = TierRates { rates, long: None };
        let price = ModelPrice { standard, tiers: &[], per_search: None, per_request: 20_000_000 };
        describe(provider, row, model, Some(price), 1_795_780_800_000)
    }

    #[test]
    fn a_known_model_is_described_with_origins() {
        let row = "{ base_url: 'https://api.openai.com/v1', models: { gpt-5-mini: { context: 7 }, '*': {} } }";
        let known = known(row, "gpt-5-mini");
        assert_eq!(known.facts.count(Field::Context), Some(7));
        assert_eq!(known.takes("image"), Some(true));
        assert_eq!(known.takes_effort("minimal"), Some(true));
        assert_eq!(known.takes_effort("max"), Some(false));
        assert_eq!(known.reasons_by("effort"), Some(true));
        for parameter in ["max_tokens", "tools", "tool_choice", "reasoning_effort"] {
            assert!(known.parameters.contains(&parameter), "{parameter} in {:?}", known.parameters);
        }
        for parameter in ["temperature", "top_p", "top_k", "stop"] {
            assert!(!known.parameters.contains(&parameter), "{parameter} in {:?}", known.parameters);
        }
        assert_eq!(known.origins["context"], Origin::Model);
        assert_eq!(known.origins["max_output"], Origin::HostModel("gpt-5-mini"));
        assert_eq!(known.origins["price"], Origin::HostModel("gpt-5-mini"));
        assert_eq!(known.origins["thinking"], Origin::Family("gpt-*"));
        assert!(!known.origins.contains_key("limit_fields"), "a field of hosts");
        let pricing = known.pricing().unwrap();
        assert_eq!(pricing.prompt, "0.0000025");
        assert_eq!(pricing.input_cache_read, "0.000000000005");
        assert_eq!(pricing.request, "0.02");
        assert_eq!(pricing.completion, "0");
    }

    #[test]
    fn the_object_reasoning_is_taken_where_it_is_translated_or_known() {
        for (row, model, expected) in [
            ("{ adapter: anthropic, base_url: 'https://api.anthropic.com/v1', models: '*' }", "claude-opus-9", true),
            ("{ adapter: anthropic, base_url: 'https://api.anthropic.com/v1', models: '*' }", "claude-3-haiku", false),
            ("{ base_url: 'https://openrouter.ai/api/v1', models: '*' }", "openai/gpt-5", true),
            ("{ base_url: 'https://api.openai.com/v1', models: '*' }", "gpt-5", false),
            ("{ base_url: 'https://api.openai.com/v1', models: '*', fit: always }", "gpt-5", true),
        ] {
            assert_eq!(known(row, model).parameters.contains(&"reasoning"), expected, "{row} {model}");
        }
    }

    #[test]
    fn of_an_unknown_model_nothing_is_said() {
        let known = known("{ base_url: 'https://a.b', models: '*' }", "someone/new");
        assert_eq!(known.parameters, [""; 0]);
        assert_eq!(known.price, None);
        assert!(known.origins.is_empty(), "{:?}", known.origins);
        assert_eq!([known.takes("text"), known.flag(Field::Tools), known.takes_effort("low")], [None; 3]);
    }

    #[test]
    fn a_price_of_the_operator_is_the_operators() {
        let row =
            "{ base_url: 'https://api.openai.com/v1', models: { gpt-5-mini: { price: { input: 1, output: 2 } } } }";
        assert_eq!(known(row, "gpt-5-mini").origins["price"], Origin::Model);
        let later = "{ base_url: 'https://api.openai.com/v1', models: { gpt-5-mini: { price: [{ from: 2030-01-01, input: 1, output: 2 }] } } }";
        assert_eq!(known(later, "gpt-5-mini").origins["price"], Origin::HostModel("gpt-5-mini"));
    }

    #[test]
    fn a_format_names_the_settings_that_it_cannot_send() {
        for format in PROVIDER_FORMATS {
            let mut request = ModelRequest::default();
            let value = || Raw::parse("0.5");
            let sampling = &mut request.sampling;
            (sampling.temperature, sampling.top_p, sampling.top_k) = (value(), value(), Raw::parse("5"));
            (sampling.presence_penalty, sampling.frequency_penalty) = (value(), value());
            request.stop.extend(Raw::parse("\"x\""));
            let target = WriteTarget { model: "m", max_output: None, limit_field: None, facts: &Facts::UNKNOWN };
            let Ok(written) = (format.write)(&request, target) else { continue };
            for (name, _) in SETTINGS {
                let is_dropped = written.dropped.iter().any(|dropped| dropped == name);
                assert_eq!(is_dropped, format.unsupported_settings.contains(name), "{}: {name}", format.kind.name);
            }
        }
    }
}
