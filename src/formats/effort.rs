//! The word of effort that a model is sent, of those that it knows.

use super::written_request::Adjustment;
use crate::canonical::{Effort, ModelRequest, Thinking};
use crate::catalogue::Facts;
use crate::catalogue::field::{Efforts, Field, Fit};

/// The name of the field, as callers know it.
pub const FIELD: &str = "reasoning_effort";

/// The effort that a model assumes if the catalogue does not say.
const USUAL: &str = "medium";

/// The word to send, and what that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FittedEffort {
    /// The word; none to leave the field out.
    pub word: Option<&'static str>,
    /// The word is not the one that was asked for.
    pub adjusted: Option<Adjustment>,
    /// What was asked for is lost.
    pub dropped: bool,
}

/// The word of effort for a request, for formats that have words.
pub fn fit(request: &ModelRequest<'_>, facts: &Facts) -> FittedEffort {
    let asked = request.thinking.and_then(word_of);
    let with_tools = if request.tools.is_empty() { Fit::Keep } else { facts.fit(Field::ReasoningEffortWithTools) };
    let fit = if with_tools == Fit::Keep { facts.fit(Field::ReasoningEffort) } else { with_tools };
    match fit {
        Fit::Drop => {
            // Omitting the field is no loss if reasoning is turned off for a model that does not reason.
            let is_so = asked == Some("none") && !facts.flag(Field::Thinks);
            FittedEffort { dropped: asked.is_some() && !is_so, ..FittedEffort::default() }
        }
        Fit::NearestOf(efforts) => {
            // With tools, the field is sent even if the request has none: the model's default may not be
            // allowed beside tools.
            let assumed = facts.word(Field::DefaultEffort).unwrap_or(USUAL);
            let from = asked.or((with_tools != Fit::Keep).then_some(assumed));
            let word = from.and_then(|from| efforts.nearest(from)).filter(|word| asked.is_some() || *word != assumed);
            let adjusted = word
                .filter(|word| asked != Some(*word))
                .map(|word| Adjustment::new(FIELD, asked.unwrap_or_default().to_owned(), word.to_owned()));
            FittedEffort { word, adjusted, dropped: false }
        }
        // Words above `xhigh` are known to few; where nothing else is known, it is the highest.
        _ => FittedEffort {
            word: asked.map(|word| if word == "max" { "xhigh" } else { word }),
            ..FittedEffort::default()
        },
    }
}

/// The nearest word that a model knows for a level of reasoning, and the adjustment if it is another one.
/// `usual`: the words of models without words in the catalogue.
pub fn nearest(effort: Effort, facts: &Facts, usual: Efforts) -> (&'static str, Option<Adjustment>) {
    let efforts = if let Fit::NearestOf(efforts) = facts.fit(Field::ReasoningEffort) { efforts } else { usual };
    let asked = word(effort);
    let sent = efforts.nearest(asked).unwrap_or(asked);
    let adjusted = (sent != asked).then(|| Adjustment::new(FIELD, asked.to_owned(), sent.to_owned()));
    (sent, adjusted)
}

/// The word for a level of reasoning.
pub fn word(effort: Effort) -> &'static str {
    match effort {
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Higher => "xhigh",
        Effort::Highest => "max",
    }
}

/// The word for a setting; a budget becomes the nearest word. `None` is the model's default.
fn word_of(thinking: Thinking) -> Option<&'static str> {
    Some(match thinking {
        Thinking::Free => return None,
        Thinking::Effort(effort) => word(effort),
        Thinking::Off | Thinking::Budget(0) => "none",
        Thinking::Budget(1..=512) => "minimal",
        Thinking::Budget(513..=4_096) => "low",
        Thinking::Budget(4_097..=16_384) => "medium",
        Thinking::Budget(_) => "high",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Raw, Tool};
    use crate::catalogue;

    fn sent(model: &str, thinking: Option<Thinking>, with_tools: bool) -> (Option<&'static str>, Option<String>, bool) {
        let tool = Tool { name: Raw::quoted("f"), description: None, parameters: None, strict: None, cache: None };
        let tools = if with_tools { vec![tool] } else { Vec::new() };
        let request = ModelRequest { thinking, tools, ..ModelRequest::default() };
        let FittedEffort { word, adjusted, dropped } = fit(&request, &catalogue::family(model));
        (word, adjusted.map(|adjusted| adjusted.to_string()), dropped)
    }

    #[test]
    fn a_model_is_sent_a_word_that_it_knows() {
        let effort = |effort| Some(Thinking::Effort(effort));
        let told = |told: &str| Some(told.to_owned());
        for (model, thinking, expected) in [
            ("gpt-5.1", effort(Effort::High), (Some("high"), None, false)),
            ("gpt-5.1", effort(Effort::Highest), (Some("high"), told("reasoning_effort: max -> high"), false)),
            ("o3", Some(Thinking::Off), (Some("low"), told("reasoning_effort: none -> low"), false)),
            ("gpt-5-mini", Some(Thinking::Budget(9_000)), (Some("medium"), None, false)),
            ("deepseek-v4-pro", effort(Effort::Highest), (Some("max"), None, false)),
            ("someones-model", effort(Effort::Highest), (Some("xhigh"), None, false)),
            ("someones-model", Some(Thinking::Off), (Some("none"), None, false)),
            ("gpt-4o", effort(Effort::High), (None, None, true)),
            ("gpt-4o", Some(Thinking::Off), (None, None, false)),
            ("kimi-k2.6", Some(Thinking::Off), (None, None, true)),
            ("gpt-9-x", Some(Thinking::Free), (None, None, false)),
            ("gpt-9-x", None, (None, None, false)),
        ] {
            assert_eq!(sent(model, thinking, false), expected, "{model} {thinking:?}");
        }
    }

    #[test]
    fn beside_tools_a_model_that_refuses_reasoning_is_told_not_to() {
        let high = Some(Thinking::Effort(Effort::High));
        let told = |told: &str| Some(told.to_owned());
        assert_eq!(sent("gpt-5.6-terra", high, true), (Some("none"), told("reasoning_effort: high -> none"), false));
        assert_eq!(sent("gpt-5.6-terra", None, true), (Some("none"), told("reasoning_effort: none"), false));
        assert_eq!(sent("gpt-5.4", None, true), (None, None, false), "it assumes none");
        assert_eq!(sent("gpt-5.1", high, true), (Some("high"), None, false));
        assert_eq!(sent("gpt-4o", None, true), (None, None, false));
    }
}
