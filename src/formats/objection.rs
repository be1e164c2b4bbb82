//! Reads which field of a request a provider refuses, and what it takes instead, from the message of its
//! error. Only fields that the catalogue describes are recognized.
//! Sources: error responses that users have reported; each is cited at its case in the tests.

use crate::catalogue::field::{EFFORTS, Field, Fit, Value};

/// So many bytes of a message before and after a field's name are read.
const BEFORE: usize = 80;
const AFTER: usize = 240;

/// So many bytes of a message are searched for a field's name.
const SEARCHED: usize = 2_000;

/// The most values of a list that are read.
const MAX_WORDS: usize = 12;

/// A provider's refusal of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The field, as the message names it.
    pub name: &'static FieldName,
    /// What the provider takes.
    pub demand: Demand,
}

/// What a provider takes in place of what it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A request without the field.
    Absent,
    /// A request without the field, beside tools.
    AbsentWithTools,
    /// A request without one of two fields that exclude each other.
    Alone,
    /// The field, which is missing.
    Present,
    /// One of these values, in lower case.
    OneOf(Vec<String>),
    /// Another value than this one of [`EFFORTS`].
    Other(&'static str),
    /// At most so many characters or items.
    AtMost(u64),
}

/// A name by which messages refer to a field.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldName {
    /// The name, in lower case.
    pub text: &'static str,
    /// The field of the catalogue that describes it.
    pub field: Field,
    /// The value of that field for a provider that does not take it.
    pub absent: Value,
    /// Whether it is an English word as well, which counts only where the message marks it as a name.
    is_word: bool,
}

const fn name(text: &'static str, field: Field) -> FieldName {
    FieldName { text, field, absent: Value::Fit(Fit::Drop), is_word: false }
}

const fn word(text: &'static str, field: Field) -> FieldName {
    FieldName { is_word: true, ..name(text, field) }
}

const fn with(text: &'static str, field: Field, absent: Value) -> FieldName {
    FieldName { absent, ..name(text, field) }
}

/// Forms of reasoning, by their positions in the words of [`Field::Thinking`]: effort, budget, adaptive.
const BUDGET: Value = Value::Words(0b010);
const EFFORT: Value = Value::Words(0b001);
const ADAPTIVE: Value = Value::Words(0b100);
const NEVER: Value = Value::Words(0);

/// Of two names at one place, the longer stands first.
const NAMES: &[FieldName] = &[
    with("max_completion_tokens", Field::LimitFields, Value::Names(&["max_tokens"])),
    with("max_tokens", Field::LimitFields, Value::Names(&["max_completion_tokens"])),
    name("stream_options", Field::StreamOptions),
    name("reasoning_effort", Field::ReasoningEffort),
    name("reasoning.effort", Field::ReasoningEffort),
    name("reasoningeffort", Field::ReasoningEffort),
    name("output_config.effort", Field::ReasoningEffort),
    name("effort parameter", Field::ReasoningEffort),
    with("thinking_level", Field::Thinking, BUDGET),
    with("thinkinglevel", Field::Thinking, BUDGET),
    with("thinking level", Field::Thinking, BUDGET),
    with("thinking_budget", Field::Thinking, EFFORT),
    with("thinkingbudget", Field::Thinking, EFFORT),
    with("thinking budget", Field::Thinking, EFFORT),
    with("thinking_config", Field::Thinking, NEVER),
    with("thinkingconfig", Field::Thinking, NEVER),
    with("thinking.type.enabled", Field::Thinking, ADAPTIVE),
    with("adaptive thinking", Field::Thinking, BUDGET),
    name("presence_penalty", Field::PresencePenalty),
    name("presencepenalty", Field::PresencePenalty),
    name("frequency_penalty", Field::FrequencyPenalty),
    name("frequencypenalty", Field::FrequencyPenalty),
    name("metadata.user_id", Field::User),
    name("reasoning_content", Field::ReasoningContent),
    name("stop_sequences", Field::Stop),
    name("stopsequences", Field::Stop),
    name("top_logprobs", Field::Logprobs),
    name("logprobs", Field::Logprobs),
    word("temperature", Field::Temperature),
    name("top_p", Field::TopP),
    name("top_k", Field::TopK),
    name("function.strict", Field::StrictTools),
    word("strict", Field::StrictTools),
    word("stop", Field::Stop),
    word("user", Field::User),
];

/// The phrase for reasoning that is missing.
const PASS_BACK: &str = "must be passed back";

/// The phrase for two fields that exclude each other.
const NOT_BOTH: &str = "cannot both be specified";

/// Phrases before the most characters or items.
const AT_MOST: &[&str] = &["maximum length ", "at most "];

/// Phrases before the most tokens of a response.
const MOST_TOKENS: &[&str] = &["at most ", "less than or equal to ", "must not exceed ", "range of max_tokens is [1, "];

/// The phrase after the most tokens of a response, which `> ` stands before.
const IS_THE_MOST: &str = ", which is the maximum";

/// Phrases before a list of values.
const LIST_OPENERS: &[&str] = &[
    "supported values are",
    "allowed values",
    "valid values are",
    "must be one of",
    "expected one of",
    "input should be",
    "options are",
];

/// Phrases for a field whose name is not taken.
const ABSENT_NAME: &[&str] = &[
    "unsupported parameter",
    "unknown parameter",
    "unrecognized request argument",
    "unexpected keyword argument",
    "unknown field",
    "unknown name",
    "extra inputs are not permitted",
    "additional properties are not allowed",
];

/// Phrases for a field that is not taken, or whose value is not.
const ABSENT: &[&str] = &[
    "is deprecated for this model",
    "not supported",
    "is unsupported",
    "does not support",
    "only the default",
    "may only be set to 1",
];

/// The objection of a provider's error message. `param` is the field that the error names beside it.
pub fn read(message: &str, param: Option<&str>) -> Option<Objection> {
    let lower = message.get(..boundary(message, SEARCHED)).unwrap_or_default().to_ascii_lowercase();
    let first = NAMES.iter().filter_map(|name| Some((find(&lower, name)?, name))).min_by_key(|(at, _)| *at);
    let (at, name) = match first {
        Some(found) => found,
        None => (0, NAMES.iter().find(|name| param.is_some_and(|param| param.eq_ignore_ascii_case(name.text)))?),
    };
    let start = boundary(&lower, at.saturating_sub(BEFORE));
    let end = boundary(&lower, at.saturating_add(name.text.len()).saturating_add(AFTER));
    let (before, after) = (lower.get(start..at)?, lower.get(at..end)?);
    demand(before, after, name).map(|demand| Objection { name, demand })
}

/// The end of the character at a place, or the end of the text.
fn boundary(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Where a message names a field.
fn find(message: &str, name: &FieldName) -> Option<usize> {
    let is_part = |character: Option<char>| character.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    message.match_indices(name.text).map(|(at, _)| at).find(|at| {
        let (before, rest) = message.split_at(*at);
        let after = rest.get(name.text.len()..).unwrap_or_default();
        let is_whole = !is_part(before.chars().next_back()) && !is_part(after.chars().next());
        is_whole && (!name.is_word || is_marked(before, after))
    })
}

/// Whether an English word is marked as the name of a field: by quotes, a path or a colon.
fn is_marked(before: &str, after: &str) -> bool {
    let quoted = before.ends_with(['\'', '"', '`']) && after.starts_with(['\'', '"', '`']);
    let path = before.ends_with('.') && after.starts_with(": ")
        || before.ends_with("parameter: ")
        || before.ends_with("argument supplied: ");
    quoted || path || before.is_empty() && (after.starts_with(": ") || after.starts_with(" is "))
}

/// Whether a text has a phrase by which refusals are read.
pub fn has_phrase(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let phrases = [PASS_BACK, NOT_BOTH].into_iter();
    let lists = [AT_MOST, LIST_OPENERS, ABSENT_NAME, ABSENT].into_iter().flatten().copied();
    phrases.chain(lists).any(|phrase| lower.contains(phrase))
}

/// What a message demands, by the text around the field's name.
fn demand(before: &str, after: &str, name: &FieldName) -> Option<Demand> {
    let has = |phrase: &str| before.contains(phrase) || after.contains(phrase);
    if after.contains(PASS_BACK) {
        return Some(Demand::Present);
    }
    if has(NOT_BOTH) {
        return Some(Demand::Alone);
    }
    if before.ends_with("tools with ") && has("not supported") {
        return Some(Demand::AbsentWithTools);
    }
    if name.field == Field::LimitFields
        && let Some(most) = most_tokens(after)
    {
        return Some(Demand::AtMost(most));
    }
    if let Some(most) = AT_MOST.iter().find_map(|phrase| number(after.split_once(phrase)?.1)) {
        return Some(Demand::AtMost(most));
    }
    if let Some(words) = LIST_OPENERS.iter().find_map(|opener| words(after.split_once(opener)?.1)) {
        return Some(Demand::OneOf(words));
    }
    if let Some(word) = refused_word(after.get(name.text.len()..).unwrap_or_default()) {
        return Some(Demand::Other(word));
    }
    // A limit is replaced by another name, so the message has to refuse the name, and not only its value.
    let is_absent = ABSENT_NAME.iter().any(|phrase| has(phrase))
        || name.field != Field::LimitFields && ABSENT.iter().any(|phrase| has(phrase));
    is_absent.then_some(Demand::Absent)
}

/// The most tokens of a response that a message names.
fn most_tokens(after: &str) -> Option<u64> {
    let named = |phrase: &&str| number(after.split_once(*phrase)?.1.trim_start_matches(['`', '\'', '"']));
    MOST_TOKENS.iter().find_map(|phrase| named(&phrase)).or_else(|| {
        let (before, _) = after.split_once(IS_THE_MOST)?;
        number(before.rsplit_once("> ")?.1)
    })
}

fn number(text: &str) -> Option<u64> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|number| *number > 0)
}

/// The values of a list: `'a', 'b' or 'c'`, `[a, b]`. `None` if there are none.
fn words(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim_start_matches([' ', ':', '[']);
    let mut words = Vec::new();
    while words.len() < MAX_WORDS {
        let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"' | '`'));
        let item = quote.and_then(|quote| rest.strip_prefix(quote)).unwrap_or(rest);
        let end = item.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(item.len());
        let (word, after) = item.split_at(end);
        let closed = quote.map_or(Some(after), |quote| after.strip_prefix(quote));
        let Some(after) = closed else { break };
        if word.is_empty() {
            break;
        }
        words.push(word.to_owned());
        let separators = [", and ", ", or ", " and ", " or ", ", ", ","];
        let Some(next) = separators.iter().find_map(|separator| after.strip_prefix(separator)) else { break };
        rest = next;
    }
    (!words.is_empty()).then_some(words)
}

/// The word of effort that is refused: `thinking_level MEDIUM is not supported`, `does not support 'none'`.
fn refused_word(after: &str) -> Option<&'static str> {
    let known = |text: &str| {
        let word = text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| !word.is_empty())?;
        EFFORTS.iter().find(|effort| **effort == word).copied()
    };
    match after.split_once("does not support ") {
        Some((_, value)) => known(value),
        None => known(after.get(..after.find("not supported")?)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field's name and the demand of a message.
    fn objection(message: &str) -> Option<(&'static str, Demand)> {
        read(message, None).map(|objection| (objection.name.text, objection.demand))
    }

    fn one_of(words: &str) -> Demand {
        Demand::OneOf(words.split(' ').map(str::to_owned).collect())
    }

    /// A message, the name of the field that it refuses, and what it demands.
    type Case = (&'static str, &'static str, Demand);

    fn check(cases: &[Case]) {
        for (message, name, demand) in cases {
            assert_eq!(objection(message), Some((*name, demand.clone())), "{message}");
        }
    }

    #[test]
    fn of_openai() {
        check(&[
            // https://github.com/musistudio/claude-code-router/issues/254
            (
                "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.",
                "max_tokens",
                Demand::AtMost(16_384),
            ),
            // Anthropic, DeepSeek and Groq, in their own words.
            (
                "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5",
                "max_tokens",
                Demand::AtMost(64_000),
            ),
            (
                "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
                "max_tokens",
                Demand::AtMost(8_192),
            ),
            (
                "`max_completion_tokens` must be less than or equal to `32768`, the maximum value for `max_completion_tokens`",
                "max_completion_tokens",
                Demand::AtMost(32_768),
            ),
            // https://github.com/microsoft/vscode-copilot-release/issues/8065
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                "max_tokens",
                Demand::Absent,
            ),
            // https://github.com/Kilo-Org/cloud/pull/3807
            (
                "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'minimal', 'low', 'medium', and 'high'.",
                "reasoning_effort",
                one_of("minimal low medium high"),
            ),
            // https://github.com/BeehiveInnovations/pal-mcp-server/issues/78
            (
                "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
                "temperature",
                Demand::Absent,
            ),
            // https://github.com/QuantumNous/new-api/issues/418
            ("Unknown parameter: 'stream_options'. (request id: 2024)", "stream_options", Demand::Absent),
            // https://github.com/huggingface/smolagents/issues/1893
            ("Unsupported parameter: 'stop' is not supported with this model.", "stop", Demand::Absent),
            // https://github.com/looplj/axonhub/issues/1669
            (
                "Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length 186 instead.",
                "user",
                Demand::AtMost(64),
            ),
            // https://github.com/GoogleChromeLabs/webmcp-tools/issues/417
            (
                "Function tools with reasoning_effort are not supported for gpt-5.6-terra in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
                "reasoning_effort",
                Demand::AbsentWithTools,
            ),
        ]);
    }

    #[test]
    fn of_deepseek() {
        check(&[
            // https://github.com/decolua/9router/issues/773
            (
                "The `reasoning_content` in the thinking mode must be passed back to the API.",
                "reasoning_content",
                Demand::Present,
            ),
            // https://github.com/bytedance/deer-flow/issues/4514
            (
                "Failed to deserialize the JSON body into the target type: reasoning_effort: unknown variant `minimal`, expected one of `high`, `low`, `medium`, `max`, `xhigh` at line 1 column 97",
                "reasoning_effort",
                one_of("high low medium max xhigh"),
            ),
        ]);
    }

    #[test]
    fn of_mistral() {
        check(&[
            // https://github.com/editor-code-assistant/eca/issues/231, as the gateway words a list of details
            ("body.max_completion_tokens: Extra inputs are not permitted", "max_completion_tokens", Demand::Absent),
            // https://github.com/charmbracelet/crush/issues/1590
            (
                "body.messages.31.assistant.reasoning_content: Extra inputs are not permitted",
                "reasoning_content",
                Demand::Absent,
            ),
            // https://github.com/mistralai/platform-docs-public/issues/7
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","frequency_penalty"],"msg":"Extra inputs are not permitted","input":0.0}]}"#,
                "frequency_penalty",
                Demand::Absent,
            ),
        ]);
    }

    #[test]
    fn of_groq() {
        check(&[
            // https://github.com/iamsrikanthnani/pluely/pull/219
            ("`reasoning_effort` must be one of `none` or `default`", "reasoning_effort", one_of("none default")),
            // https://github.com/earendil-works/pi/issues/3764
            (
                "'reasoning_effort' : value is not one of the allowed values ['none', 'default', 'low', 'medium', 'high']",
                "reasoning_effort",
                one_of("none default low medium high"),
            ),
            // https://github.com/tashfeenahmed/freellmapi/issues/1070
            (
                "'messages.2' : for 'role:assistant' the following must be satisfied[('messages.2' : property 'reasoning_content' is unsupported)]",
                "reasoning_content",
                Demand::Absent,
            ),
        ]);
    }

    #[test]
    fn of_anthropic() {
        check(&[
            // https://github.com/OpenHands/software-agent-sdk/pull/3427
            (
                r#""thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior."#,
                "thinking.type.enabled",
                Demand::Absent,
            ),
            // https://github.com/elizaOS/eliza/pull/16175
            ("This model does not support the effort parameter.", "effort parameter", Demand::Absent),
            ("adaptive thinking is not supported on this model", "adaptive thinking", Demand::Absent),
            // https://github.com/damianvtran/local-operator/pull/233
            (
                "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
                "temperature",
                Demand::Absent,
            ),
            // https://github.com/openclaw/openclaw/pull/76871
            ("temperature is deprecated for this model", "temperature", Demand::Absent),
            // https://github.com/cloud-apim/otoroshi-llm-extension/issues/140
            (
                "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
                "temperature",
                Demand::Alone,
            ),
        ]);
    }

    #[test]
    fn of_gemini() {
        check(&[
            // https://github.com/RooCodeInc/Roo-Code/issues/10700
            ("Thinking level is not supported for this model.", "thinking level", Demand::Absent),
            // https://github.com/heyhuynhgiabuu/proxypal/issues/170
            ("Thinking level MEDIUM is not supported for this model.", "thinking level", Demand::Other("medium")),
            // https://github.com/jenslys/opencode-gemini-auth/issues/14
            (
                "Unable to submit request because thinking_level MEDIUM is not supported by this model. Learn more: https://cloud.google.com/",
                "thinking_level",
                Demand::Other("medium"),
            ),
            // https://github.com/Veloera/Veloera/issues/41
            ("thinking_config is not supported", "thinking_config", Demand::Absent),
            // How the API words unknown fields; not reported of this field.
            (
                "Invalid JSON payload received. Unknown name \"thinkingLevel\" at 'generation_config.thinking_config': Cannot find field.",
                "thinkinglevel",
                Demand::Absent,
            ),
        ]);
    }

    #[test]
    fn of_xai() {
        check(&[
            // https://github.com/BerriAI/litellm/pull/16265
            ("Model grok-4-latest does not support parameter reasoningEffort.", "reasoningeffort", Demand::Absent),
        ]);
    }

    #[test]
    fn of_servers_of_open_models() {
        check(&[
            // https://github.com/router-for-me/CLIProxyAPI/issues/1572
            (
                r#"1 validation error:
  {'type': 'literal_error', 'loc': ('body', 'reasoning_effort'), 'msg': "Input should be 'low', 'medium' or 'high'", 'input': 'xhigh'}"#,
                "reasoning_effort",
                one_of("low medium high"),
            ),
            // https://github.com/Kilo-Org/kilocode/issues/10375
            (
                "messages.2.assistant.reasoning_content: property 'messages.2.assistant.reasoning_content' is unsupported",
                "reasoning_content",
                Demand::Absent,
            ),
            // https://github.com/microsoft/semantic-kernel/issues/10510
            ("Validation error at #/stream_options: Extra inputs are not permitted", "stream_options", Demand::Absent),
        ]);
    }

    #[test]
    fn other_refusals_are_no_objections() {
        for message in [
            "",
            "Incorrect API key provided.",
            "This model's maximum context length is 128000 tokens.",
            "messages: roles must alternate between \"user\" and \"assistant\", but found multiple \"user\" roles in a row",
            "temperature: range: 0..1",
            "The user is not supported",
            "the stop was not supported by é",
            "Invalid value for 'content': expected a string",
        ] {
            assert_eq!(objection(message), None, "{message}");
        }
        assert!(read("Unknown parameter.", Some("stream_options")).is_some_and(|o| o.demand == Demand::Absent));
        assert_eq!(read("Unknown parameter.", Some("messages")), None);
    }
}
