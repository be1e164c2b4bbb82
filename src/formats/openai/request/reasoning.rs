//! Reads how much a client wants the model to reason: by `reasoning_effort`, or by the fields of other APIs,
//! which clients of this format send as well.

use std::borrow::Cow;

use super::super::wire::{object, text, unquote};
use crate::canonical::{Effort, Thinking, UniqueNames};
use crate::error::{Error, Result};
use crate::wire::json::parse_integer;

object! {
    /// `thinking` of Anthropic, DeepSeek, Moonshot and Z.ai.
    ThinkingFields { kind: "type", budget: "budget_tokens" }
}

object! {
    /// `reasoning` of OpenRouter and of OpenAI's Responses.
    /// Source: <https://openrouter.ai/docs/guides/best-practices/reasoning-tokens>.
    ReasoningObjectFields { effort: "effort", budget: "max_tokens", enabled: "enabled" }
}

/// What a request says about reasoning, in each spelling.
#[derive(Default)]
pub(crate) struct ReasoningFields {
    effort: Option<Thinking>,
    thinking: Option<Thinking>,
    reasoning: Option<Thinking>,
    /// `thinking_budget` (Alibaba).
    budget: Option<Thinking>,
    /// `enable_thinking` (Alibaba).
    switch: Option<Thinking>,
}

impl ReasoningFields {
    /// Reads a field; `false` if it is another one, or has a value without a known meaning. Members of
    /// objects that are not known are named in `unmapped`.
    ///
    /// # Errors
    /// 400 if `reasoning_effort` is not a known word.
    pub(crate) fn read(&mut self, key: &str, json: &str, unmapped: &mut UniqueNames<'_>) -> Result<bool> {
        let (place, read) = match key {
            "reasoning_effort" => (&mut self.effort, Some(reasoning_effort(json)?)),
            "thinking" => (&mut self.thinking, thinking(json, unmapped)),
            "reasoning" => (&mut self.reasoning, reasoning(json, unmapped)),
            "thinking_budget" => (&mut self.budget, parse_integer(json).map(Thinking::Budget)),
            "enable_thinking" => (&mut self.switch, json.parse().ok().map(switch)),
            _ => return Ok(false),
        };
        *place = read;
        Ok(read.is_some())
    }

    /// What the fields mean together: no reasoning if one of them says so, else the first amount, else as
    /// much as the model sees fit.
    pub(crate) fn thinking(self) -> Option<Thinking> {
        let all = [self.effort, self.thinking, self.reasoning, self.budget, self.switch];
        let mut all = all.into_iter().flatten();
        let first = all.next()?;
        let prefer = |best, next| match (best, next) {
            (Thinking::Off, _) | (_, Thinking::Off) => Thinking::Off,
            (Thinking::Free, amount) => amount,
            (best, _) => best,
        };
        Some(all.fold(first, prefer))
    }
}

fn reasoning_effort(json: &str) -> Result<Thinking> {
    let word = unquote(json).unwrap_or(Cow::Borrowed(json));
    word_of_effort(&word).ok_or_else(|| {
        let message = "`reasoning_effort` must be `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.";
        Error::caller(400, "invalid_value", message).at("reasoning_effort")
    })
}

fn thinking(json: &str, unmapped: &mut UniqueNames<'_>) -> Option<Thinking> {
    let fields: ThinkingFields<'_> = serde_json::from_str(json).ok()?;
    let budget = fields.budget.map(|raw| parse_integer(raw.get()).map(Thinking::Budget));
    let read = match (fields.kind.map(text), budget) {
        (Some(Some(kind)), _) if kind == "disabled" => Thinking::Off,
        (Some(Some(kind)), None) if matches!(kind.as_ref(), "enabled" | "adaptive" | "auto") => Thinking::Free,
        (Some(Some(kind)), Some(budget)) if kind == "enabled" => budget?,
        (None, Some(budget)) => budget?,
        _ => return None,
    };
    note_others("thinking", &fields.others, unmapped);
    Some(read)
}

fn reasoning(json: &str, unmapped: &mut UniqueNames<'_>) -> Option<Thinking> {
    let fields: ReasoningObjectFields<'_> = serde_json::from_str(json).ok()?;
    let enabled = fields.enabled.and_then(|raw| raw.get().parse().ok()).map(switch);
    let read = match (enabled, fields.budget, fields.effort) {
        (Some(Thinking::Off), ..) => Thinking::Off,
        (_, Some(budget), _) => Thinking::Budget(parse_integer(budget.get())?),
        (_, None, Some(effort)) => word_of_effort(&text(effort)?)?,
        (enabled, None, None) => enabled?,
    };
    note_others("reasoning", &fields.others, unmapped);
    Some(read)
}

fn switch(is_on: bool) -> Thinking {
    if is_on { Thinking::Free } else { Thinking::Off }
}

fn note_others(object: &str, names: &[Cow<'_, str>], unmapped: &mut UniqueNames<'_>) {
    names.iter().for_each(|name| unmapped.note(format!("{object}.{name}")));
}

fn word_of_effort(word: &str) -> Option<Thinking> {
    Some(Thinking::Effort(match word {
        "none" => return Some(Thinking::Off),
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::Higher,
        "max" => Effort::Highest,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::wire::json::Document;

    /// What a request's fields mean, and the names of those without a meaning.
    fn read_fields(fields: &str) -> (Option<Thinking>, Vec<String>) {
        let body = format!(r#"{{"messages":[],{fields}}}"#);
        let document = Document::read(body.as_bytes()).unwrap();
        let request = read(&document).unwrap();
        (request.thinking, request.unmapped_fields.iter().map(|name| name.clone().into_owned()).collect())
    }

    #[test]
    fn reasoning_is_asked_for_in_several_spellings() {
        let effort = Thinking::Effort;
        for (fields, thinking) in [
            (r#""thinking":{"type":"enabled","budget_tokens":2048}"#, Thinking::Budget(2048)),
            (r#""thinking":{"budget_tokens":2048.0}"#, Thinking::Budget(2048)),
            (r#""thinking":{"type":"enabled"}"#, Thinking::Free),
            (r#""thinking":{"type":"adaptive"}"#, Thinking::Free),
            (r#""thinking":{"type":"disabled"}"#, Thinking::Off),
            (r#""reasoning":{"effort":"high"}"#, effort(Effort::High)),
            (r#""reasoning":{"effort":"max"}"#, effort(Effort::Highest)),
            (r#""reasoning":{"effort":"none"}"#, Thinking::Off),
            (r#""reasoning":{"max_tokens":3000}"#, Thinking::Budget(3000)),
            (r#""reasoning":{"enabled":true}"#, Thinking::Free),
            (r#""reasoning":{"enabled":false,"effort":"high"}"#, Thinking::Off),
            (r#""enable_thinking":true,"thinking_budget":500"#, Thinking::Budget(500)),
            (r#""enable_thinking":false,"thinking_budget":500"#, Thinking::Off),
            (r#""enable_thinking":true"#, Thinking::Free),
            (r#""reasoning_effort":"max""#, effort(Effort::Highest)),
            (r#""reasoning_effort":"low","reasoning":{"effort":"high"}"#, effort(Effort::Low)),
            (r#""thinking":{"type":"enabled"},"reasoning_effort":"max""#, effort(Effort::Highest)),
            (r#""thinking":{"type":"disabled"},"reasoning_effort":"high""#, Thinking::Off),
        ] {
            assert_eq!(read_fields(fields), (Some(thinking), vec![]), "{fields}");
        }
    }

    #[test]
    fn what_has_no_known_meaning_is_named() {
        for (fields, thinking, unmapped) in [
            (r#""thinking":{"type":"sometimes"}"#, None, vec!["thinking"]),
            (r#""thinking":{"type":"enabled","budget_tokens":"many"}"#, None, vec!["thinking"]),
            (r#""thinking":true"#, None, vec!["thinking"]),
            (r#""reasoning":{"effort":"utmost"}"#, None, vec!["reasoning"]),
            (r#""reasoning":{"exclude":true}"#, None, vec!["reasoning"]),
            (r#""reasoning":"high""#, None, vec!["reasoning"]),
            (
                r#""reasoning":{"effort":"low","exclude":true,"summary":"auto"}"#,
                Some(Thinking::Effort(Effort::Low)),
                vec!["reasoning.exclude", "reasoning.summary"],
            ),
            (
                r#""thinking":{"type":"enabled","clear_thinking":true}"#,
                Some(Thinking::Free),
                vec!["thinking.clear_thinking"],
            ),
            (r#""thinking_budget":"x""#, None, vec!["thinking_budget"]),
            (r#""thinking":null,"reasoning":{},"enable_thinking":null"#, None, vec![]),
        ] {
            let unmapped: Vec<String> = unmapped.into_iter().map(str::to_owned).collect();
            assert_eq!(read_fields(fields), (thinking, unmapped), "{fields}");
        }
    }
}
