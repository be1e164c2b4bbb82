//! How much a model thinks, and what thinking excludes, by the model's version.
//! Source: <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>, `…/adaptive-thinking`,
//! `…/effort`.

use super::wire::request::ThinkingParam;
use crate::canonical::{Effort, Raw, Thinking};
use crate::catalogue::field::{Efforts, Field};
use crate::formats::{Adjustment, WriteTarget, effort};

/// `max_tokens` if neither the request nor the catalogue gives one. The API requires a limit, and every model
/// accepts this one.
pub(super) const MAX_TOKENS: u64 = 4096;

/// The smallest budget that the API accepts, in tokens.
const MIN_BUDGET: u64 = 1024;

/// Each effort, its word in the API, and the budget for models that take only budgets, in tokens.
const EFFORTS: &[(Effort, &str, u64)] = &[
    (Effort::Minimal, "low", MIN_BUDGET),
    (Effort::Low, "low", 2048),
    (Effort::Medium, "medium", 8192),
    (Effort::High, "high", 16_384),
    (Effort::Higher, "xhigh", 24_576),
    (Effort::Highest, "max", 32_768),
];

/// The default words, for models without words in the catalogue: low, medium, high and max.
const USUAL_WORDS: Efforts = Efforts(0b101_1100);

/// Budget for adaptive thinking on models that take only budgets, in tokens.
const ADAPTIVE_BUDGET: u64 = 8192;

/// The thinking parameters of a request, and the limit that goes with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ThinkingPlan {
    pub(super) thinking: Option<ThinkingParam>,
    pub(super) effort: Option<&'static str>,
    pub(super) max_tokens: u64,
    /// The name of the field that is not supported.
    pub(super) unsupported: Option<&'static str>,
    /// The effort, if the model does not know the client's.
    pub(super) adjusted: Option<Adjustment>,
}

impl ThinkingPlan {
    /// Models take budgets, or reason adaptively, by a word of effort; some do either.
    pub(super) fn new(thinking: Option<Thinking>, max_tokens: Option<u64>, target: WriteTarget<'_>) -> Self {
        let limit = max_tokens.or(target.max_output);
        let max_tokens = limit.unwrap_or(MAX_TOKENS);
        let takes = |form: &str| target.facts.has(Field::Thinking, form);
        let adaptive = takes("adaptive") == Some(true);
        let budgets = !adaptive || takes("budget") == Some(true);
        let never = ["effort", "adaptive", "budget"].iter().all(|form| takes(form) == Some(false));
        // Models that refuse budgets return their thinking only on request.
        let adaptive_thinking = ThinkingParam::Adaptive { display: (!budgets).then_some("summarized") };
        let with_thinking = |effort, unsupported| Self {
            thinking: Some(adaptive_thinking),
            effort,
            max_tokens,
            unsupported,
            adjusted: None,
        };
        match thinking {
            None | Some(Thinking::Off) => Self { max_tokens, ..Self::default() },
            Some(_) if never => Self { max_tokens, unsupported: Some(effort::FIELD), ..Self::default() },
            Some(Thinking::Free) if adaptive => with_thinking(None, None),
            Some(Thinking::Free) => Self::budget(ADAPTIVE_BUDGET, limit),
            Some(Thinking::Effort(effort)) if adaptive => {
                let (word, adjusted) = effort::nearest(effort, target.facts, USUAL_WORDS);
                Self { adjusted, ..with_thinking(Some(word), None) }
            }
            Some(Thinking::Effort(effort)) => Self::budget(budget_for_effort(effort), limit),
            Some(Thinking::Budget(budget)) if budgets => Self::budget(budget, limit),
            Some(Thinking::Budget(budget)) => {
                with_thinking(Some(effort_for_budget(budget)), Some("thinking.budget_tokens"))
            }
        }
    }

    /// The limit covers thinking and response and is never raised, because admission reserved its cost. A
    /// budget that leaves no room for the response is lowered to half of it. Without a limit there is room
    /// for both.
    fn budget(budget: u64, limit: Option<u64>) -> Self {
        let mut budget = budget.max(MIN_BUDGET);
        let max_tokens = limit.unwrap_or(MAX_TOKENS.saturating_add(budget));
        if budget >= max_tokens {
            budget = max_tokens / 2;
        }
        if budget < MIN_BUDGET {
            return Self { max_tokens, unsupported: Some("reasoning_effort"), ..Self::default() };
        }
        Self { thinking: Some(ThinkingParam::Enabled { budget_tokens: budget }), max_tokens, ..Self::default() }
    }

    /// No thinking, reported as unsupported.
    pub(super) fn without_thinking(max_tokens: Option<u64>, target: WriteTarget<'_>) -> Self {
        Self { unsupported: Some("reasoning_effort"), ..Self::new(None, max_tokens, target) }
    }
}

fn budget_for_effort(effort: Effort) -> u64 {
    EFFORTS.iter().find(|(known, ..)| *known == effort).map_or(ADAPTIVE_BUDGET, |(.., tokens)| *tokens)
}

/// The largest effort whose budget is not above `budget`.
fn effort_for_budget(budget: u64) -> &'static str {
    EFFORTS.iter().rev().find(|(.., tokens)| *tokens <= budget).map_or("low", |(_, word, _)| word)
}

/// The effort for a word of the API.
pub(super) fn effort_from_word(word: &str) -> Option<Effort> {
    EFFORTS.iter().rev().find(|(_, known, _)| *known == word).map(|(effort, ..)| *effort)
}

/// Whether a JSON number equals `number`.
pub(super) fn equals(raw: &Raw<'_>, number: f64) -> bool {
    raw.get().parse::<f64>().is_ok_and(|value| (value - number).abs() < f64::EPSILON)
}

/// Whether a JSON number exceeds `number`.
pub(super) fn exceeds(raw: &Raw<'_>, number: f64) -> bool {
    raw.get().parse::<f64>().is_ok_and(|value| value > number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn plan(model: &str, thinking: Thinking, max_tokens: Option<u64>, max_output: Option<u64>) -> ThinkingPlan {
        let facts = &catalogue::family(model);
        ThinkingPlan::new(Some(thinking), max_tokens, WriteTarget { model, max_output, limit_field: None, facts })
    }

    #[test]
    fn a_budget_leaves_room_for_the_response_and_raises_no_limit() {
        let old = "claude-haiku-4-5";
        let budget = |budget_tokens| Some(ThinkingParam::Enabled { budget_tokens });
        let lowered = plan(old, Thinking::Budget(5000), Some(4000), Some(64_000));
        assert_eq!((lowered.thinking, lowered.max_tokens), (budget(2000), 4000));
        let by_model = plan(old, Thinking::Effort(Effort::Highest), None, Some(8000));
        assert_eq!((by_model.thinking, by_model.max_tokens), (budget(4000), 8000));
        let free = plan(old, Thinking::Budget(5000), None, None);
        assert_eq!((free.thinking, free.max_tokens), (budget(5000), MAX_TOKENS + 5000));
        assert_eq!(plan(old, Thinking::Budget(3), None, Some(64_000)).thinking, budget(1024));
        let none = plan(old, Thinking::Free, Some(100), Some(500));
        assert_eq!((none.thinking, none.unsupported, none.max_tokens), (None, Some("reasoning_effort"), 100));
    }

    #[test]
    fn newer_models_get_an_effort() {
        let shown = ThinkingParam::Adaptive { display: Some("summarized") };
        let new = plan("claude-opus-4-7", Thinking::Effort(Effort::High), None, None);
        assert_eq!((new.thinking, new.effort, new.max_tokens), (Some(shown), Some("high"), MAX_TOKENS));
        let budget = plan("claude-opus-4-7", Thinking::Budget(10_000), None, None);
        assert_eq!((budget.effort, budget.unsupported), (Some("medium"), Some("thinking.budget_tokens")));
        assert_eq!(plan("claude-opus-4-6", Thinking::Off, None, None).thinking, None);
        let older = plan("claude-opus-4-6", Thinking::Free, None, None);
        assert_eq!(older.thinking, Some(ThinkingParam::Adaptive { display: None }));
        assert_eq!(effort_from_word("low"), Some(Effort::Low));
        for (model, word, adjusted) in
            [("claude-opus-4-7", "xhigh", None), ("claude-opus-4-6", "high", Some("reasoning_effort: xhigh -> high"))]
        {
            let higher = plan(model, Thinking::Effort(Effort::Higher), None, None);
            assert_eq!(higher.effort, Some(word), "{model}");
            assert_eq!(higher.adjusted.map(|adjusted| adjusted.to_string()).as_deref(), adjusted, "{model}");
        }
        let never = plan("claude-3-5-haiku-latest", Thinking::Free, None, None);
        assert_eq!((never.thinking, never.unsupported), (None, Some("reasoning_effort")));
        assert_eq!((effort_from_word("xhigh"), effort_from_word("max")), (Some(Effort::Higher), Some(Effort::Highest)));
    }
}
