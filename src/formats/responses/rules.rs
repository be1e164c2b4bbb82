//! How much a request can take. Its limit has a name of its own, and its prompt consists of items.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::is_sealed_here;
use crate::config::{Model, Needs};
use crate::formats::bounds::{
    COMMON, Demands, Edit, FieldNames, LimitNames, RequestBounds, RequestRules, apply_edit, asks_for_thinking,
    may_limit, needs_of_part, requested_tier,
};
use crate::formats::prompt_wire::{Part, each, object};
use crate::formats::ties::{TieField, TieKind, TieRules};
use crate::provider::params;
use crate::wire::json::{Document, is_empty_value, parse_integer};

/// The limit of a response.
const LIMIT: &str = "max_output_tokens";

const LIMIT_NAMES: LimitNames<'_> = LimitNames::Listed(&[LIMIT]);

/// Tools that the client runs, or that hold such tools.
const CLIENT_TOOLS: &[&str] =
    &["function", "custom", "namespace", "tool_search", "local_shell", "shell", "apply_patch", "computer_use_preview"];

/// The item in which a client declares tools beside those of `tools`.
const ADDED_TOOLS: &str = "additional_tools";

/// Tools of the provider that change nothing.
const READING_TOOLS: &[&str] = &["web_search", "file_search"];

/// What a response includes for its reasoning to be sent again.
const SEALED_REASONING: &str = "\"reasoning.encrypted_content\"";

/// Fields that bring what is not in the body.
const ADDING_FIELDS: &[&str] = &["previous_response_id", "conversation", "prompt"];

/// The most tokens of a part that is not text, and what a provider adds to a request: see
/// `bounds/prompt.rs`.
const PART_BOUND: u64 = 65_536;
const REQUEST_BOUND: u64 = 1_024;

/// The usual tokens of a part that is not text, and the bytes of a token.
const PART_TOKENS: u64 = 1_500;
const TOKEN_BYTES: u64 = 4;

pub(super) const RULES: RequestRules = RequestRules {
    edit,
    bounds,
    translated_bounds,
    set_limit: |document, _, model, limit| (COMMON.set_limit)(document, &LIMIT_NAMES, model, limit),
    most_prompt_tokens,
    thinking_budget: |_| None,
    may_cache_long: |_| false,
    has_effects,
    demands,
    ties: &TIES,
    names: FieldNames { limit: LIMIT, tier: "service_tier" },
    ..COMMON
};

/// What ties a request. What a provider would have stored of earlier requests is refused by the reader.
const TIES: TieRules = TieRules {
    dotted: false,
    hints: &["file_id", "encrypted_content", "vector_store_ids", "container", "skill_id"],
    holders: &["input", "content", "output", "tools", "container", "input_image_mask", "environment", "skills"],
    fields: &[
        TieField::stored("file_id"),
        TieField::stored("file_ids"),
        TieField::stored("vector_store_ids"),
        TieField::stored("container"),
        TieField::stored("container_id"),
        // Those of the provider itself have other names.
        TieField { ties: |id| id.starts_with("skill_"), ..TieField::stored("skill_id") },
        TieField {
            kind: TieKind::Sealed,
            ties: |sealed| !is_sealed_here(sealed),
            ..TieField::stored("encrypted_content")
        },
    ],
};

/// Makes a request ready for a provider of the same format. All callers share its key, so nothing is stored there.
fn edit(document: &mut Document<'_>, edit: &Edit<'_>) {
    apply_edit(document, &Edit { limit_names: LIMIT_NAMES, ..*edit });
    // Counts and compactions have no such field.
    if edit.streams {
        document.set("store", "false");
    }
    if edit.streams && edit.seals_reasoning {
        let given = document.value("include").filter(|list| list.starts_with('[')).unwrap_or("[]");
        if !given.contains(SEALED_REASONING) {
            let comma = if is_empty_value(given) { "" } else { "," };
            let list = [given.trim_end().trim_end_matches(']'), comma, SEALED_REASONING, "]"].concat();
            document.set("include", list);
        }
    }
}

fn bounds(document: &Document<'_>, _: &LimitNames<'_>, allows_zero_limit: bool) -> RequestBounds {
    let is_given = |field: &&str| document.value(field).is_some_and(|value| !is_empty_value(value));
    let adds = hosted_tool(document, CLIENT_TOOLS) || ADDING_FIELDS.iter().any(is_given);
    RequestBounds { adds_to_prompt: adds, ..(COMMON.bounds)(document, &LIMIT_NAMES, allows_zero_limit) }
}

/// Whether work in the background is asked for, or a tool that runs at the provider and may change something.
fn has_effects(document: &Document<'_>) -> bool {
    let is_harmless: Vec<&str> = [CLIENT_TOOLS, READING_TOOLS].concat();
    document.value("background") == Some("true") || hosted_tool(document, &is_harmless)
}

/// Whether there is a tool of another type than these; versions may follow a type.
fn hosted_tool(document: &Document<'_>, known: &[&str]) -> bool {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    let mut found = false;
    tool_lists(document, &mut |tools| {
        let read = each(tools, |tool| {
            let kind = object::<Tool<'_>>(tool).and_then(|tool| tool.kind);
            found |= kind.is_none_or(|kind| !known.iter().any(|known| kind.starts_with(known)));
            Some(())
        });
        found |= read.is_none() && !is_empty_value(tools);
    });
    found
}

/// Hands on the lists in which tools are declared: `tools`, and those of items, as Codex declares all of its own.
fn tool_lists(document: &Document<'_>, take: &mut dyn FnMut(&str)) {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        tools: Option<&'a RawValue>,
    }
    take(document.value("tools").unwrap_or("[]"));
    if let Some(input) = document.value("input").filter(|input| input.contains(ADDED_TOOLS)) {
        let _ = each(input, |item| {
            let item = object::<Item<'_>>(item).filter(|item| item.kind.as_deref() == Some(ADDED_TOOLS));
            if let Some(tools) = item.and_then(|item| item.tools) {
                take(tools.get());
            }
            Some(())
        });
    }
}

fn translated_bounds(document: &Document<'_>, row: &Model) -> RequestBounds {
    let mut edits = Document::empty();
    params::apply(&mut edits, &row.params);
    let given = document.value(LIMIT).filter(|value| *value != "null");
    let asked = given.and_then(parse_integer).filter(|tokens| *tokens > 0);
    let limit = match row.max_tokens {
        Some(ceiling) if given.is_some() => Some(asked.unwrap_or(ceiling).min(ceiling)),
        Some(_) | None => asked,
    };
    RequestBounds {
        limit: if row.params.names().any(may_limit) { None } else { limit },
        samples: 1,
        tier: requested_tier(&edits),
        // Tools that a provider runs are not translated.
        adds_to_prompt: false,
        searches: 0,
    }
}

/// An item, as far as it holds parts.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

/// Passes the parts that are not text to `take`, each with its length; `None` if the input cannot be read.
fn other_parts(document: &Document<'_>, take: &mut dyn FnMut(&Part<'_>, usize)) -> Option<()> {
    let input = document.value("input").filter(|input| input.starts_with('[')).unwrap_or("[]");
    each(input, |item| {
        let item = object::<Item<'_>>(item)?;
        let shown = item.output.map_or("", RawValue::get);
        let screen = object::<Part<'_>>(shown).filter(|part| part.kind.as_deref() == Some("computer_screenshot"));
        screen.iter().for_each(|part| take(part, shown.len()));
        for list in [item.content, item.output].into_iter().flatten().filter(|list| list.get().starts_with('[')) {
            each(list.get(), |json| {
                let part = object::<Part<'_>>(json)?;
                match part.kind.as_deref().unwrap_or_default() {
                    "input_text" | "output_text" | "text" | "refusal" | "summary_text" | "reasoning_text" => {}
                    _ => take(&part, json.len()),
                }
                Some(())
            })?;
        }
        Some(())
    })
}

/// The most tokens that the prompt can have: a token has at least one byte, and parts that are not text are
/// allowed for.
fn most_prompt_tokens(document: &Document<'_>) -> u64 {
    let mut parts = 0_u64;
    let read = other_parts(document, &mut |_, _| parts += 1);
    if read.is_none() {
        let input = document.value("input").unwrap_or_default();
        parts = input.bytes().filter(|byte| *byte == b'{').count() as u64;
    }
    (document.bytes().len() as u64).saturating_add(parts.saturating_mul(PART_BOUND)).saturating_add(REQUEST_BOUND)
}

fn demands(document: &Document<'_>) -> Demands {
    let (mut needs, mut count, mut bytes) = (Needs::NONE, 0_u64, 0_u64);
    let _ = other_parts(document, &mut |part, length| {
        needs = needs.with(needs_of_part(part).unwrap_or(Needs::NONE));
        count += 1;
        bytes = bytes.saturating_add(length as u64);
    });
    let mut has_tools = false;
    tool_lists(document, &mut |tools| has_tools |= !is_empty_value(tools));
    if has_tools {
        needs = needs.with(Needs::TOOLS);
    }
    if document.value("reasoning").and_then(asks_for_thinking) == Some(true) {
        needs = needs.with(Needs::THINKING);
    }
    if document.value("text").is_some_and(|text| text.contains("\"json_schema\"")) {
        needs = needs.with(Needs::STRUCTURED_OUTPUT);
    }
    let text = (document.bytes().len() as u64).saturating_sub(bytes);
    let prompt_tokens = text.div_ceil(TOKEN_BYTES).saturating_add(count.saturating_mul(PART_TOKENS));
    Demands { needs, prompt_tokens }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_or_sealed_elsewhere_ties_a_request() {
        let tie = |body: &str| {
            let tie = TIES.tie(&Document::read(body.as_bytes()).unwrap());
            tie.map(|tie| (tie.field, tie.kind == TieKind::Stored))
        };
        let stored = |body: &str, field: &str| assert_eq!(tie(body), Some((field.to_owned(), true)), "{body}");
        let content = |part: &str| format!(r#"{{"input":[{{"role":"user","content":[{part}]}}]}}"#);
        let file = r#"{"type":"input_file","file_id":"file-1"}"#;
        stored(&content(file), "input[0].content[0].file_id");
        stored(&content(r#"{"type":"input_image","file_id":"file-1"}"#), "input[0].content[0].file_id");
        stored(&format!(r#"{{"input":[{{"output":[{file}]}}]}}"#), "input[0].output[0].file_id");
        stored(r#"{"input":[{"output":{"type":"computer_screenshot","file_id":"f"}}]}"#, "input[0].output.file_id");
        let tool = |tool: &str| format!(r#"{{"input":"x","tools":[{tool}]}}"#);
        stored(&tool(r#"{"type":"file_search","vector_store_ids":["vs_1"]}"#), "tools[0].vector_store_ids");
        stored(&tool(r#"{"type":"code_interpreter","container":"cntr_1"}"#), "tools[0].container");
        let files = r#"{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-1"]}}"#;
        stored(&tool(files), "tools[0].container.file_ids");
        stored(
            &tool(r#"{"type":"image_generation","input_image_mask":{"file_id":"f"}}"#),
            "tools[0].input_image_mask.file_id",
        );
        stored(
            &tool(r#"{"type":"shell","environment":{"container_id":"cntr_1"}}"#),
            "tools[0].environment.container_id",
        );
        for sealed in [
            r#"{"type":"reasoning","encrypted_content":"gAAAAAB"}"#,
            r#"{"type":"compaction","encrypted_content":"gAAAAAB"}"#,
        ] {
            assert_eq!(
                tie(&format!(r#"{{"input":[{sealed}]}}"#)),
                Some(("input[0].encrypted_content".to_owned(), false))
            );
        }
        for free in [
            r#"{"input":[{"type":"reasoning","encrypted_content":"lb1.YQ==.YQ=="},{"type":"reasoning","encrypted_content":null}]}"#,
            r#"{"input":[{"type":"function_call","arguments":"{\"file_id\":\"f\"}"}]}"#,
            r#"{"input":"\"file_id\": \"f\"","tools":[{"type":"function","parameters":{"properties":{"file_id":{"type":"string"}}}}]}"#,
            r#"{"input":"x","tools":[{"type":"code_interpreter","container":{"type":"auto"}},{"type":"file_search","vector_store_ids":[]}]}"#,
        ] {
            assert_eq!(tie(free), None, "{free}");
        }
    }
}
