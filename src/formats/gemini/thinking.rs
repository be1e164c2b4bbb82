//! The thinking configuration of a request: a level or a budget, as the model takes it.
//! Source: <https://ai.google.dev/gemini-api/docs/thinking> and Google's table for `reasoning_effort`
//! (<https://ai.google.dev/gemini-api/docs/openai#thinking>).

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::canonical::{Effort, Thinking};
use crate::catalogue::Facts;
use crate::catalogue::field::{Efforts, Field};
use crate::formats::unsupported::UnsupportedFields;
use crate::formats::{Adjustment, effort};
use crate::wire::json::Document;

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

/// The default levels, for models without levels in the catalogue: minimal, low, medium and high.
const USUAL_LEVELS: Efforts = Efforts(0b1_1110);

/// Whether a model takes levels of reasoning, and requires its signatures back: those of the third generation
/// and later.
pub(super) fn takes_levels(facts: &Facts) -> bool {
    facts.has(Field::Thinking, "effort") == Some(true)
}

/// The thinking configuration, and the level if the model does not know the client's. No configuration if the
/// model's default is meant, or for a model that does not think.
pub(super) fn config(
    thinking: Thinking,
    facts: &Facts,
    unsupported: &mut UnsupportedFields,
) -> (Option<ThinkingConfig>, Option<Adjustment>) {
    let levels = takes_levels(facts);
    if !levels && facts.has(Field::Thinking, "budget") == Some(false) {
        unsupported.add_if(thinking != Thinking::Off, effort::FIELD);
        return (None, None);
    }
    let mut config = ThinkingConfig { include_thoughts: Some(true), ..ThinkingConfig::default() };
    let mut adjusted = None;
    match thinking {
        Thinking::Off => return (Some(off(facts, unsupported)), None),
        // The default of models with levels, which have no word for it.
        Thinking::Free if levels => {}
        Thinking::Free => config.thinking_budget = Some(-1),
        Thinking::Effort(effort) if levels => {
            let (level, adjustment) = effort::nearest(effort, facts, USUAL_LEVELS);
            (config.thinking_level, adjusted) = (Some(level), adjustment);
        }
        Thinking::Effort(effort) => config.thinking_budget = Some(budget(effort)),
        Thinking::Budget(tokens) => config.thinking_budget = Some(i64::try_from(tokens).unwrap_or(i64::MAX)),
    }
    (Some(config), adjusted)
}

/// Models that cannot stop thinking get the smallest amount, and the client's field is reported as
/// unsupported.
fn off(facts: &Facts, unsupported: &mut UnsupportedFields) -> ThinkingConfig {
    let levels = takes_levels(facts);
    let least = facts.count(Field::LeastBudget).filter(|_| !levels);
    unsupported.add_if(levels || least.is_some(), effort::FIELD);
    let budget = least.map_or(0, |least| i64::try_from(least).unwrap_or(i64::MAX));
    ThinkingConfig {
        thinking_level: levels.then(|| effort::nearest(Effort::Minimal, facts, USUAL_LEVELS).0),
        thinking_budget: (!levels).then_some(budget),
        include_thoughts: None,
    }
}

/// Whether a client is shown thoughts, which it has to ask for: a text between the reading of its request and the
/// writing of its response.
pub(super) fn shows_thoughts(document: &Document<'_>) -> Option<Rc<str>> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default, alias = "thinkingConfig")]
        thinking_config: Option<Asked>,
    }
    #[derive(Deserialize)]
    struct Asked {
        #[serde(default, alias = "includeThoughts")]
        include_thoughts: Option<bool>,
    }
    let config = document.value("generationConfig").or_else(|| document.value("generation_config"))?;
    let config: Config = serde_json::from_str(config).ok()?;
    (config.thinking_config?.include_thoughts?).then(|| Rc::from("thoughts"))
}

/// The budget for an effort, in tokens.
fn budget(effort: Effort) -> i64 {
    match effort {
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High | Effort::Higher | Effort::Highest => 24_576,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn config_json(thinking: Thinking, model: &str) -> String {
        let (config, _) = config(thinking, &catalogue::family(model), &mut UnsupportedFields::default());
        serde_json::to_string(&config).unwrap()
    }

    #[test]
    fn an_effort_is_a_budget_or_a_level_by_the_models_generation() {
        let effort = Thinking::Effort(Effort::Medium);
        assert_eq!(config_json(effort, "gemini-2.5-flash"), r#"{"includeThoughts":true,"thinkingBudget":8192}"#);
        assert_eq!(
            config_json(effort, "models/gemini-3-flash-preview"),
            r#"{"includeThoughts":true,"thinkingLevel":"medium"}"#
        );
        assert_eq!(config_json(effort, "gemini-3-pro-preview"), r#"{"includeThoughts":true,"thinkingLevel":"low"}"#);
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
            config(Thinking::Off, &catalogue::family(model), &mut unsupported);
            none.add_if(loud, "reasoning_effort");
            assert!(unsupported == none, "{model}");
        }
    }
}
