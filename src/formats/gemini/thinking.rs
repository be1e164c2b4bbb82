//! How much a model is to think, in the words of its generation. It knows models by the beginnings of their names, and nothing else of them.
//! Source: <https://ai.google.dev/gemini-api/docs/thinking> and Google's table for `reasoning_effort`
//! (<https://ai.google.dev/gemini-api/docs/openai#thinking>).

use serde::Serialize;

use crate::canonical::{Effort, Thinking};
use crate::formats::unsupported::Dropped;

/// <https://ai.google.dev/api/generate-content#ThinkingConfig>
#[derive(Serialize, Default, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
    /// In tokens; -1: as much as it finds fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
    /// Gemini 3 and later: a word instead of a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
}

/// The least that Gemini 2.5 Pro thinks, in tokens.
const LEAST_OF_PRO: i64 = 128;

/// Models that never think, and refuse to be told about it.
const THOUGHTLESS: &[&str] = &["gemini-1", "gemini-2.0", "gemma"];

/// Whether a model belongs to the third generation, which wants its signatures back and takes a level of thinking.
pub(super) fn is_third(model: &str) -> bool {
    bare(model).starts_with("gemini-3")
}

fn bare(model: &str) -> &str {
    model.rsplit_once('/').map_or(model, |(_, name)| name)
}

/// What the model is to be told; nothing, if it does so anyway.
pub(super) fn config(thinking: Thinking, model: &str, dropped: &mut Dropped) -> Option<ThinkingConfig> {
    let third = is_third(model);
    let mut config = ThinkingConfig { include_thoughts: Some(true), ..ThinkingConfig::default() };
    match thinking {
        Thinking::Off => return off(model, dropped),
        // It is what the third generation does, and has no word for.
        Thinking::Free if third => {}
        Thinking::Free => config.thinking_budget = Some(-1),
        Thinking::Effort(effort) if third => config.thinking_level = Some(level(effort, model)),
        Thinking::Effort(effort) => config.thinking_budget = Some(budget(effort)),
        Thinking::Budget(tokens) => config.thinking_budget = Some(i64::try_from(tokens).unwrap_or(i64::MAX)),
    }
    Some(config)
}

/// Some models always think: they are told to do the least, and the caller is told that it is not nothing.
fn off(model: &str, dropped: &mut Dropped) -> Option<ThinkingConfig> {
    let name = bare(model);
    if THOUGHTLESS.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    let third = is_third(model);
    let pro = name.starts_with("gemini-2.5-pro");
    dropped.add_if(third || pro, "reasoning_effort");
    Some(ThinkingConfig {
        thinking_level: third.then(|| level(Effort::Minimal, model)),
        thinking_budget: (!third).then_some(if pro { LEAST_OF_PRO } else { 0 }),
        include_thoughts: None,
    })
}

/// In tokens.
fn budget(effort: Effort) -> i64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High | Effort::Higher | Effort::Highest => 24_576,
    }
}

fn level(effort: Effort, model: &str) -> &'static str {
    let name = bare(model);
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

    fn told(thinking: Thinking, model: &str) -> String {
        serde_json::to_string(&config(thinking, model, &mut Dropped::default())).unwrap()
    }

    #[test]
    fn an_effort_is_a_budget_or_a_level_by_the_models_generation() {
        let effort = Thinking::Effort(Effort::Medium);
        assert_eq!(told(effort, "gemini-2.5-flash"), r#"{"includeThoughts":true,"thinkingBudget":8192}"#);
        assert_eq!(
            told(effort, "models/gemini-3-flash-preview"),
            r#"{"includeThoughts":true,"thinkingLevel":"medium"}"#
        );
        assert_eq!(told(effort, "gemini-3-pro-preview"), r#"{"includeThoughts":true,"thinkingLevel":"high"}"#);
        let least = Thinking::Effort(Effort::Minimal);
        assert_eq!(told(least, "gemini-3.1-pro"), r#"{"includeThoughts":true,"thinkingLevel":"low"}"#);
        assert_eq!(told(least, "gemini-3-flash"), r#"{"includeThoughts":true,"thinkingLevel":"minimal"}"#);
        assert_eq!(told(Thinking::Free, "gemini-2.5-pro"), r#"{"includeThoughts":true,"thinkingBudget":-1}"#);
        assert_eq!(told(Thinking::Free, "gemini-3-pro"), r#"{"includeThoughts":true}"#);
        assert_eq!(told(Thinking::Budget(77), "gemini-3-pro"), r#"{"includeThoughts":true,"thinkingBudget":77}"#);
    }

    #[test]
    fn a_model_that_cannot_stop_thinking_thinks_least_and_the_caller_is_told() {
        for (model, expected, loud) in [
            ("gemini-2.5-flash", r#"{"thinkingBudget":0}"#, false),
            ("gemini-2.0-flash", "null", false),
            ("gemini-2.5-pro", r#"{"thinkingBudget":128}"#, true),
            ("gemini-3-pro-preview", r#"{"thinkingLevel":"low"}"#, true),
            ("gemini-3-flash", r#"{"thinkingLevel":"minimal"}"#, true),
        ] {
            let (mut dropped, mut none) = (Dropped::default(), Dropped::default());
            assert_eq!(told(Thinking::Off, model), expected);
            config(Thinking::Off, model, &mut dropped);
            none.add_if(loud, "reasoning_effort");
            assert!(dropped == none, "{model}");
        }
    }
}
