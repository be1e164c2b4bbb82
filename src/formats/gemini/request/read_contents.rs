//! Reads the system instruction and the contents of a client's request, part by part.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Display;

use super::super::sealed::read_signature;
use super::fields::{Fields, each, required, wrong};
use crate::canonical::{Media, MediaKind, MediaSource, Part, Raw, Role, ToolCall, Turn, UniqueNames, text_of};
use crate::error::{Error, Result};
use crate::formats::media_type::media_type;

/// The calls of a conversation. Ids are optional: a result without one belongs to the first call of its tool that
/// has none yet.
#[derive(Default)]
struct Calls {
    /// The ids of calls without a result, by the tool's name.
    open: HashMap<String, VecDeque<String>>,
    /// The ids that calls have, as they are written.
    given: HashSet<String>,
    made: usize,
    /// The sealed states that the client carried, by the ids of their calls.
    sealed: SealedStates,
}

type SealedStates = Vec<(Cow<'static, str>, Cow<'static, str>)>;

/// What separates the tool's name from the id in the ids that some clients make of those that they were given.
const ID_SEPARATOR: &str = "__";

impl Calls {
    /// The id of a call.
    fn open(&mut self, given: Option<&str>, name: &str) -> String {
        let id = match given.filter(|id| !id.is_empty()) {
            Some(id) => {
                let own = own_id(id, name);
                // Two ids that differ by their tool alone stay as they are.
                if self.given.contains(own) { id.to_owned() } else { own.to_owned() }
            }
            None => {
                self.made = self.made.saturating_add(1);
                format!("call_{}", self.made)
            }
        };
        self.given.insert(id.clone());
        self.open.entry(name.to_owned()).or_default().push_back(id.clone());
        id
    }

    /// The id of the call that a result belongs to.
    fn close(&mut self, given: Option<&str>, name: &str) -> Option<String> {
        let open = self.open.get_mut(name);
        match given.filter(|id| !id.is_empty()) {
            Some(id) => {
                let is_same = |known: &String| known == id || known == own_id(id, name);
                let found = open.and_then(|open| open.remove(open.iter().position(is_same)?));
                Some(found.unwrap_or_else(|| own_id(id, name).to_owned()))
            }
            None => open.and_then(VecDeque::pop_front),
        }
    }
}

/// An id without the tool's name that the client put before it: providers know it without.
fn own_id<'i>(id: &'i str, name: &str) -> &'i str {
    let own = id.strip_prefix(name).and_then(|rest| rest.strip_prefix(ID_SEPARATOR));
    own.filter(|own| !own.is_empty()).unwrap_or(id)
}

/// Reads the values of `systemInstruction` and `contents`; also the sealed states of its calls.
///
/// # Errors
/// 400 naming the place that violates the format, or that another provider cannot read.
pub(crate) fn read<'d>(
    system: Option<&'d str>,
    contents: Option<&'d str>,
    unmapped: &mut UniqueNames<'_>,
) -> Result<(Vec<Turn<'d>>, SealedStates)> {
    let (mut turns, mut calls) = (Vec::new(), Calls::default());
    if let Some(system) = system {
        let parts = system_parts(system, &mut calls, unmapped)?;
        if !parts.is_empty() {
            turns.push(Turn { role: Role::System, parts });
        }
    }
    each(contents.ok_or_else(|| required(&"contents"))?, &"contents", |index, fields: Fields<'d>| {
        let at = format_args!("contents[{index}]");
        let turn = content(fields, &at, &mut calls, unmapped)?;
        if !turn.parts.is_empty() {
            turns.push(turn);
        }
        Ok(())
    })?;
    Ok((turns, calls.sealed))
}

/// Reads a system instruction: a content whose role does not matter, or a text.
fn system_parts<'d>(raw: &'d str, calls: &mut Calls, unmapped: &mut UniqueNames<'_>) -> Result<Vec<Part<'d>>> {
    let at = &"systemInstruction";
    match Raw::parse(raw).filter(Raw::is_text) {
        Some(text) => Ok(vec![Part::Text { text, cache: None }]),
        None => {
            let mut fields = Fields::read(raw, at)?;
            fields.take("role");
            content(fields, at, calls, unmapped).map(|turn| turn.parts)
        }
    }
}

fn content<'d>(
    mut fields: Fields<'d>,
    at: &dyn Display,
    calls: &mut Calls,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Turn<'d>> {
    let role = match fields.optional_text("role", at)?.as_deref() {
        None | Some("" | "user" | "function" | "tool") => Role::User,
        Some("model") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => return Err(wrong(&format_args!("{at}.role"), "`user` or `model`")),
    };
    let mut parts = Vec::new();
    if let Some(raw) = fields.take("parts") {
        each(raw.get(), &format_args!("{at}.parts"), |index, mut part: Fields<'d>| {
            let at = format_args!("{at}.parts[{index}]");
            parts.extend(read_part(&mut part, &at, calls, unmapped)?);
            part.rest().for_each(|name| unmapped.note(format!("contents[].parts[].{name}")));
            Ok(())
        })?;
    }
    fields.rest().for_each(|name| unmapped.note(format!("contents[].{name}")));
    Ok(Turn { role, parts })
}

/// Reads a part; `None` if it has nothing that is carried.
fn read_part<'d>(
    part: &mut Fields<'d>,
    at: &dyn Display,
    calls: &mut Calls,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Option<Part<'d>>> {
    // A provider's signature is read by itself alone.
    let signed = part.word("thoughtSignature").and_then(|signature| read_signature(&signature));
    let signed_id = signed.as_ref().map(|(id, _)| id.clone());
    calls.sealed.extend(signed.map(|(id, sealed)| (Cow::Owned(id), Cow::Owned(sealed))));
    let is_thought = part.boolean("thought", at)? == Some(true);
    if let Some(text) = part.optional_json_text("text", at)? {
        if signed_id.is_some() && text.is_blank() {
            return Ok(None);
        }
        let text_part =
            if is_thought { Part::Thinking { text, signature: None } } else { Part::Text { text, cache: None } };
        return Ok(Some(text_part));
    }
    if let Some(call) = part.object("functionCall", at)? {
        let at = format_args!("{at}.functionCall");
        return read_call(call, signed_id, &at, calls, unmapped).map(|call| Some(Part::Call(call)));
    }
    if let Some(result) = part.object("functionResponse", at)? {
        return read_result(result, &format_args!("{at}.functionResponse"), calls, unmapped).map(Some);
    }
    read_media(part, at, unmapped).map(|media| media.map(Part::Media))
}

/// Reads a call. Clients may leave its id out, which stands in its signature as well.
fn read_call<'d>(
    mut fields: Fields<'d>,
    signed_id: Option<String>,
    at: &dyn Display,
    calls: &mut Calls,
    unmapped: &mut UniqueNames<'_>,
) -> Result<ToolCall<'d>> {
    let (id, name) = (fields.optional_text("id", at)?, fields.text("name", at)?);
    let id = id.filter(|id| !id.is_empty()).or(signed_id.map(Cow::Owned));
    let arguments = fields.raw("args").or_else(|| Raw::parse("{}"));
    let arguments = arguments.filter(|args| args.get().starts_with('{'));
    let arguments = arguments.ok_or_else(|| wrong(&format_args!("{at}.args"), "an object"))?;
    fields.rest().for_each(|name| unmapped.note(format!("contents[].parts[].functionCall.{name}")));
    let id = calls.open(id.as_deref(), &name);
    Ok(ToolCall { id: Cow::Owned(id), name, arguments, reasoning_state: None, cache: None })
}

fn read_result<'d>(
    mut fields: Fields<'d>,
    at: &dyn Display,
    calls: &mut Calls,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Part<'d>> {
    let (id, name) = (fields.optional_text("id", at)?, fields.text("name", at)?);
    let call = calls.close(id.as_deref(), &name).ok_or_else(|| {
        let message = format!("`{at}` is the result of a call of {name:?}, but there is no such call before it.");
        Error::caller(400, "unknown_tool_call", message).at(at.to_string())
    })?;
    let (text, failed) = match fields.raw("response") {
        Some(response) if !response.get().starts_with('{') => {
            return Err(wrong(&format_args!("{at}.response"), "an object"));
        }
        Some(response) => outcome(&response),
        None => (Raw::quoted(""), false),
    };
    let mut parts = vec![Part::Text { text, cache: None }];
    if let Some(raw) = fields.take("parts") {
        each(raw.get(), &format_args!("{at}.parts"), |index, mut part: Fields<'d>| {
            let at = format_args!("{at}.parts[{index}]");
            parts.extend(read_media(&mut part, &at, unmapped)?.map(Part::Media));
            part.rest().for_each(|name| unmapped.note(format!("contents[].parts[].functionResponse.parts[].{name}")));
            Ok(())
        })?;
    }
    fields.rest().for_each(|name| unmapped.note(format!("contents[].parts[].functionResponse.{name}")));
    Ok(Part::Result { call: Cow::Owned(call), parts, failed, cache: None })
}

/// The text of a result, and whether the tool failed. By convention an object with the key `output` or `error`
/// holds a text; other objects are carried as JSON.
fn outcome(response: &Raw<'_>) -> (Raw<'static>, bool) {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outcome<'a> {
        #[serde(borrow)]
        output: Option<Raw<'a>>,
        #[serde(borrow)]
        result: Option<Raw<'a>>,
        #[serde(borrow)]
        error: Option<Raw<'a>>,
    }
    let text = |raw: &Raw<'_>| if raw.is_text() { raw.owned() } else { Raw::quoted(raw.get()) };
    match serde_json::from_str::<Outcome<'_>>(response.get()) {
        Ok(Outcome { output: Some(output), result: None, error: None }) if output.is_text() => (text(&output), false),
        Ok(Outcome { output: None, result: Some(result), error: None }) if result.is_text() => (text(&result), false),
        Ok(Outcome { output: None, result: None, error: Some(error) }) => (text(&error), true),
        _ => (Raw::quoted(response.get()), false),
    }
}

fn read_media<'d>(
    part: &mut Fields<'d>,
    at: &dyn Display,
    unmapped: &mut UniqueNames<'_>,
) -> Result<Option<Media<'d>>> {
    let (field, source, mime, name) = if let Some(mut blob) = part.object("inlineData", at)? {
        let at = format_args!("{at}.inlineData");
        let (label, base64) = (blob.optional_text("mimeType", &at)?.unwrap_or_default(), blob.text("data", &at)?);
        let mime = media_type(label, &base64);
        let source = MediaSource::Data { mime: mime.clone(), base64 };
        ("inlineData", source, mime, blob.optional_json_text("displayName", &at)?)
    } else if let Some(mut file) = part.object("fileData", at)? {
        let at = format_args!("{at}.fileData");
        let uri = file.text("fileUri", &at)?;
        refuse_stored(&uri, &at)?;
        let label = file.take("mimeType").and_then(text_of).filter(|label| !label.is_empty());
        let mime = label.unwrap_or_else(|| type_by_path(&uri).into());
        ("fileData", MediaSource::Url(uri), mime, file.optional_json_text("displayName", &at)?)
    } else {
        return Ok(None);
    };
    let kind = match mime.split_once('/').map_or(mime.as_ref(), |(kind, _)| kind) {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "application" | "text" => MediaKind::Document,
        // Videos, for which there is no common form, and addresses of unknown things.
        _ => {
            unmapped.note(format!("contents[].parts[].{field}"));
            return Ok(None);
        }
    };
    Ok(Some(Media { kind, source, name: name.filter(|_| kind == MediaKind::Document), cache: None }))
}

/// The type of what an address leads to, by its path; a word of no kind if that says nothing.
pub(crate) fn type_by_path(uri: &str) -> &'static str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("png" | "jpg" | "jpeg" | "gif" | "webp") => "image/*",
        Some("pdf") => "application/pdf",
        _ => "unknown",
    }
}

/// Whether only its provider can read a file.
pub(crate) fn is_stored(uri: &str) -> bool {
    let is_web = ["https://", "http://"].iter().any(|scheme| uri.starts_with(scheme));
    !is_web || uri.contains("/v1beta/files/") || uri.contains("/v1/files/")
}

/// Refuses a file that only its provider can read.
fn refuse_stored(uri: &str, at: &dyn Display) -> Result<()> {
    if !is_stored(uri) {
        return Ok(());
    }
    let message = format!(
        "`{at}.fileUri` names a file that is stored at another provider than the one that serves this model. Send it as \
         `inlineData`, or by a URL that everyone can read."
    );
    Err(Error::caller(400, "unsupported_parameter", message).at(format!("{at}.fileUri")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(contents: &str) -> Vec<String> {
        let mut unmapped = UniqueNames::default();
        let (turns, _) = read(None, Some(contents), &mut unmapped).unwrap();
        turns.iter().flat_map(|turn| &turn.parts).map(|part| format!("{part:?}")).collect()
    }

    fn ids(contents: &str) -> Vec<String> {
        let mut unmapped = UniqueNames::default();
        let (turns, _) = read(None, Some(contents), &mut unmapped).unwrap();
        let id = |part: &Part<'_>| match part {
            Part::Call(call) => format!("{} {}", call.name, call.id),
            Part::Result { call, .. } => format!("= {call}"),
            _ => String::new(),
        };
        turns.iter().flat_map(|turn| &turn.parts).map(id).collect()
    }

    #[test]
    fn results_find_their_calls_with_ids_and_without() {
        let without = r#"[{"role":"model","parts":[{"functionCall":{"name":"f"}},{"function_call":{"name":"g","args":{}}},{"functionCall":{"name":"f"}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"g","response":{}}},{"functionResponse":{"name":"f","response":{}}},{"function_response":{"name":"f","response":{}}}]}]"#;
        assert_eq!(ids(without), ["f call_1", "g call_2", "f call_3", "= call_2", "= call_1", "= call_3"]);
        let renamed = r#"[{"role":"model","parts":[{"functionCall":{"id":"f__toolu_1","name":"f"}},{"functionCall":{"id":"g__toolu_1","name":"g"}}]},
            {"parts":[{"functionResponse":{"id":"g__toolu_1","name":"g","response":{}}},{"functionResponse":{"id":"f__toolu_1","name":"f","response":{}}}]}]"#;
        assert_eq!(ids(renamed), ["f toolu_1", "g g__toolu_1", "= g__toolu_1", "= toolu_1"]);
        let error = read(None, Some(r#"[{"parts":[{"functionResponse":{"name":"f"}}]}]"#), &mut UniqueNames::default());
        assert_eq!(error.unwrap_err().param(), Some("contents[0].parts[0].functionResponse"));
    }

    #[test]
    fn a_result_is_a_text_an_error_or_json() {
        for (response, text, failed) in [
            (r#"{"output":"a\n"}"#, r#""a\n""#, false),
            (r#"{"result":"a"}"#, r#""a""#, false),
            (r#"{"error":"no"}"#, r#""no""#, true),
            (r#"{"output":"a","exit":0}"#, r#""{\"output\":\"a\",\"exit\":0}""#, false),
            (r#"{"output":7}"#, r#""{\"output\":7}""#, false),
        ] {
            let (written, has_failed) = outcome(&Raw::parse(response).unwrap());
            assert_eq!((written.get(), has_failed), (text, failed), "{response}");
        }
    }

    #[test]
    fn signatures_stay_with_their_provider_and_thoughts_are_no_text() {
        let parts = turns(
            r#"[{"role":"model","parts":[{"text":"hm","thought":true},{"text":"","thought_signature":"c2ln"},{"text":"yes","thoughtSignature":"c2ln"}]}]"#,
        );
        assert!(parts[0].starts_with("Thinking") && parts[2].contains("yes"), "{parts:?}");
        assert!(!parts.concat().contains("c2ln"), "{parts:?}");
    }

    #[test]
    fn a_file_that_only_its_provider_can_read_is_refused() {
        for uri in ["gs://b/o.png", "files/abc", "https://x.example/v1beta/files/abc"] {
            let contents = format!(r#"[{{"parts":[{{"fileData":{{"fileUri":"{uri}"}}}}]}}]"#);
            let error = read(None, Some(&contents), &mut UniqueNames::default()).unwrap_err();
            assert_eq!(error.param(), Some("contents[0].parts[0].fileData.fileUri"), "{uri}");
        }
        assert_eq!(turns(r#"[{"parts":[{"file_data":{"file_uri":"https://x.example/a.png"}}]}]"#).len(), 1);
    }

    #[test]
    fn an_address_is_of_the_kind_that_is_stated_or_that_its_path_says() {
        for (file, kind) in [
            (r#"{"fileUri":"https://x.example/a.JPG?w=9#x"}"#, "kind: Image"),
            (r#"{"fileUri":"https://x.example/a.pdf","displayName":"a.pdf"}"#, r#"name: Some("a.pdf")"#),
            (r#"{"fileUri":"https://x.example/watch?v=a.png","mimeType":""}"#, ""),
            (r#"{"fileUri":"https://x.example/a","mimeType":"video/mp4"}"#, ""),
            (r#"{"fileUri":"https://x.example/a","mimeType":"image/png"}"#, "kind: Image"),
        ] {
            let contents = format!(r#"[{{"parts":[{{"text":"t"}},{{"fileData":{file}}}]}}]"#);
            let mut unmapped = UniqueNames::default();
            let (turns, _) = read(None, Some(&contents), &mut unmapped).unwrap();
            let read = turns[0].parts.get(1).map(|part| format!("{part:?}")).unwrap_or_default();
            assert!(read.contains(kind) && read.is_empty() == kind.is_empty(), "{file}: {read}");
            let named = unmapped.iter().any(|name| name == "contents[].parts[].fileData");
            assert_eq!(named, kind.is_empty(), "{file}");
        }
    }
}
