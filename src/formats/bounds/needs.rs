//! What a request needs of its model, and about how long its prompt is: by these, targets of a route are left
//! out.

use serde_json::value::RawValue;

use crate::config::Needs;
use crate::formats::prompt_wire::{Part, Turn, each, object, string};
use crate::wire::json::{Document, is_empty_value};

/// The usual tokens of an image, a recording or a file. Their bytes say little.
const PART_TOKENS: u64 = 1_500;
/// The bytes of a token, in English and in Chinese.
const TOKEN_BYTES: u64 = 4;
/// The depth to which parts are read: results of tools hold documents, which hold images.
const NESTED_PARTS: u8 = 4;

/// What a request asks of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// What it needs of its model.
    pub needs: Needs,
    /// About how many tokens its prompt has.
    pub prompt_tokens: u64,
}

/// Reads the demands of a request with `messages`. What cannot be read demands nothing but its length.
pub fn demands(document: &Document<'_>) -> Demands {
    let mut parts = Parts::default();
    let _ = each(document.value("messages").unwrap_or_default(), |message| {
        let turn = object::<Turn<'_>>(message)?;
        if turn.audio.is_some() {
            parts.needs = parts.needs.with(Needs::AUDIO);
        }
        parts.read(turn.content, NESTED_PARTS)
    });
    let is_given = |field: &str| document.value(field).is_some_and(|value| !is_empty_value(value));
    let mut needs = parts.needs;
    if is_given("tools") || is_given("functions") {
        needs = needs.with(Needs::TOOLS);
    }
    if document.value("modalities").is_some_and(|kinds| kinds.contains("\"audio\"")) {
        needs = needs.with(Needs::AUDIO);
    }
    if wants_thinking(document) {
        needs = needs.with(Needs::THINKING);
    }
    if STRUCTURED.iter().any(|field| document.value(field).is_some_and(has_schema)) {
        needs = needs.with(Needs::STRUCTURED_OUTPUT);
    }
    let text = (document.bytes().len() as u64).saturating_sub(parts.bytes);
    let prompt_tokens = text.div_ceil(TOKEN_BYTES).saturating_add(parts.count.saturating_mul(PART_TOKENS));
    Demands { needs, prompt_tokens }
}

/// The fields that may ask for a response that follows a schema.
const STRUCTURED: &[&str] = &["response_format", "output_format", "output_config"];

/// Whether a field asks for a response that follows a schema.
fn has_schema(value: &str) -> bool {
    memchr::memmem::find(value.as_bytes(), b"\"json_schema\"").is_some()
}

/// The fields that may ask for thinking, in any format with `messages`.
const THINKING: &[&str] = &["thinking", "reasoning"];

/// Whether a request asks for thinking, in one of the spellings that hosts know. Words that turn it off count before
/// all others.
fn wants_thinking(document: &Document<'_>) -> bool {
    let given = |field: &str| document.value(field).filter(|value| !is_empty_value(value));
    let budget = given("thinking_budget").map(|budget| budget != "0");
    let switch = document.value("enable_thinking").map(|switch| switch == "true");
    let effort = given("reasoning_effort").map(|effort| effort != "\"none\"");
    let objects = THINKING.iter().filter_map(|field| given(field)).filter_map(asks_for_thinking);
    let words: Vec<bool> = objects.chain([budget, switch, effort].into_iter().flatten()).collect();
    !words.is_empty() && words.iter().all(|asks| *asks)
}

/// What an object says of thinking: whether it asks for it, or turns it off; `None` if it says nothing.
pub fn asks_for_thinking(object: &str) -> Option<bool> {
    let object = Document::read(object.as_bytes()).ok()?;
    let mut asks = None;
    for (name, value) in object.members().filter(|(_, value)| *value != "null") {
        let is_off = match name {
            "type" => value == "\"disabled\"",
            "effort" => value == "\"none\"",
            "enabled" => value == "false",
            "budget_tokens" | "max_tokens" | "thinkingBudget" | "thinking_budget" => value == "0",
            "thinkingLevel" | "thinking_level" => false,
            "includeThoughts" | "include_thoughts" if value == "true" => false,
            _ => continue,
        };
        if is_off {
            return Some(false);
        }
        asks = Some(true);
    }
    asks
}

/// What a part needs that is not text, and holds no other parts.
pub(in crate::formats) fn needs_of_part(part: &Part<'_>) -> Option<Needs> {
    match part.kind.as_deref().unwrap_or_default() {
        "file" | "input_file" => {
            let inner = part.file.and_then(|file| object::<Part<'_>>(file.get()));
            let file = inner.as_ref().unwrap_or(part);
            Some(needs_of_file(file.file_data, file.filename))
        }
        kind => needs_of(kind),
    }
}

/// What a file needs: by the type that its data state, or else by its name. Whatever else it is, it is likely
/// to need what a PDF needs.
fn needs_of_file(data: Option<&RawValue>, name: Option<&RawValue>) -> Needs {
    // The type is at the beginning of what may be long. Some clients escape slashes.
    let label = data.and_then(|data| data.get().strip_prefix("\"data:"));
    let label = label.and_then(|label| label.split([';', ',']).next()).unwrap_or_default().replace("\\/", "/");
    let name = string(name).unwrap_or_default().to_ascii_lowercase();
    let is_text = [".txt", ".md", ".csv", ".json", ".html", ".xml"].iter().any(|ending| name.ends_with(ending));
    match label.split('/').next().unwrap_or_default() {
        "image" => Needs::VISION,
        "audio" => Needs::AUDIO,
        "text" | "video" => Needs::NONE,
        "" if is_text => Needs::NONE,
        _ => Needs::PDF,
    }
}

/// The parts of a prompt that are not text.
#[derive(Default)]
struct Parts {
    needs: Needs,
    count: u64,
    /// The length of their JSON.
    bytes: u64,
}

impl Parts {
    /// Reads a content; `None` if it is not understood.
    fn read(&mut self, content: Option<&RawValue>, depth: u8) -> Option<()> {
        let content = content.map_or("", RawValue::get);
        if !content.starts_with('[') {
            return Some(());
        }
        let depth = depth.checked_sub(1)?;
        each(content, |json| {
            let part = object::<Part<'_>>(json)?;
            let Some(needs) = needs_of_part(&part) else { return self.read(part.content, depth) };
            let source = part.source.and_then(|source| object::<Part<'_>>(source.get()));
            // A document that is text takes as many tokens as it has.
            if source.as_ref().is_some_and(|source| source.kind.as_deref() == Some("text")) {
                return Some(());
            }
            let inner = source.and_then(|source| source.content);
            if let Some(inner) = inner.filter(|inner| inner.get().starts_with('[')) {
                return self.read(Some(inner), depth);
            }
            self.needs = self.needs.with(needs);
            self.count += 1;
            self.bytes = self.bytes.saturating_add(json.len() as u64);
            Some(())
        })
    }
}

/// What a part of this type needs; `None` for text, and for a part that holds others.
fn needs_of(kind: &str) -> Option<Needs> {
    match kind {
        "image" | "image_url" | "input_image" | "computer_screenshot" => Some(Needs::VISION),
        "input_audio" | "audio" | "audio_url" => Some(Needs::AUDIO),
        "document" => Some(Needs::PDF),
        "video_url" | "input_video" | "video" => Some(Needs::NONE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(members: &str) -> Needs {
        demands(&Document::read(format!("{{{members}}}").as_bytes()).unwrap()).needs
    }

    fn part(part: &str) -> Needs {
        needs(&format!(r#""messages":[{{"role":"user","content":[{{"type":"text","text":"x"}},{part}]}}]"#))
    }

    #[test]
    fn parts_say_what_they_need() {
        assert_eq!(part(r#"{"type":"text","text":"\"image\""}"#), Needs::NONE);
        assert_eq!(part(r#"{"type":"image_url","image_url":{"url":"u"}}"#), Needs::VISION);
        assert_eq!(part(r#"{"type":"im\u0061ge","source":{"type":"url","url":"u"}}"#), Needs::VISION);
        assert_eq!(part(r#"{"type":"input_audio","input_audio":{}}"#), Needs::AUDIO);
        assert_eq!(part(r#"{"type":"file","file":{"file_id":"f"}}"#), Needs::PDF);
        assert_eq!(part(r#"{"type":"document","source":{"type":"base64","data":"d"}}"#), Needs::PDF);
        let image = r#"{"type":"image","source":{"type":"base64","data":"d"}}"#;
        assert_eq!(part(&format!(r#"{{"type":"tool_result","content":[{image}]}}"#)), Needs::VISION);
        let document = format!(r#"{{"type":"document","source":{{"type":"content","content":[{image}]}}}}"#);
        assert_eq!(part(&document), Needs::VISION, "a document of images, not a file");
        assert_eq!(part("7"), Needs::NONE);
        let deep = format!("{}{}", r#"{"type":"x","content":["#.repeat(40), "]}".repeat(40));
        assert_eq!(part(&deep), Needs::NONE);
    }

    #[test]
    fn fields_say_what_they_need() {
        assert_eq!(needs(r#""tools":[],"functions":null,"response_format":{"type":"json_object"}"#), Needs::NONE);
        assert_eq!(needs(r#""tools":[{"type":"function"}]"#), Needs::TOOLS);
        assert_eq!(needs(r#""functions":[{"name":"f"}]"#), Needs::TOOLS);
        assert_eq!(needs(r#""modalities":["text","audio"]"#), Needs::AUDIO);
        assert_eq!(needs(r#""messages":[{"role":"assistant","audio":{"id":"a"}}]"#), Needs::AUDIO);
        assert_eq!(needs(r#""response_format":{"type":"json_schema","json_schema":{}}"#), Needs::STRUCTURED_OUTPUT);
        assert_eq!(needs(r#""output_config":{"format":{"type":"json_schema"}}"#), Needs::STRUCTURED_OUTPUT);
    }

    #[test]
    fn images_do_not_count_by_their_bytes() {
        let image = format!(r#"{{"type":"image_url","image_url":{{"url":"{}"}}}}"#, "a".repeat(400_000));
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{image}]}}]}}"#);
        let tokens = demands(&Document::read(body.as_bytes()).unwrap()).prompt_tokens;
        assert!((1_500..1_600).contains(&tokens), "{tokens}");
        let text = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "a".repeat(4_000));
        let tokens = demands(&Document::read(text.as_bytes()).unwrap()).prompt_tokens;
        assert!((1_000..1_020).contains(&tokens), "{tokens}");
    }
}
