//! What a response repeats of its request: settings, and the names of tools that were sent otherwise.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::super::wire::fields::{Fields, each};
use super::tools::{NamedTool, read_tools};
use crate::canonical::{Raw, UniqueNames};
use crate::wire::dense::is_dense;
use crate::wire::json::Document;

/// What a response repeats, as JSON between the reading of a request and the writing of its response.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Repeated {
    /// Members of the response, each as JSON.
    pub(crate) settings: String,
    pub(crate) tools: Vec<NamedTool>,
}

impl Default for Repeated {
    /// What the response to a request without settings repeats.
    fn default() -> Self {
        Self { settings: settings(&Document::empty()), tools: Vec::new() }
    }
}

/// Each setting that a response has, and its default.
const SETTINGS: &[(&str, &str)] = &[
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The items that declare tools.
const TOOL_ITEMS: [&str; 2] = ["tool_search_output", "additional_tools"];

/// Reads what the response repeats. `None` for a request that is refused later.
pub(crate) fn repeat(document: &Document<'_>) -> Option<Rc<str>> {
    if is_dense(document.bytes()) {
        return None;
    }
    let mut repeated = Repeated { settings: settings(document), tools: Vec::new() };
    let mut ignored = UniqueNames::default();
    let tools = &mut repeated.tools;
    let mut take = |declared: super::tools::DeclaredTool<'_>| tools.extend(declared.named);
    if let Some(raw) = document.value("tools").filter(|raw| *raw != "null") {
        read_tools(raw, &"tools", &mut ignored, &mut take).ok()?;
    }
    // Tools that a search found, or that the client added in an item: Codex declares all of its tools so.
    let has_tools = |raw: &&str| TOOL_ITEMS.iter().any(|kind| raw.contains(kind));
    if let Some(input) = document.value("input").filter(has_tools) {
        each(input, &"input", |_, mut fields: Fields<'_>| {
            let is_tools = fields.word("type").is_some_and(|kind| TOOL_ITEMS.contains(&kind.as_ref()));
            match fields.take("tools").filter(|_| is_tools) {
                Some(raw) => read_tools(raw.get(), &"tools", &mut ignored, &mut take),
                None => Ok(()),
            }
        })
        .ok()?;
    }
    serde_json::to_string(&repeated).ok().map(Rc::from)
}

/// The members of a response that repeat the request's settings, but for `store`, which the gateway decides.
fn settings(document: &Document<'_>) -> String {
    let mut members = String::new();
    for (name, default) in SETTINGS {
        let given = document.value(name).filter(|json| *json != "null");
        let json = given.filter(|json| Raw::parse(json).is_some()).unwrap_or(default);
        members.push_str(&format!("\"{name}\":{json},"));
    }
    members
}
