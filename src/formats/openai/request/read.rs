//! Reads a client's request into the canonical form. Fields without a place there are listed by name.
//! Source: the OpenAI API reference, "Create chat completion".

use super::super::wire::wrong;
use super::reasoning::ReasoningFields;
use super::{read_messages, tools};
use crate::canonical::{ModelRequest, Raw};
use crate::error::Result;
use crate::formats::body::missing;
use crate::wire::json::{Document, is_empty_value, parse_integer};

/// Values that are used after all fields have been read.
#[derive(Default)]
struct DeferredFields<'a> {
    messages: Option<&'a str>,
    tool_choice: Option<&'a str>,
    max_completion_tokens: Option<u64>,
    logprobs: bool,
    top_logprobs: Option<u64>,
    safety_identifier: Option<Raw<'a>>,
    reasoning: ReasoningFields,
}

/// Reads a chat completion request.
///
/// # Errors
/// 400 naming the field that violates the format.
pub(crate) fn read<'d>(document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
    let (mut request, mut deferred) = (ModelRequest::default(), DeferredFields::default());
    for (key, json) in document.members().filter(|(_, json)| *json != "null") {
        if !read_sampling(key, json, &mut request)?
            && !read_field(key, json, &mut request, &mut deferred)?
            && !deferred.reasoning.read(key, json, &mut request.unmapped_fields)?
            && !is_default(key, json)
        {
            request.unmapped_fields.note(key);
        }
    }
    let messages = deferred.messages.ok_or_else(|| missing("messages"))?;
    request.turns = read_messages::read(messages, &mut request.unmapped_fields)?;
    deferred.tool_choice.map_or(Ok(()), |json| tools::read_tool_choice(json, &mut request))?;
    request.max_tokens = deferred.max_completion_tokens.or(request.max_tokens);
    request.logprobs = deferred.logprobs.then(|| deferred.top_logprobs.unwrap_or(0));
    request.user = deferred.safety_identifier.or(request.user);
    request.thinking = deferred.reasoning.thinking();
    Ok(request)
}

/// Reads a sampling parameter; `false` if the field is another one.
fn read_sampling<'d>(key: &'d str, json: &'d str, request: &mut ModelRequest<'d>) -> Result<bool> {
    let place = match key {
        "temperature" => &mut request.sampling.temperature,
        "top_p" => &mut request.sampling.top_p,
        "top_k" => &mut request.sampling.top_k,
        "seed" => &mut request.sampling.seed,
        "presence_penalty" => &mut request.sampling.presence_penalty,
        "frequency_penalty" => &mut request.sampling.frequency_penalty,
        _ => return Ok(false),
    };
    let number = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    *place = Some(Raw::parse(json).filter(|_| number).ok_or_else(|| wrong(key, "a number"))?);
    Ok(true)
}

/// Reads any other field; `false` if the canonical form has no place for it.
fn read_field<'d>(
    key: &'d str,
    json: &'d str,
    request: &mut ModelRequest<'d>,
    deferred: &mut DeferredFields<'d>,
) -> Result<bool> {
    let unmapped = &mut request.unmapped_fields;
    match key {
        // Read by the gateway, or without meaning for a provider of another format.
        "model" | "models" | "stream_options" => {}
        "messages" => deferred.messages = Some(json),
        "tools" => request.tools.extend(tools::read_tools(json, unmapped)?),
        "functions" => request.tools.extend(tools::read_functions(json, unmapped)?),
        "tool_choice" => deferred.tool_choice = Some(json),
        "function_call" => deferred.tool_choice = deferred.tool_choice.or(Some(json)),
        "parallel_tool_calls" => request.parallel_calls = Some(boolean(key, json)?),
        "response_format" => request.response_format = tools::read_response_format(json, unmapped)?,
        "max_completion_tokens" => deferred.max_completion_tokens = Some(whole_number(key, json)?),
        "max_tokens" => request.max_tokens = Some(whole_number(key, json)?),
        "stop" => request.stop = stop_texts(json)?,
        "n" => request.choices = Some(whole_number(key, json)?).filter(|n| *n != 1),
        "logprobs" => deferred.logprobs = boolean(key, json)?,
        "top_logprobs" => deferred.top_logprobs = Some(whole_number(key, json)?),
        "user" => request.user = Some(string(key, json)?),
        "safety_identifier" => deferred.safety_identifier = Some(string(key, json)?),
        "stream" => request.stream = boolean(key, json)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether the value is the provider's default.
fn is_default(key: &str, json: &str) -> bool {
    let defaults: &[&str] = match key {
        "service_tier" => &["\"auto\"", "\"default\""],
        "modalities" => &["[\"text\"]"],
        "verbosity" => &["\"medium\""],
        _ => &[],
    };
    is_empty_value(json) || defaults.contains(&json)
}

fn boolean(key: &str, json: &str) -> Result<bool> {
    json.parse().map_err(|_| wrong(key, "true or false"))
}

fn whole_number(key: &str, json: &str) -> Result<u64> {
    parse_integer(json).ok_or_else(|| wrong(key, "a whole number"))
}

fn string<'d>(key: &str, json: &'d str) -> Result<Raw<'d>> {
    Raw::parse(json).filter(Raw::is_text).ok_or_else(|| wrong(key, "a string"))
}

fn stop_texts(json: &str) -> Result<Vec<Raw<'_>>> {
    let refuse = || wrong("stop", "a string or an array of strings");
    if json.starts_with('"') {
        return Ok(vec![string("stop", json)?]);
    }
    let texts: Vec<Raw<'_>> = serde_json::from_str(json).map_err(|_| refuse())?;
    if texts.iter().all(Raw::is_text) { Ok(texts) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Effort, Media, MediaKind, MediaSource, Part, ResponseFormat, Role, Thinking, ToolChoice};

    fn with_request<T>(body: &str, look: impl Fn(&ModelRequest<'_>) -> T) -> T {
        let document = Document::read(body.as_bytes()).unwrap();
        look(&read(&document).unwrap())
    }

    fn refused(body: &str) -> String {
        let document = Document::read(body.as_bytes()).unwrap();
        let error = read(&document).unwrap_err();
        assert_eq!(error.status(), 400);
        error.param().unwrap().to_owned()
    }

    fn with_messages<T>(messages: &str, look: impl Fn(&ModelRequest<'_>) -> T) -> T {
        with_request(&format!(r#"{{"model":"m","messages":[{messages}]}}"#), look)
    }

    #[test]
    fn every_role_becomes_a_turn() {
        let messages = r#"{"role":"system","content":"s"},{"role":"developer","content":"d"},{"role":"user","content":"u"},
            {"role":"assistant","reasoning_content":"hm","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
            {"role":"tool","tool_call_id":"c","content":"r"},{"role":"assistant","content":"a","refusal":"no"}"#;
        with_messages(messages, |request| {
            let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
            use Role::{Assistant, System, User};
            assert_eq!(roles, [System, System, User, Assistant, User, Assistant]);
            let [Part::Thinking { text, .. }, Part::Call(call)] = request.turns[3].parts.as_slice() else { panic!() };
            assert_eq!((text.get(), call.arguments.get()), ("\"hm\"", "{\"a\":1}"));
            assert!(matches!(&request.turns[4].parts[..], [Part::Result { call, .. }] if call == "c"));
            assert_eq!(request.turns[5].parts.len(), 2);
            assert!(request.unmapped_fields.is_empty(), "{:?}", request.unmapped_fields);
        });
    }

    #[test]
    fn arguments_become_an_object_whatever_they_were() {
        let call = |arguments: &str| {
            let message =
                format!(r#"{{"role":"assistant","tool_calls":[{{"id":"c","function":{{"name":"f"{arguments}}}}}]}}"#);
            with_messages(&message, |request| match &request.turns[0].parts[0] {
                Part::Call(call) => (call.arguments.get().to_owned(), request.unmapped_fields.len()),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(call(""), ("{}".to_owned(), 0));
        assert_eq!(call(r#","arguments":"""#), ("{}".to_owned(), 0));
        assert_eq!(call(r#","arguments":{"x":1}"#), ("{\"x\":1}".to_owned(), 0));
        assert_eq!(call(r#","arguments":"{oops""#), (r#"{"_invalid_json":"{oops"}"#.to_owned(), 1));
        assert_eq!(call(r#","arguments":"[1]""#).1, 1);
    }

    #[test]
    fn calls_of_the_old_kind_find_their_results() {
        let messages = r#"{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"r"}"#;
        with_messages(messages, |request| {
            let (Part::Call(call), Part::Result { call: answered, .. }) =
                (&request.turns[0].parts[0], &request.turns[1].parts[0])
            else {
                panic!()
            };
            assert_eq!(&call.id, answered);
            assert!(request.unmapped_fields.is_empty());
        });
    }

    #[test]
    fn media_are_data_or_urls() {
        let parts = r#"{"role":"user","content":[
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"auto"},"cache_control":{"type":"ephemeral"}},
            {"type":"image_url","image_url":{"url":"https://a/b","detail":"low"}},
            {"type":"input_audio","input_audio":{"data":"BB","format":"wav"}},
            {"type":"file","file":{"filename":"x.pdf","file_data":"data:application/pdf;base64,CC"}},
            {"type":"video_url","video_url":{"url":"u"}}]}"#;
        with_messages(parts, |request| {
            let media: Vec<&Media<'_>> = request.turns[0]
                .parts
                .iter()
                .filter_map(|part| match part {
                    Part::Media(media) => Some(media),
                    _ => None,
                })
                .collect();
            let kinds: Vec<MediaKind> = media.iter().map(|media| media.kind).collect();
            use MediaKind::{Audio, Document, Image};
            assert_eq!(kinds, [Image, Image, Audio, Document]);
            assert_eq!(media[0].source, MediaSource::Data { mime: "image/png".into(), base64: "AA==".into() });
            assert_eq!(media[0].cache.as_ref().map(Raw::get), Some(r#"{"type":"ephemeral"}"#));
            assert_eq!(media[1].source, MediaSource::Url("https://a/b".into()));
            assert_eq!(media[3].name.as_ref().map(Raw::get), Some("\"x.pdf\""));
            let unmapped = ["image_url.detail", "video_url", "video_url"];
            assert!(request.unmapped_fields.iter().all(|name| unmapped.iter().any(|known| name.ends_with(known))));
            assert!(request.unmapped_fields.len() >= 2, "{:?}", request.unmapped_fields);
        });
    }

    #[test]
    fn cache_marks_survive_wherever_they_stand() {
        let mark = r#""cache_control":{"type":"ephemeral","ttl":"1h"}"#;
        let body = format!(
            r#"{{"messages":[{{"role":"system","content":"s",{mark}}},{{"role":"user","content":[{{"type":"text","text":"u",{mark}}}]}},
            {{"role":"tool","tool_call_id":"c","content":"r",{mark}}}],
            "tools":[{{"type":"function","function":{{"name":"f"}},{mark}}}]}}"#
        );
        with_request(&body, |request| {
            for turn in &request.turns {
                let (Part::Text { cache, .. } | Part::Result { cache, .. }) = &turn.parts[0] else { panic!() };
                assert!(cache.as_ref().unwrap().get().contains("1h"));
            }
            assert!(request.tools[0].cache.is_some());
        });
    }

    #[test]
    fn known_fields_are_read_and_the_others_are_named() {
        let body = r#"{"model":"m","messages":[],"max_tokens":5,"max_completion_tokens":9,"n":2,"stop":"x","logprobs":true,
            "top_logprobs":3,"seed":7,"temperature":0.50,"reasoning_effort":"xhigh","user":"u","stream":true,"store":false,
            "stream_options":{"include_usage":true},"logit_bias":{},"metadata":null,"service_tier":"auto","prediction":{"x":1},
            "tools":[{"type":"function","function":{"name":"f","strict":true}},{"type":"function","function":{"name":"g"}},{"type":"custom","custom":{}}],
            "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}},
            "response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"a": 1},"strict":true}}}"#;
        with_request(body, |request| {
            assert_eq!((request.max_tokens, request.choices, request.logprobs), (Some(9), Some(2), Some(3)));
            assert_eq!(request.sampling.temperature.as_ref().map(Raw::get), Some("0.50"));
            assert_eq!(request.thinking, Some(Thinking::Effort(Effort::Higher)));
            assert_eq!((request.tools.len(), &request.tool_choice), (1, &Some(ToolChoice::Required)));
            assert!(
                matches!(&request.response_format, Some(ResponseFormat::Schema { schema, .. }) if schema.get() == r#"{"a": 1}"#)
            );
            assert_eq!(*request.unmapped_fields, ["prediction", "tools[].custom"]);
            assert!(request.stream && request.stop.len() == 1 && request.user.is_some());
        });
    }

    #[test]
    fn a_refusal_names_the_exact_place() {
        let message =
            |message: &str| refused(&format!(r#"{{"messages":[{{"role":"user","content":"x"}},{message}]}}"#));
        assert_eq!(message("1"), "messages[1]");
        assert_eq!(message("[]"), "messages[1]");
        assert_eq!(message("{}"), "messages[1].role");
        assert_eq!(message(r#"{"role":"bot"}"#), "messages[1].role");
        assert_eq!(message(r#"{"role":"user","content":7}"#), "messages[1].content");
        assert_eq!(message(r#"{"role":"user","content":[7]}"#), "messages[1].content[0]");
        assert_eq!(message(r#"{"role":"user","content":[{}]}"#), "messages[1].content[0].type");
        assert_eq!(message(r#"{"role":"user","content":[{"type":"text"}]}"#), "messages[1].content[0].text");
        let image = r#"{"role":"user","content":[{"type":"text","text":""},{"type":"image_url","image_url":{"url":"data:x"}}]}"#;
        assert_eq!(message(image), "messages[1].content[1].image_url");
        assert_eq!(message(r#"{"role":"tool","content":""}"#), "messages[1].tool_call_id");
        let call = r#"{"role":"assistant","tool_calls":[{"id":"c"}]}"#;
        assert_eq!(message(call), "messages[1].tool_calls[0].function");
        for (field, value) in [("stop", "7"), ("n", "\"2\""), ("seed", "\"x\""), ("tools", "{}"), ("user", "1")] {
            assert_eq!(refused(&format!(r#"{{"messages":[],"{field}":{value}}}"#)), field);
        }
        assert_eq!(refused("{}"), "messages");
    }
}
