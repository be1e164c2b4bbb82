//! How much a model of Anthropic's is to think, and what that forbids. It alone knows that models differ.
//! Source: <https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>, `…/adaptive-thinking`, `…/effort`.

use super::wire::request::Thinking as Wire;
use crate::canonical::{Effort, Raw, Thinking};
use crate::formats::WriteTarget;

/// The answer's limit where neither the request nor the catalogue knows one: the API demands some limit, and every model allows this.
pub(super) const MAX_TOKENS: u64 = 4096;

/// The API refuses a smaller budget.
const LEAST: u64 = 1024;

/// Each effort in a word of the API's, and as a budget for models that know only budgets.
const EFFORTS: &[(Effort, &str, u64)] = &[
    (Effort::Minimal, "low", LEAST),
    (Effort::Low, "low", 2048),
    (Effort::Medium, "medium", 8192),
    (Effort::High, "high", 16_384),
    (Effort::Higher, "xhigh", 24_576),
    (Effort::Highest, "max", 32_768),
];

/// The budget for a model that is to think as it finds fit, and knows only budgets.
const FREE: u64 = 8192;

/// The version in a model's name: `claude-opus-4-7-20260101` is 4.7, `claude-3-5-haiku-latest` 3.5. `None` if there is none.
pub(super) fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.rsplit_once("claude-")?;
    let words = name.split(['-', '.', '@', ':', '_']).skip_while(|word| number(word).is_none());
    let mut numbers = words.map_while(number);
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

/// A date is no version.
fn number(word: &str) -> Option<u32> {
    word.parse().ok().filter(|_| word.len() <= 2)
}

/// What is said of thinking, and the limit that it needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) thinking: Option<Wire>,
    pub(super) effort: Option<&'static str>,
    pub(super) max_tokens: u64,
    /// What of it could not be said.
    pub(super) dropped: Option<&'static str>,
}

impl Plan {
    /// Makes a plan. From 4.6 on, models think adaptively; from 4.7 on, they refuse budgets.
    pub(super) fn new(thinking: Option<Thinking>, max_tokens: Option<u64>, aim: WriteTarget<'_>) -> Self {
        let limit = max_tokens.or(aim.max_output);
        let max_tokens = limit.unwrap_or(MAX_TOKENS);
        let version = version(aim.model);
        let adaptive = version.is_some_and(|version| version >= (4, 6));
        let budgets = version.is_none_or(|version| version < (4, 7));
        // Those that refuse budgets also keep their thoughts to themselves, unless they are asked for them.
        let thoughts = Wire::Adaptive { display: (!budgets).then_some("summarized") };
        let think = |effort, dropped| Self { thinking: Some(thoughts), effort, max_tokens, dropped };
        match thinking {
            None | Some(Thinking::Off) => Self { max_tokens, ..Self::default() },
            Some(Thinking::Free) if adaptive => think(None, None),
            Some(Thinking::Free) => Self::budget(FREE, limit),
            Some(Thinking::Effort(effort)) if adaptive => think(Some(word(effort, version)), None),
            Some(Thinking::Effort(effort)) => Self::budget(tokens(effort), limit),
            Some(Thinking::Budget(budget)) if budgets => Self::budget(budget, limit),
            Some(Thinking::Budget(budget)) => think(Some(nearest(budget)), Some("thinking.budget_tokens")),
        }
    }

    /// The limit covers thoughts and answer, and is never raised: what a request may cost at most was promised by it. A budget that would
    /// leave no room for the answer is lowered to half of it. Without a limit, there is room for both.
    fn budget(budget: u64, limit: Option<u64>) -> Self {
        let mut budget = budget.max(LEAST);
        let max_tokens = limit.unwrap_or(MAX_TOKENS.saturating_add(budget));
        if budget >= max_tokens {
            budget = max_tokens / 2;
        }
        if budget < LEAST {
            return Self { max_tokens, dropped: Some("reasoning_effort"), ..Self::default() };
        }
        Self { thinking: Some(Wire::Enabled { budget_tokens: budget }), max_tokens, ..Self::default() }
    }

    /// Without thinking, and loud about it.
    pub(super) fn thoughtless(max_tokens: Option<u64>, aim: WriteTarget<'_>) -> Self {
        Self { dropped: Some("reasoning_effort"), ..Self::new(None, max_tokens, aim) }
    }
}

fn word(effort: Effort, model: Option<(u32, u32)>) -> &'static str {
    // Older ones go from `high` to `max` in one step.
    if effort == Effort::Higher && model.is_none_or(|version| version < (4, 7)) {
        return "max";
    }
    EFFORTS.iter().find(|(known, ..)| *known == effort).map_or("medium", |(_, word, _)| word)
}

fn tokens(effort: Effort) -> u64 {
    EFFORTS.iter().find(|(known, ..)| *known == effort).map_or(FREE, |(.., tokens)| *tokens)
}

/// The effort whose budget is no larger.
fn nearest(budget: u64) -> &'static str {
    EFFORTS.iter().rev().find(|(.., tokens)| *tokens <= budget).map_or("low", |(_, word, _)| word)
}

/// An effort in a word of the API's.
pub(super) fn effort(word: &str) -> Option<Effort> {
    EFFORTS.iter().rev().find(|(_, known, _)| *known == word).map(|(effort, ..)| *effort)
}

/// Whether a number is this one.
pub(super) fn is(raw: &Raw<'_>, number: f64) -> bool {
    raw.get().parse::<f64>().is_ok_and(|said| (said - number).abs() < f64::EPSILON)
}

/// Whether a number is above this one.
pub(super) fn is_above(raw: &Raw<'_>, number: f64) -> bool {
    raw.get().parse::<f64>().is_ok_and(|said| said > number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(model: &str, thinking: Thinking, max_tokens: Option<u64>, max_output: Option<u64>) -> Plan {
        Plan::new(Some(thinking), max_tokens, WriteTarget { model, max_output, limit_field: None })
    }

    #[test]
    fn a_models_name_tells_its_version() {
        for (name, expected) in [
            ("claude-opus-4-7", Some((4, 7))),
            ("anthropic/claude-sonnet-4.6", Some((4, 6))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-5-haiku-latest", Some((3, 5))),
            ("claude-haiku-4-5-20251001", Some((4, 5))),
            ("claude-instant", None),
            ("mock", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn a_budget_leaves_room_for_an_answer_and_raises_no_limit() {
        let old = "claude-haiku-4-5";
        let budget = |budget_tokens| Some(Wire::Enabled { budget_tokens });
        let lowered = plan(old, Thinking::Budget(5000), Some(4000), Some(64_000));
        assert_eq!((lowered.thinking, lowered.max_tokens), (budget(2000), 4000));
        let by_model = plan(old, Thinking::Effort(Effort::Highest), None, Some(8000));
        assert_eq!((by_model.thinking, by_model.max_tokens), (budget(4000), 8000));
        let free = plan(old, Thinking::Budget(5000), None, None);
        assert_eq!((free.thinking, free.max_tokens), (budget(5000), MAX_TOKENS + 5000));
        assert_eq!(plan(old, Thinking::Budget(3), None, Some(64_000)).thinking, budget(1024));
        let none = plan(old, Thinking::Free, Some(100), Some(500));
        assert_eq!((none.thinking, none.dropped, none.max_tokens), (None, Some("reasoning_effort"), 100));
    }

    #[test]
    fn newer_models_are_told_an_effort() {
        let shown = Wire::Adaptive { display: Some("summarized") };
        let new = plan("claude-opus-4-7", Thinking::Effort(Effort::High), None, None);
        assert_eq!((new.thinking, new.effort, new.max_tokens), (Some(shown), Some("high"), MAX_TOKENS));
        let budget = plan("claude-opus-4-7", Thinking::Budget(10_000), None, None);
        assert_eq!((budget.effort, budget.dropped), (Some("medium"), Some("thinking.budget_tokens")));
        assert_eq!(plan("claude-opus-4-6", Thinking::Off, None, None).thinking, None);
        let older = plan("claude-opus-4-6", Thinking::Free, None, None);
        assert_eq!(older.thinking, Some(Wire::Adaptive { display: None }));
        assert_eq!(effort("low"), Some(Effort::Low));
        for (model, word) in [("claude-opus-4-7", "xhigh"), ("claude-opus-4-6", "max")] {
            assert_eq!(plan(model, Thinking::Effort(Effort::Higher), None, None).effort, Some(word), "{model}");
        }
        assert_eq!((effort("xhigh"), effort("max")), (Some(Effort::Higher), Some(Effort::Highest)));
    }
}
