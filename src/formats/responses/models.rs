//! The list of models as Codex reads it. Source: `openai/codex`, `codex-rs/protocol`, `ModelInfo`. What the
//! gateway does not know has the value with which Codex does the least.

use serde::Serialize;

use crate::catalogue::field::Field;
use crate::formats::client_format::ModelEntry;

#[derive(Serialize)]
struct ModelList<'a> {
    models: Vec<ModelInfo<'a>>,
}

#[derive(Serialize)]
struct ModelInfo<'a> {
    slug: &'a str,
    display_name: &'a str,
    description: Option<&'a str>,
    default_reasoning_level: Option<&'static str>,
    supported_reasoning_levels: Vec<ReasoningLevel>,
    shell_type: &'static str,
    visibility: &'static str,
    supported_in_api: bool,
    priority: i32,
    availability_nux: Option<()>,
    upgrade: Option<()>,
    base_instructions: &'static str,
    supports_reasoning_summaries: bool,
    support_verbosity: bool,
    default_verbosity: Option<&'static str>,
    apply_patch_tool_type: &'static str,
    truncation_policy: TruncationPolicy,
    supports_parallel_tool_calls: bool,
    context_window: Option<u64>,
    experimental_supported_tools: [&'static str; 0],
    input_modalities: Vec<&'static str>,
}

#[derive(Serialize)]
struct ReasoningLevel {
    effort: &'static str,
    description: &'static str,
}

/// How much of a tool's output Codex keeps.
#[derive(Serialize)]
struct TruncationPolicy {
    mode: &'static str,
    limit: u64,
}

/// Words of effort that the list may have.
const LEVELS: &[&str] = &["low", "medium", "high", "xhigh"];

/// What Codex tells a model that brings no instructions of its own.
const INSTRUCTIONS: &str = "You are a coding agent in the user's terminal. Work on the task with the tools you have \
    until it is done; ask only where a decision is the user's. Read files and their AGENTS.md before you change them: \
    a file of that name binds below its folder, deeper ones first, and the user's words come before it. Change files \
    with apply_patch, find the cause of a fault, and keep to the style of the code. Change nothing that was not asked \
    for, undo no changes that are not yours, and commit only if asked. Run the tests that exist, and say what you \
    could not check. Before a group of commands say in a sentence what you are about to do; end with a short report \
    of what you changed, with paths.";

impl<'a> From<&'a ModelEntry<'a>> for ModelInfo<'a> {
    fn from(model: &'a ModelEntry<'a>) -> Self {
        let facts = &model.facts;
        let levels = LEVELS.iter().filter(|word| facts.takes_effort(word) == Some(true));
        let levels: Vec<ReasoningLevel> = levels.map(|effort| ReasoningLevel { effort, description: "" }).collect();
        let reasons = !levels.is_empty();
        let mut input_modalities = vec!["text"];
        input_modalities.extend((facts.takes("image") == Some(true)).then_some("image"));
        Self {
            slug: &model.id,
            display_name: &model.id,
            description: model.unavailable_reason.as_deref(),
            default_reasoning_level: if reasons { Some("medium") } else { None },
            supported_reasoning_levels: levels,
            shell_type: "shell_command",
            visibility: if model.available == Some(false) { "hide" } else { "list" },
            supported_in_api: true,
            priority: 0,
            availability_nux: None,
            upgrade: None,
            base_instructions: INSTRUCTIONS,
            supports_reasoning_summaries: reasons,
            support_verbosity: false,
            default_verbosity: None,
            // A custom tool: the gateway makes a function of it where a provider has none.
            apply_patch_tool_type: "freeform",
            truncation_policy: TruncationPolicy { mode: "bytes", limit: 10_000 },
            supports_parallel_tool_calls: facts.flag(Field::Tools) == Some(true),
            context_window: facts.facts.count(Field::Context),
            experimental_supported_tools: [],
            input_modalities,
        }
    }
}

/// Writes the list as a response body.
pub(super) fn write_list(models: &[ModelEntry<'_>]) -> Vec<u8> {
    serde_json::to_vec(&ModelList { models: models.iter().map(ModelInfo::from).collect() }).unwrap_or_default()
}

/// Writes one model as a response body.
pub(super) fn write_one(model: &ModelEntry<'_>) -> Vec<u8> {
    serde_json::to_vec(&ModelInfo::from(model)).unwrap_or_default()
}
