//! How much a request can take. Its limit has a name of its own, and its prompt consists of items.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::{Model, Needs};
use crate::formats::bounds::{COMMON, Demands, FieldNames, RequestBounds, RequestRules, may_limit, requested_tier};
use crate::formats::prompt_wire::{Part, each, object};
use crate::provider::params;
use crate::wire::json::{Document, is_empty_value, parse_integer};

/// The limit of a response.
const LIMIT: &str = "max_output_tokens";

/// The most tokens of a part that is not text, and what a provider adds to a request: see
/// `bounds/prompt.rs`.
const PART_BOUND: u64 = 65_536;
const REQUEST_BOUND: u64 = 1_024;

/// The usual tokens of a part that is not text, and the bytes of a token.
const PART_TOKENS: u64 = 1_500;
const TOKEN_BYTES: u64 = 4;

pub(super) const RULES: RequestRules = RequestRules {
    translated_bounds,
    most_prompt_tokens,
    thinking_budget: |_| None,
    may_cache_long: |_| false,
    // Nothing is stored, and nothing runs at the provider.
    has_effects: |_| false,
    demands,
    names: FieldNames { limit: LIMIT, tier: "service_tier" },
    ..COMMON
};

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

/// Passes the parts that are not text to `take`, each with its type and its length; `None` if the input cannot
/// be read.
fn other_parts(document: &Document<'_>, take: &mut dyn FnMut(&str, usize)) -> Option<()> {
    let input = document.value("input").filter(|input| input.starts_with('[')).unwrap_or("[]");
    each(input, |item| {
        let item = object::<Item<'_>>(item)?;
        for list in [item.content, item.output].into_iter().flatten().filter(|list| list.get().starts_with('[')) {
            each(list.get(), |json| {
                let part = object::<Part<'_>>(json)?;
                match part.kind.as_deref().unwrap_or_default() {
                    "input_text" | "output_text" | "text" | "refusal" | "summary_text" | "reasoning_text" => {}
                    other => take(other, json.len()),
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
    let _ = other_parts(document, &mut |kind, length| {
        let need = match kind {
            "input_image" => Needs::VISION,
            "input_audio" => Needs::AUDIO,
            "input_file" => Needs::PDF,
            _ => Needs::NONE,
        };
        needs = needs.with(need);
        count += 1;
        bytes = bytes.saturating_add(length as u64);
    });
    let is_given = |field: &str| document.value(field).is_some_and(|value| !is_empty_value(value));
    if is_given("tools") {
        needs = needs.with(Needs::TOOLS);
    }
    if document.value("text").is_some_and(|text| text.contains("\"json_schema\"")) {
        needs = needs.with(Needs::STRUCTURED_OUTPUT);
    }
    let text = (document.bytes().len() as u64).saturating_sub(bytes);
    let prompt_tokens = text.div_ceil(TOKEN_BYTES).saturating_add(count.saturating_mul(PART_TOKENS));
    Demands { needs, prompt_tokens }
}
