//! The thinking configuration of a request: a level or a budget, by the model's generation, which the prefix
//! of its name shows.
//! Source: <https://ai.google.dev/gemini-api/docs/thinking> and Google's table for `reasoning_effort`
//! (<https://ai.google.dev/gemini-api/docs/openai#thinking>).

use serde::Serialize;

use crate::canonical::{Effort, Thinking};
use crate::formats::unsupported::UnsupportedFields;

/// Source: <https://ai.google.dev/api/generate-content#ThinkingConfig>.
#[derive(Serialize, Default, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    /// Tokens; -1 lets the model decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    /// Gemini 3 and later: a level instead of a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// The smallest budget of Gemini 2.5 Pro, in tokens.
const MIN_BUDGET_PRO: i64 = 128;

/// Models that do not think and refuse a thinking configuration.
const WITHOUT_THINKING: &[&str] = &["gemini-1", "gemini-2.0", "gemma"];

/// Whether a model belongs to the third generation, which takes thinking levels and requires its signatures
/// back.
pub(super) fn is_third_generation(model: &str) -> bool {
    base_name(model).starts_with("gemini-3")
}

fn base_name(model: &str) -> &str {
    model.rsplit_once('/').map_or(model, |(_, name)| name)
}

/// The thinking configuration; `None` if the model's default is meant.
pub(super) fn config(thinking: Thinking, model: &str, unsupported: &mut UnsupportedFields) -> Option<ThinkingConfig> {
    let third_generation = is_third_generation(model);
    let mut config = ThinkingConfig { include_thoughts: Some(true), ..ThinkingConfig::default() };
    match thinking {
        Thinking::Off => return off(model, unsupported),
        // The default of the third generation, which has no word for it.
        Thinking::Free if third_generation => {}
        Thinking::Free => config.thinking_budget = Some(-1),
        Thinking::Effort(effort) if third_generation => config.thinking_level = Some(level(effort, model)),
        Thinking::Effort(effort) => config.thinking_budget = Some(budget(effort)),
        Thinking::Budget(tokens) => config.thinking_budget = Some(i64::try_from(tokens).unwrap_or(i64::MAX)),
    }
    Some(config)
}

/// Models that cannot stop thinking get the smallest amount, and the client's field is reported as
/// unsupported.
fn off(model: &str, unsupported: &mut UnsupportedFields) -> Option<ThinkingConfig> {
    let name = base_name(model);
    if WITHOUT_THINKING.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    let third_generation = is_third_generation(model);
    let pro = name.starts_with("gemini-2.5-pro");
    unsupported.add_if(third_generation || pro, "reasoning_effort");
    Some(ThinkingConfig {
        thinking_level: third_generation.then(|| level(Effort::Minimal, model)),
        thinking_budget: (!third_generation).then_some(if pro { MIN_BUDGET_PRO } else { 0 }),
        include_thoughts: None,
    })
}

/// The budget for an effort, in tokens.
fn budget(effort: Effort) -> i64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High | Effort::Higher | Effort::Highest => 24_576,
    }
}

fn level(effort: Effort, model: &str) -> &'static str {
    let name = base_name(model);
    match effort {
        // Pro models have no `minimal`, and the first of them no `medium`.
        Effort::Minimal if name.contains("-pro") => "low",
        Effort::Medium if name.starts_with("gemini-3-pro") => "high",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Higher | Effort::Highest => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_json(thinking: Thinking, model: &str) -> String {
        serde_json::to_string(&config(thinking, model, &mut UnsupportedFields::default())).unwrap()
    }

    #[test]
    fn an_effort_is_a_budget_or_a_level_by_the_models_generation() {
        let effort = Thinking::Effort(Effort::Medium);
        assert_eq!(config_json(effort, "gemini-2.5-flash"), r#"{"includeThoughts":true,"thinkingBudget":8192}"#);
        assert_eq!(
            config_json(effort, "models/gemini-3-flash-preview"),
            r#"{"includeThoughts":true,"thinkingLevel":"medium"}"#
        );
        assert_eq!(config_json(effort, "gemini-3-pro-preview"), r#"{"includeThoughts":true,"thinkingLevel":"high"}"#);
        let least = Thinking::Effort(Effort::Minimal);
        assert_eq!(config_json(least, "gemini-3.1-pro"), r#"{"includeThoughts":true,"thinkingLevel":"low"}"#);
        assert_eq!(config_json(least, "gemini-3-flash"), r#"{"includeThoughts":true,"thinkingLevel":"minimal"}"#);
        assert_eq!(config_json(Thinking::Free, "gemini-2.5-pro"), r#"{"includeThoughts":true,"thinkingBudget":-1}"#);
        assert_eq!(config_json(Thinking::Free, "gemini-3-pro"), r#"{"includeThoughts":true}"#);
        assert_eq!(
            config_json(Thinking::Budget(77), "gemini-3-pro"),
            r#"{"includeThoughts":true,"thinkingBudget":77}"#
        );
    }

    #[test]
    fn a_model_that_cannot_stop_thinking_gets_the_least_and_the_field_is_reported() {
        for (model, expected, loud) in [
            ("gemini-2.5-flash", r#"{"thinkingBudget":0}"#, false),
            ("gemini-2.0-flash", "null", false),
            ("gemini-2.5-pro", r#"{"thinkingBudget":128}"#, true),
            ("gemini-3-pro-preview", r#"{"thinkingLevel":"low"}"#, true),
            ("gemini-3-flash", r#"{"thinkingLevel":"minimal"}"#, true),
        ] {
            let (mut unsupported, mut none) = (UnsupportedFields::default(), UnsupportedFields::default());
            assert_eq!(config_json(Thinking::Off, model), expected);
            config(Thinking::Off, model, &mut unsupported);
            none.add_if(loud, "reasoning_effort");
            assert!(unsupported == none, "{model}");
        }
    }
}
