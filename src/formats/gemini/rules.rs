//! How much a request can take, and the edits that make it ready for a provider of the same format. The limit, the
//! number of candidates and the thinking budget stand in `generationConfig`, under either of two names each.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{full_name, type_by_path};
use super::ties::TIES;
use crate::config::{Model, Needs};
use crate::error::Result;
use crate::formats::body::wrong_type;
use crate::formats::bounds::{
    COMMON, Demands, Edit, FieldNames, RequestBounds, RequestRules, ServiceTier, asks_for_thinking, lenient_count,
};
use crate::formats::prompt_wire::{each, object};
use crate::provider::params;
use crate::wire::json::{self, Document, is_empty_value, parse_integer, quote};

/// A field's names: in camel case, and in snake case. Google reads both.
type Names = [&'static str; 2];

const CONFIG: Names = ["generationConfig", "generation_config"];
const LIMIT: Names = ["maxOutputTokens", "max_output_tokens"];
const CANDIDATES: Names = ["candidateCount", "candidate_count"];
const THINKING: Names = ["thinkingConfig", "thinking_config"];
const BUDGET: Names = ["thinkingBudget", "thinking_budget"];
const MODALITIES: Names = ["responseModalities", "response_modalities"];
const SCHEMAS: [Names; 2] = [["responseSchema", "response_schema"], ["responseJsonSchema", "response_json_schema"]];
const TIER: Names = ["serviceTier", "service_tier"];
const CACHED: Names = ["cachedContent", "cached_content"];
const COUNTED: Names = ["generateContentRequest", "generate_content_request"];
const DECLARATIONS: Names = ["functionDeclarations", "function_declarations"];

/// The fields of a request that the gateway reads or sets.
pub(super) const FIELDS: &[&str] = &[
    "model",
    "contents",
    "tools",
    "systemInstruction",
    "system_instruction",
    "toolConfig",
    "tool_config",
    "generationConfig",
    "generation_config",
    "serviceTier",
    "service_tier",
    "cachedContent",
    "cached_content",
    "generateContentRequest",
    "generate_content_request",
];

/// The fields of an embedding request that the gateway reads or sets.
pub(super) const EMBED_FIELDS: &[&str] = &["model", "content", "requests"];

/// The fields that may stand under one of their names only: readers disagree on which counts.
const EITHER: &[Names] =
    &[CONFIG, ["systemInstruction", "system_instruction"], ["toolConfig", "tool_config"], TIER, CACHED, COUNTED];

pub(super) const RULES: RequestRules = RequestRules {
    edit,
    bounds: |document, _, _| bounds(document),
    translated_bounds,
    set_limit: |document, _, _, limit| set_limit(document, limit),
    most_prompt_tokens,
    thinking_budget,
    may_cache_long: |_| false,
    stray_field: |document, known, _| (COMMON.stray_field)(document, known, false),
    has_effects,
    demands,
    ties: &TIES,
    names: FieldNames { limit: "generationConfig.maxOutputTokens", tier: "serviceTier" },
    usage_field: None,
    may_stream: |document| !is_dear(document),
};

/// Refuses a field that stands under both of its names.
///
/// # Errors
/// 400 naming the field.
pub(super) fn check_names(document: &Document<'_>) -> Result<()> {
    let twice = EITHER.iter().find(|names| names.iter().all(|name| document.value(name).is_some()));
    if let Some([name, _]) = twice {
        return Err(wrong_type(name, "given under one of its two names only"));
    }
    let Some(config) = config(document) else { return Ok(()) };
    let repeated = [LIMIT, CANDIDATES, THINKING]
        .into_iter()
        .find(|names| config.members().filter(|(key, _)| names.contains(key)).count() > 1);
    match repeated {
        Some(_) => Err(wrong_type(CONFIG[0], "an object that has no field twice, under whichever names")),
        None => Ok(()),
    }
}

/// How many candidates a request asks for, as the most lenient reader reads it.
pub(super) fn candidates(document: &Document<'_>) -> u64 {
    let count = config(document).and_then(|config| lenient_count(value(&config, CANDIDATES)?));
    count.unwrap_or(1).max(1)
}

/// The value of a field, under whichever name; `None` if it is `null`.
fn value<'d>(document: &'d Document<'_>, names: Names) -> Option<&'d str> {
    names.iter().find_map(|name| document.value(name)).filter(|value| *value != "null")
}

/// The object in a field.
fn object_in<'d>(document: &'d Document<'_>, names: Names) -> Option<Document<'d>> {
    Document::read(value(document, names)?.as_bytes()).ok()
}

fn config<'d>(document: &'d Document<'_>) -> Option<Document<'d>> {
    object_in(document, CONFIG)
}

/// The limit that a request sets, which may be a text; `None` if it sets none that counts.
fn asked(document: &Document<'_>) -> Option<u64> {
    limit_of(value(&config(document)?, LIMIT)?)
}

fn limit_of(raw: &str) -> Option<u64> {
    let digits = json::text(raw).unwrap_or(Cow::Borrowed(raw));
    parse_integer(&digits).filter(|tokens| *tokens > 0)
}

/// Names the model, lowers the limit to the row's ceiling, and applies the row's edits.
fn edit(document: &mut Document<'_>, edit: &Edit<'_>) {
    let model = || quote(&full_name(edit.model));
    if document.value("model").is_some() {
        document.set("model", model());
    }
    if let Some(name) = COUNTED.iter().find(|name| document.value(name).is_some()) {
        let inner = object_in(document, COUNTED).map(|mut inner| {
            inner.set("model", model());
            String::from_utf8_lossy(&inner.render()).into_owned()
        });
        inner.into_iter().for_each(|inner| document.set(name, inner));
    }
    if let Some(requests) = document.value("requests") {
        let named = name_each(requests, &model());
        named.into_iter().for_each(|named| document.set("requests", named));
    }
    if edit.prompt_only {
        return;
    }
    if let Some(ceiling) = edit.row.max_tokens {
        let given = config(document).and_then(|config| value(&config, LIMIT).map(limit_of));
        if given.is_some_and(|given| given.is_none_or(|tokens| tokens > ceiling)) {
            set_limit(document, ceiling);
        }
    }
    params::apply(document, &edit.row.params);
}

/// A list of requests, each for this model; `None` if it cannot be read, or if each is already.
fn name_each(requests: &str, model: &str) -> Option<String> {
    let (mut named, mut is_other) = (String::from("["), false);
    each(requests, |request| {
        let mut request = Document::read(request.as_bytes()).ok()?;
        is_other |= request.value("model") != Some(model);
        request.set("model", model);
        if named.len() > 1 {
            named.push(',');
        }
        named.push_str(std::str::from_utf8(&request.render()).ok()?);
        Some(())
    })?;
    named.push(']');
    is_other.then_some(named)
}

/// Sets the limit, where it stands.
fn set_limit(document: &mut Document<'_>, limit: u64) {
    let name = CONFIG.iter().find(|name| document.value(name).is_some()).unwrap_or(&CONFIG[0]);
    let edited = {
        let mut config = match config(document) {
            Some(config) => config,
            None => Document::empty(),
        };
        let own = LIMIT.iter().find(|name| config.value(name).is_some()).unwrap_or(&LIMIT[0]);
        LIMIT.iter().filter(|name| *name != own).for_each(|other| config.remove(other));
        config.set(own, limit.to_string());
        String::from_utf8_lossy(&config.render()).into_owned()
    };
    document.set(name, edited);
}

fn bounds(document: &Document<'_>) -> RequestBounds {
    let tier = value(document, TIER).map(json::text);
    RequestBounds {
        limit: asked(document),
        samples: candidates(document),
        tier: match tier {
            None => ServiceTier::AccountDefault,
            Some(Some(word)) if word.to_ascii_lowercase().ends_with("unspecified") => ServiceTier::AccountDefault,
            Some(Some(word)) if word.eq_ignore_ascii_case("standard") => ServiceTier::Standard,
            Some(Some(word)) => ServiceTier::Other(word.to_ascii_lowercase()),
            Some(None) => ServiceTier::Other(TIER[0].to_owned()),
        },
        adds_to_prompt: adds_to_prompt(document),
        searches: if searches(document) { USUAL_SEARCHES } else { 0 },
    }
}

/// The bounds of a request that is translated: those of one with the limit and the number of candidates where other
/// formats have them.
fn translated_bounds(document: &Document<'_>, row: &Model) -> RequestBounds {
    let mut plain = Document::empty();
    let given = config(document).and_then(|config| value(&config, LIMIT).map(str::to_owned));
    given.into_iter().for_each(|given| plain.set("max_tokens", limit_of(&given).unwrap_or(0).to_string()));
    plain.set("n", candidates(document).to_string());
    (COMMON.translated_bounds)(&plain, row)
}

/// The searches of a tool that the provider runs. An estimate, as no limit is stated.
const USUAL_SEARCHES: u64 = 10;

/// Whether the provider may add to the prompt what is not in the body.
fn adds_to_prompt(document: &Document<'_>) -> bool {
    value(document, CACHED).is_some_and(|value| !is_empty_value(value)) || any_tool(document, |name| !is_declared(name))
}

fn searches(document: &Document<'_>) -> bool {
    any_tool(document, |name| name.to_ascii_lowercase().contains("search"))
}

fn is_declared(name: &str) -> bool {
    DECLARATIONS.contains(&name)
}

/// Whether a tool has a field that `is` so. A list that cannot be read may have any.
fn any_tool(document: &Document<'_>, is: impl Fn(&str) -> bool) -> bool {
    let Some(tools) = document.value("tools").filter(|tools| !is_empty_value(tools)) else { return false };
    let mut found = false;
    let read = each(tools, |tool| {
        let tool = Document::read(tool.as_bytes()).ok()?;
        found |= tool.members().any(|(name, value)| value != "null" && is(name));
        Some(())
    });
    found || read.is_none()
}

/// Whether the work has effects, or is dear: tools that run at the provider, images or sound.
fn has_effects(document: &Document<'_>) -> bool {
    is_dear(document) || adds_to_prompt(document)
}

/// Whether the response has images or sound. A stream brings sound in many parts, a whole response in one.
fn is_dear(document: &Document<'_>) -> bool {
    config(document).is_some_and(|config| {
        value(&config, MODALITIES).is_some_and(|kinds| {
            let kinds = kinds.to_ascii_uppercase();
            kinds.contains("IMAGE") || kinds.contains("AUDIO")
        })
    })
}

fn thinking_budget(document: &Document<'_>) -> Option<u64> {
    parse_integer(value(&object_in(&config(document)?, THINKING)?, BUDGET)?)
}

/// The most tokens of a part that is not text, and what a provider adds to a request by itself: as for other formats.
const PART_BOUND: u64 = 65_536;
const REQUEST_BOUND: u64 = 1_024;
/// The usual tokens of a part that is not text. Its bytes say little.
const PART_TOKENS: u64 = 1_500;
/// The bytes of a token.
const TOKEN_BYTES: u64 = 4;

/// A content of the prompt.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<&'a RawValue>,
}

/// A part, as far as it may be something else than text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow, alias = "inline_data")]
    inline_data: Option<Medium<'a>>,
    #[serde(borrow, alias = "file_data")]
    file_data: Option<Medium<'a>>,
    #[serde(borrow, alias = "function_response")]
    function_response: Option<Content<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Medium<'a> {
    #[serde(borrow, alias = "mime_type")]
    mime_type: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "file_uri")]
    file_uri: Option<Cow<'a, str>>,
}

/// The media of a prompt.
#[derive(Default)]
struct Media {
    needs: Needs,
    count: u64,
    /// The length of their JSON.
    bytes: u64,
}

impl Media {
    /// Reads the media of a request; `None` if it is not understood.
    fn of(document: &Document<'_>) -> Option<Self> {
        let mut media = Self::default();
        let inner = object_in(document, COUNTED);
        let contents = document.value("contents").or_else(|| inner.as_ref()?.value("contents"));
        each(contents.unwrap_or("[]"), |content| media.parts(object::<Content<'_>>(content)?.parts, true))?;
        Some(media)
    }

    fn parts(&mut self, parts: Option<&RawValue>, is_outer: bool) -> Option<()> {
        let Some(parts) = parts.map(RawValue::get).filter(|parts| *parts != "null") else { return Some(()) };
        each(parts, |json| {
            let part = object::<Part<'_>>(json)?;
            if let Some(inner) = part.function_response.filter(|_| is_outer) {
                self.parts(inner.parts, false)?;
            }
            for medium in [part.inline_data, part.file_data].into_iter().flatten() {
                let path = || medium.file_uri.as_deref().map_or("", type_by_path);
                self.needs = self.needs.with(needs_of(medium.mime_type.as_deref().unwrap_or_else(path)));
                self.count = self.count.saturating_add(1);
                self.bytes = self.bytes.saturating_add(json.len() as u64);
            }
            Some(())
        })
    }
}

fn needs_of(mime: &str) -> Needs {
    match mime.split_once('/') {
        Some(("image", _)) => Needs::VISION,
        Some(("audio", _)) => Needs::AUDIO,
        Some(("application", "pdf")) => Needs::PDF,
        _ => Needs::NONE,
    }
}

fn most_prompt_tokens(document: &Document<'_>) -> u64 {
    let body = document.bytes();
    let media = Media::of(document).map(|media| media.count);
    // Each object may be a medium.
    let media = media.unwrap_or_else(|| body.iter().filter(|byte| **byte == b'{').count() as u64);
    (body.len() as u64).saturating_add(media.saturating_mul(PART_BOUND)).saturating_add(REQUEST_BOUND)
}

fn demands(document: &Document<'_>) -> Demands {
    let media = Media::of(document).unwrap_or_default();
    let mut needs = media.needs;
    if any_tool(document, is_declared) {
        needs = needs.with(Needs::TOOLS);
    }
    if config(document).is_some_and(|config| SCHEMAS.iter().any(|names| value(&config, *names).is_some())) {
        needs = needs.with(Needs::STRUCTURED_OUTPUT);
    }
    if let Some(config) = config(document) {
        if value(&config, MODALITIES).is_some_and(|kinds| kinds.to_ascii_uppercase().contains("AUDIO")) {
            needs = needs.with(Needs::AUDIO);
        }
        if value(&config, THINKING).and_then(asks_for_thinking) == Some(true) {
            needs = needs.with(Needs::THINKING);
        }
    }
    let text = (document.bytes().len() as u64).saturating_sub(media.bytes);
    let prompt_tokens = text.div_ceil(TOKEN_BYTES).saturating_add(media.count.saturating_mul(PART_TOKENS));
    Demands { needs, prompt_tokens }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(body: &str) -> RequestBounds {
        bounds(&Document::read(body.as_bytes()).unwrap())
    }

    #[test]
    fn the_limit_and_the_candidates_are_read_under_both_names() {
        for body in [
            r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}"#,
            r#"{"generation_config":{"max_output_tokens":"9","candidate_count":2}}"#,
            r#"{"generation\u0043onfig":{"max\u004futputTokens":9,"candidateCount":"2"}}"#,
        ] {
            let bounds = bounded(body);
            assert_eq!((bounds.limit, bounds.samples), (Some(9), 2), "{body}");
        }
        for body in ["{}", r#"{"generationConfig":{"maxOutputTokens":-1}}"#, r#"{"generationConfig":7}"#] {
            assert_eq!((bounded(body).limit, bounded(body).samples), (None, 1), "{body}");
        }
    }

    #[test]
    fn a_limit_is_set_where_it_stands() {
        for (body, expected) in [
            (r#"{"contents":[]}"#, r#"{"contents":[],"generationConfig":{"maxOutputTokens":5}}"#),
            (
                r#"{"generation_config":{"topP":1, "max_output_tokens": 9}}"#,
                r#"{"generation_config":{"topP":1, "max_output_tokens": 5}}"#,
            ),
        ] {
            let mut document = Document::read(body.as_bytes()).unwrap();
            set_limit(&mut document, 5);
            assert_eq!(String::from_utf8(document.render().into_owned()).unwrap(), expected);
        }
    }

    #[test]
    fn a_field_may_stand_under_one_name() {
        let refused = |body: &str| check_names(&Document::read(body.as_bytes()).unwrap()).is_err();
        for body in [
            r#"{"generationConfig":{},"generation_config":{}}"#,
            r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}"#,
            r#"{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":2}}"#,
        ] {
            assert!(refused(body), "{body}");
        }
        assert!(!refused(r#"{"generationConfig":{"maxOutputTokens":1},"contents":[]}"#));
    }

    #[test]
    fn media_and_tools_say_what_they_need() {
        let demanded = |body: &str| demands(&Document::read(body.as_bytes()).unwrap()).needs;
        let part = |part: &str| demanded(&format!(r#"{{"contents":[{{"parts":[{{"text":"x"}},{part}]}}]}}"#));
        assert_eq!(part(r#"{"inline_data":{"mime_type":"image/png","data":"x"}}"#), Needs::VISION);
        assert_eq!(part(r#"{"fileData":{"mimeType":"audio/wav","fileUri":"x"}}"#), Needs::AUDIO);
        assert_eq!(
            part(r#"{"functionResponse":{"parts":[{"inlineData":{"mimeType":"application/pdf"}}]}}"#),
            Needs::PDF
        );
        assert_eq!(demanded(r#"{"tools":[{"functionDeclarations":[]}]}"#), Needs::TOOLS);
        assert_eq!(demanded(r#"{"generationConfig":{"responseSchema":{}}}"#), Needs::STRUCTURED_OUTPUT);
        let bounds = bounded(r#"{"tools":[{"google_search":{}}]}"#);
        assert!(bounds.adds_to_prompt && bounds.searches == USUAL_SEARCHES);
        assert!(!bounded(r#"{"tools":[{"functionDeclarations":[{}]}]}"#).adds_to_prompt);
    }
}
