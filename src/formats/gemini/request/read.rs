//! Reads a client's request to `generateContent`.
//! Source: <https://ai.google.dev/api/generate-content#request-body>.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::fields::{Fields, each, wrong};
use super::read_contents;
use super::schema::json_schema;
use crate::canonical::{
    Effort, ModelRequest, Raw, ResponseFormat, Sampling, Thinking, Tool, ToolChoice, UniqueNames, text_of,
};
use crate::error::{Error, Result};
use crate::wire::json::{Document, parse_integer};

/// The fields of a request whose values are the default, by name.
const DEFAULTS: &[(&str, &[&str])] = &[("serviceTier", &["standard", "SERVICE_TIER_UNSPECIFIED", "unspecified"])];

/// Levels of thinking.
const LEVELS: &[(&str, Effort)] =
    &[("MINIMAL", Effort::Minimal), ("LOW", Effort::Low), ("MEDIUM", Effort::Medium), ("HIGH", Effort::High)];

/// Reads a request for a whole response.
///
/// # Errors
/// 400 naming the field that violates the format, or that another provider cannot read.
pub(crate) fn read<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    read_body(body_text(document)?)
}

/// Reads a request for a stream.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_streamed<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    read(document).map(|request| ModelRequest { stream: true, ..request })
}

/// Reads a request to count a prompt's tokens: contents, or a whole request within `generateContentRequest`.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_counted<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    let body = body_text(document)?;
    let mut fields = Fields::read(body, &"the body")?;
    match (fields.take("generateContentRequest"), fields.take("contents")) {
        (Some(_), Some(_)) => Err(wrong(&"contents", "left out beside `generateContentRequest`")),
        (Some(inner), None) => read_body(inner.get()),
        (None, _) => read_body(body),
    }
}

fn body_text<'d>(document: &Document<'d>) -> Result<&'d str> {
    std::str::from_utf8(document.bytes())
        .map_err(|_| Error::caller(400, "invalid_json", "The body is not valid JSON: it is not UTF-8."))
}

fn read_body(body: &str) -> Result<ModelRequest<'_>> {
    let mut fields = Fields::read(body, &"the body")?;
    let (mut unmapped, mut request) = (UniqueNames::default(), ModelRequest::default());
    if fields.raw("cachedContent").is_some_and(|name| !name.is_blank()) {
        let message =
            "`cachedContent` is stored at another provider than the one that serves this model. Send its contents.";
        return Err(Error::caller(400, "unsupported_parameter", message).at("cachedContent"));
    }
    let (system, contents) = (fields.take("systemInstruction"), fields.take("contents"));
    (request.turns, request.sealed_states) =
        read_contents::read(system.map(RawValue::get), contents.map(RawValue::get), &mut unmapped)?;
    request.tools = tools(&mut fields, &mut unmapped)?;
    tool_config(&mut fields, &mut request, &mut unmapped)?;
    if let Some(config) = fields.object("generationConfig", &"")? {
        generation_config(config, &mut request, &mut unmapped)?;
    }
    // The model is named in the path.
    fields.take("model");
    for (name, usual) in DEFAULTS {
        if let Some(word) = fields.take(name)
            && !text_of(word).is_some_and(|word| usual.iter().any(|usual| word.eq_ignore_ascii_case(usual)))
        {
            unmapped.note(*name);
        }
    }
    fields.rest().for_each(|name| unmapped.note(name.to_owned()));
    request.unmapped_fields = unmapped.into_vec().into_iter().map(Cow::into_owned).collect();
    Ok(request)
}

fn tools<'d>(fields: &mut Fields<'d>, unmapped: &mut UniqueNames<'_>) -> Result<Vec<Tool<'d>>> {
    let Some(raw) = fields.take("tools") else { return Ok(Vec::new()) };
    let mut tools = Vec::new();
    each(raw.get(), &"tools", |index, mut set: Fields<'d>| {
        if let Some(raw) = set.take("functionDeclarations") {
            let at = format_args!("tools[{index}].functionDeclarations");
            each(raw.get(), &at, |index, declaration: Fields<'d>| {
                tools.push(declared(declaration, &format_args!("{at}[{index}]"), unmapped)?);
                Ok(())
            })?;
        }
        // Tools that run at the provider, even if they have no settings.
        set.all().for_each(|name| unmapped.note(format!("tools[].{name}")));
        Ok(())
    })?;
    Ok(tools)
}

fn declared<'d>(
    mut fields: Fields<'d>,
    at: &dyn std::fmt::Display,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Tool<'d>> {
    let name = fields.json_text("name", at)?;
    let description = fields.optional_json_text("description", at)?;
    let schema = fields.raw("parametersJsonSchema");
    let parameters = fields.raw("parameters").map(json_schema);
    fields.rest().for_each(|name| unmapped.note(format!("tools[].functionDeclarations[].{name}")));
    Ok(Tool { name, description, parameters: schema.or(parameters), strict: None, cache: None })
}

fn tool_config<'d>(
    fields: &mut Fields<'d>,
    request: &mut ModelRequest<'d>,
    unmapped: &mut UniqueNames<'_>,
) -> Result<()> {
    let Some(mut config) = fields.object("toolConfig", &"")? else { return Ok(()) };
    let calling = config.object("functionCallingConfig", &"toolConfig")?;
    config.rest().for_each(|name| unmapped.note(format!("toolConfig.{name}")));
    let Some(mut calling) = calling else { return Ok(()) };
    let at = &"toolConfig.functionCallingConfig";
    let mode = calling.optional_text("mode", at)?.unwrap_or_default();
    let allowed = allowed_names(&mut calling)?;
    calling.rest().for_each(|name| unmapped.note(format!("toolConfig.functionCallingConfig.{name}")));
    let choice = match mode.to_ascii_uppercase().as_str() {
        "" | "MODE_UNSPECIFIED" => return Ok(()),
        // Validated calls follow their schemas; a text is allowed as well.
        "AUTO" | "VALIDATED" => ToolChoice::Auto,
        "NONE" => ToolChoice::None,
        "ANY" => ToolChoice::Required,
        _ => return Err(wrong(&"toolConfig.functionCallingConfig.mode", "`AUTO`, `ANY`, `NONE` or `VALIDATED`")),
    };
    request.tool_choice = Some(match (choice, allowed.as_slice()) {
        (choice, []) => choice,
        (ToolChoice::Required, [one]) => ToolChoice::Tool(Raw::quoted(one)),
        (choice, _) => {
            // The other tools are not sent.
            request.tools.retain(|tool| tool.name.text().is_some_and(|name| allowed.iter().any(|one| *one == name)));
            choice
        }
    });
    Ok(())
}

fn allowed_names(calling: &mut Fields<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if let Some(raw) = calling.take("allowedFunctionNames") {
        let at = &"toolConfig.functionCallingConfig.allowedFunctionNames";
        each(raw.get(), at, |_, name: Raw<'_>| {
            names.push(name.text().ok_or_else(|| wrong(at, "an array of strings"))?.into_owned());
            Ok(())
        })?;
    }
    Ok(names)
}

const CONFIG: &str = "generationConfig";

fn generation_config<'d>(
    mut fields: Fields<'d>,
    request: &mut ModelRequest<'d>,
    unmapped: &mut UniqueNames<'_>,
) -> Result<()> {
    request.sampling = Sampling {
        temperature: fields.number("temperature", &CONFIG)?,
        top_p: fields.number("topP", &CONFIG)?,
        top_k: fields.number("topK", &CONFIG)?,
        seed: fields.number("seed", &CONFIG)?,
        presence_penalty: fields.number("presencePenalty", &CONFIG)?,
        frequency_penalty: fields.number("frequencyPenalty", &CONFIG)?,
    };
    request.max_tokens = integer(&mut fields, "maxOutputTokens")?;
    request.choices = integer(&mut fields, "candidateCount")?.filter(|count| *count > 1);
    let alternatives = integer(&mut fields, "logprobs")?;
    if fields.boolean("responseLogprobs", &CONFIG)? == Some(true) {
        request.logprobs = Some(alternatives.unwrap_or(0));
    }
    if let Some(raw) = fields.take("stopSequences") {
        let at = &"generationConfig.stopSequences";
        each(raw.get(), at, |_, text: Raw<'d>| {
            let is_text = text.is_text();
            request.stop.push(text);
            is_text.then_some(()).ok_or_else(|| wrong(at, "an array of strings"))
        })?;
    }
    request.response_format = response_format(&mut fields, unmapped)?;
    if let Some(config) = fields.object("thinkingConfig", &CONFIG)? {
        thinking(config, request, unmapped)?;
    }
    if fields.take("responseModalities").is_some_and(|kinds| !is_text_alone(kinds)) {
        unmapped.note("generationConfig.responseModalities");
    }
    fields.rest().for_each(|name| unmapped.note(format!("{CONFIG}.{name}")));
    Ok(())
}

fn integer(fields: &mut Fields<'_>, name: &str) -> Result<Option<u64>> {
    let Some(raw) = fields.take(name) else { return Ok(None) };
    // Protobuf writes large numbers as strings.
    let digits = text_of(raw).unwrap_or(Cow::Borrowed(raw.get()));
    let number = parse_integer(&digits);
    number.map(Some).ok_or_else(|| wrong(&format_args!("{CONFIG}.{name}"), "a whole number"))
}

fn is_text_alone(kinds: &RawValue) -> bool {
    let kinds = serde_json::from_str::<Vec<Cow<'_, str>>>(kinds.get()).unwrap_or_default();
    !kinds.is_empty() && kinds.iter().all(|kind| kind.eq_ignore_ascii_case("text"))
}

fn response_format<'d>(fields: &mut Fields<'d>, unmapped: &mut UniqueNames<'_>) -> Result<Option<ResponseFormat<'d>>> {
    let kind = fields.optional_text("responseMimeType", &CONFIG)?.unwrap_or_default();
    let json = fields.raw("responseJsonSchema");
    let schema = json.or_else(|| fields.raw("responseSchema").map(json_schema)).filter(|schema| !schema.is_blank());
    match (kind.as_ref(), schema) {
        ("application/json", Some(schema)) => Ok(Some(ResponseFormat::Schema { name: None, schema, strict: None })),
        ("application/json", None) => Ok(Some(ResponseFormat::Json)),
        ("" | "text/plain", None) => Ok(None),
        ("" | "text/plain", Some(_)) => {
            Err(wrong(&"generationConfig.responseMimeType", "`application/json` beside a schema"))
        }
        (_, schema) => {
            unmapped.note("generationConfig.responseMimeType");
            if schema.is_some() {
                unmapped.note("generationConfig.responseSchema");
            }
            Ok(None)
        }
    }
}

fn thinking(mut fields: Fields<'_>, request: &mut ModelRequest<'_>, unmapped: &mut UniqueNames<'_>) -> Result<()> {
    let at = "generationConfig.thinkingConfig";
    request.shows_thinking = fields.boolean("includeThoughts", &at)? == Some(true);
    request.thinking = amount_of_thinking(&mut fields, at)?;
    fields.rest().for_each(|name| unmapped.note(format!("{at}.{name}")));
    Ok(())
}

fn amount_of_thinking(fields: &mut Fields<'_>, at: &str) -> Result<Option<Thinking>> {
    let budget = fields.number("thinkingBudget", &at)?;
    let level = fields.optional_text("thinkingLevel", &at)?;
    let level = level.filter(|level| !level.is_empty() && *level != "THINKING_LEVEL_UNSPECIFIED");
    if let Some(level) = level {
        if budget.is_some() {
            return Err(wrong(&format_args!("{at}.thinkingBudget"), "left out beside `thinkingLevel`"));
        }
        let known = LEVELS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&level));
        let known = known.map(|(_, effort)| Some(Thinking::Effort(*effort)));
        let expected = "`MINIMAL`, `LOW`, `MEDIUM` or `HIGH`";
        return known.ok_or_else(|| wrong(&format_args!("{at}.thinkingLevel"), expected));
    }
    let Some(budget) = budget else { return Ok(None) };
    match (budget.get(), parse_integer(budget.get())) {
        ("-1", _) => Ok(Some(Thinking::Free)),
        (_, Some(0)) => Ok(Some(Thinking::Off)),
        (_, Some(tokens)) => Ok(Some(Thinking::Budget(tokens))),
        _ => Err(wrong(&format_args!("{at}.thinkingBudget"), "a number of tokens, 0 or -1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(config: &str) -> Result<String> {
        let body = format!(r#"{{"contents":[],"generation_config":{config}}}"#);
        let document = Document::read(body.as_bytes()).unwrap();
        read(&document).map(|request| format!("{request:?}"))
    }

    #[test]
    fn thinking_has_a_budget_or_a_level() {
        for (json, thinking) in [
            (r#"{"thinkingBudget":0}"#, "Some(Off)"),
            (r#"{"thinking_budget":-1}"#, "Some(Free)"),
            (r#"{"thinkingBudget":512,"includeThoughts":true}"#, "Some(Budget(512))"),
            (r#"{"thinkingLevel":"high"}"#, "Some(Effort(High))"),
            (r#"{"thinking_level":"MINIMAL"}"#, "Some(Effort(Minimal))"),
            (r#"{"thinkingLevel":"THINKING_LEVEL_UNSPECIFIED"}"#, "None"),
        ] {
            let read = config(&format!(r#"{{"thinking_config":{json}}}"#)).unwrap();
            assert!(read.contains(&format!("thinking: {thinking},")), "{json}: {read}");
        }
        for json in
            [r#"{"thinkingBudget":5,"thinkingLevel":"LOW"}"#, r#"{"thinkingBudget":-2}"#, r#"{"thinkingLevel":"X"}"#]
        {
            assert!(config(&format!(r#"{{"thinkingConfig":{json}}}"#)).is_err(), "{json}");
        }
    }

    #[test]
    fn a_field_under_both_names_is_refused() {
        for json in [r#"{"maxOutputTokens":1,"max_output_tokens":9}"#, r#"{"topP":1,"topP":1}"#] {
            assert_eq!(config(json).unwrap_err().param(), Some("generationConfig"), "{json}");
        }
    }

    #[test]
    fn names_of_lost_fields_are_those_of_the_format() {
        let body = r#"{"contents":[{"parts":[{"text":"x","video_metadata":{"fps":1}}]}],"safety_settings":[{}],"labels":{},
            "tools":[{"google_search":{}},{"functionDeclarations":[{"name":"f","behavior":"BLOCKING"}]}],
            "generationConfig":{"responseModalities":["TEXT"],"speech_config":{"a":1}},"serviceTier":"flex"}"#;
        let document = Document::read(body.as_bytes()).unwrap();
        let names = read(&document).unwrap().unmapped_fields.into_vec();
        let expected = [
            "contents[].parts[].videoMetadata",
            "tools[].googleSearch",
            "tools[].functionDeclarations[].behavior",
            "generationConfig.speechConfig",
            "serviceTier",
            "safetySettings",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_only_its_provider_has_is_refused() {
        let body = br#"{"contents":[],"cached_content":"cachedContents/a"}"#;
        assert_eq!(read(&Document::read(body).unwrap()).unwrap_err().param(), Some("cachedContent"));
    }
}
