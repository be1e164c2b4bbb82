//! The parts of a request that become tokens: its texts, and what the format adds to them. The texts are
//! counted elsewhere.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::{read_document, read_model, require_array, wrong_type};
use super::prompt_wire::{Part, Turn, each, object, string};
use crate::error::{Error, Result};
use crate::wire::json::Document;

/// Tokens that the format adds to each message: its start, the separator after its role, and its end.
pub const MESSAGE_TOKENS: u64 = 3;
/// Tokens that the format adds to a message with a name.
pub const NAME_TOKENS: u64 = 1;
/// Tokens that the format adds to a prompt, for the beginning of the response.
pub const RESPONSE_TOKENS: u64 = 3;
/// Tokens that the format adds to a tool call or a tool's description. An estimate: no source is known.
pub const TOOL_TOKENS: u64 = 12;
/// Tokens of an image in high detail, of 1024 × 1024 pixels. Sizes are not read.
pub const IMAGE_TOKENS: u64 = 765;
/// Tokens of an image in low detail.
pub const LOW_DETAIL_IMAGE_TOKENS: u64 = 85;
/// Tokens of any other part, such as audio or a file. An estimate.
pub const PART_TOKENS: u64 = 1_000;

/// The most texts that are counted for one request.
pub const MAX_TEXTS: usize = 100_000;

/// The parts of a prompt that become tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TokenTally {
    /// Texts whose tokens are counted.
    pub texts: Vec<String>,
    /// Further tokens.
    pub besides: u64,
    /// Whether the further tokens are an estimate.
    pub is_estimated: bool,
}

/// A request of `/tokenize`.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenizeRequest {
    /// The model whose encoding counts.
    pub model: String,
    /// What is counted.
    pub subject: Subject,
}

/// What is counted.
#[derive(Debug, PartialEq, Eq)]
pub enum Subject {
    /// A chat, as it would be sent.
    Chat(TokenTally),
    /// One text.
    Text(String),
    /// Texts, each counted separately.
    Texts(Vec<String>),
}

/// Reads the body of a `/tokenize` request: `model`, and `messages` or `input`.
///
/// # Errors
/// 400 with the position or the field at fault.
pub fn read(body: &[u8]) -> Result<TokenizeRequest> {
    let document = read_document(body, &["model", "messages", "input", "tools", "functions"])?;
    let model = read_model(&document)?.name;
    let given = |key| document.value(key).filter(|raw| *raw != "null");
    let subject = match (given("input"), given("messages")) {
        (Some(_), Some(_)) => {
            return Err(Error::caller(400, "invalid_body", "Send `messages` or `input`, not both.").at("input"));
        }
        (Some(input), None) => input_of(input)?,
        (None, _) => {
            require_array(&document, "messages")?;
            Subject::Chat(chat(&document)?)
        }
    };
    Ok(TokenizeRequest { model, subject })
}

fn input_of(raw: &str) -> Result<Subject> {
    if let Ok(text) = serde_json::from_str(raw) {
        return Ok(Subject::Text(text));
    }
    let mut texts: Vec<String> = Vec::new();
    each(raw, |text| {
        let text = serde_json::from_str(text).ok()?;
        if texts.len() <= MAX_TEXTS {
            texts.push(text);
        }
        Some(())
    })
    .ok_or_else(|| wrong_type("input", "a string or an array of strings"))?;
    check_text_count(texts.len())?;
    Ok(Subject::Texts(texts))
}

/// The parts of a chat's prompt.
///
/// # Errors
/// 400 if `messages` is not an array of objects, or if there are too many texts.
pub fn chat(document: &Document<'_>) -> Result<TokenTally> {
    let mut tally = TokenTally { besides: RESPONSE_TOKENS, ..TokenTally::default() };
    let messages = document.value("messages").unwrap_or("[]");
    each(messages, |message| tally.add_message(message))
        .ok_or_else(|| wrong_type("messages", "an array of objects"))?;
    for key in ["tools", "functions"] {
        let _ = each(document.value(key).unwrap_or("[]"), |tool| {
            tally.add_estimate(TOOL_TOKENS);
            tally.add_text(tool.to_owned());
            Some(())
        });
    }
    check_text_count(tally.texts.len())?;
    Ok(tally)
}

/// The parts of any request's prompt: a chat's, or texts and tokens in `prompt` or `input`. `None` if there
/// is none or it cannot be read.
pub fn prompt(document: &Document<'_>) -> Option<TokenTally> {
    if document.value("messages").is_some() {
        return chat(document).ok();
    }
    let raw = ["prompt", "input"].iter().find_map(|field| document.value(field))?;
    let mut tally = TokenTally::default();
    if tally.add_item(raw).is_none() {
        each(raw, |item| tally.add_item(item).or_else(|| each(item, |token| tally.add_item(token))))?;
    }
    check_text_count(tally.texts.len()).ok()?;
    Some(tally)
}

/// The text of a response, from its messages or deltas, one per line as JSON. Lines that cannot be read are
/// skipped.
pub fn response_text(words: &[u8]) -> String {
    let mut text = String::new();
    for line in words.split(|byte| *byte == b'\n') {
        let Some(turn) = std::str::from_utf8(line).ok().and_then(object::<Turn<'_>>) else { continue };
        let texts = [turn.reasoning_content, turn.content, turn.refusal];
        texts.into_iter().filter_map(string).for_each(|texts| text.push_str(&texts));
        // Tool calls are counted with the names of their fields, which is a rough estimate.
        [turn.tool_calls, turn.function_call].into_iter().flatten().for_each(|calls| text.push_str(calls.get()));
    }
    text
}

/// Refuses too many texts: each takes memory of its own, however short it is.
fn check_text_count(texts: usize) -> Result<()> {
    let message = format!("More than {MAX_TEXTS} texts are not counted at once.");
    if texts > MAX_TEXTS { Err(Error::caller(400, "too_many_texts", message)) } else { Ok(()) }
}

impl TokenTally {
    /// Adds a text, or a token given as a number.
    fn add_item(&mut self, raw: &str) -> Option<()> {
        match serde_json::from_str(raw) {
            Ok(text) => self.add_text(text),
            Err(_) => self.besides = self.besides.saturating_add(raw.parse::<u64>().map(|_| 1).ok()?),
        }
        Some(())
    }

    fn add_message(&mut self, raw: &str) -> Option<()> {
        let turn: Turn<'_> = object(raw)?;
        self.besides += MESSAGE_TOKENS + if turn.name.is_some() { NAME_TOKENS } else { 0 };
        let words = [turn.role, turn.name, turn.content, turn.refusal, turn.reasoning_content];
        words.into_iter().filter_map(string).for_each(|text| self.add_text(text));
        // Content of another type is ignored.
        let parts = turn.content.map(RawValue::get).filter(|raw| raw.starts_with('['));
        let _ = parts.map(|parts| {
            each(parts, |part| {
                self.add_part(part);
                Some(())
            })
        });
        let _ = turn.tool_calls.map(|calls| {
            each(calls.get(), |call| {
                self.add_call(call);
                Some(())
            })
        });
        turn.function_call.iter().for_each(|call| self.add_function(call.get()));
        Some(())
    }

    fn add_part(&mut self, raw: &str) {
        #[derive(Deserialize)]
        struct Image<'a> {
            #[serde(borrow)]
            detail: Option<Cow<'a, str>>,
        }
        let Some(part) = object::<Part<'_>>(raw) else { return self.add_estimate(PART_TOKENS) };
        if let Some(text) = string(part.text).or_else(|| string(part.refusal)) {
            return self.add_text(text);
        }
        let image: Option<Image<'_>> = part.image_url.and_then(|image| object(image.get()));
        let is_low = image.and_then(|image| image.detail).is_some_and(|detail| detail == "low");
        match part.kind.as_deref() {
            Some("image_url") => self.add_estimate(if is_low { LOW_DETAIL_IMAGE_TOKENS } else { IMAGE_TOKENS }),
            _ => self.add_estimate(PART_TOKENS),
        }
    }

    fn add_call(&mut self, raw: &str) {
        #[derive(Deserialize)]
        struct Call<'a> {
            #[serde(borrow)]
            function: &'a RawValue,
        }
        object::<Call<'_>>(raw).iter().for_each(|call| self.add_function(call.function.get()));
    }

    fn add_function(&mut self, raw: &str) {
        #[derive(Deserialize)]
        struct Function<'a> {
            #[serde(borrow)]
            name: Option<&'a RawValue>,
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
        }
        let Some(function) = object::<Function<'_>>(raw) else { return };
        self.add_estimate(TOOL_TOKENS);
        [function.name, function.arguments].into_iter().filter_map(string).for_each(|text| self.add_text(text));
    }

    fn add_text(&mut self, text: String) {
        // One text too many is enough for a refusal.
        if !text.is_empty() && self.texts.len() <= MAX_TEXTS {
            self.texts.push(text);
        }
    }

    fn add_estimate(&mut self, tokens: u64) {
        self.besides = self.besides.saturating_add(tokens);
        self.is_estimated = true;
    }
}

/// Writes the response of `/tokenize`. `each`: the count of each text, if the request held several.
pub fn write_count(model: &str, encoding: &str, tokens: u64, each: Option<&[u64]>, estimated: bool) -> Vec<u8> {
    #[derive(Serialize)]
    struct Count<'a> {
        object: &'static str,
        model: &'a str,
        encoding: &'a str,
        tokens: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        per_input: Option<&'a [u64]>,
        estimated: bool,
    }
    let count = Count { object: "token_count", model, encoding, tokens, per_input: each, estimated };
    serde_json::to_vec(&count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(messages: &str) -> TokenTally {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        match read(body.as_bytes()).unwrap().subject {
            Subject::Chat(tally) => tally,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_format_adds_tokens_to_texts() {
        let found = tally(
            r#"[{"role":"user","name":"ann","content":"hi"},{"role":"user","content":[{"type":"text","text":"a"}]}]"#,
        );
        let texts = ["hi", "ann", "user", "a", "user"].map(str::to_owned);
        assert!(texts.iter().all(|text| found.texts.contains(text)) && found.texts.len() == texts.len(), "{found:?}");
        assert_eq!((found.besides, found.is_estimated), (RESPONSE_TOKENS + 2 * MESSAGE_TOKENS + NAME_TOKENS, false));
    }

    #[test]
    fn parts_that_are_not_text_are_estimated() {
        let image = |detail: &str| {
            tally(&format!(r#"[{{"content":[{{"type":"image_url","image_url":{{"url":"u","detail":"{detail}"}}}}]}}]"#))
        };
        assert_eq!((image("low").besides, image("high").besides), (6 + LOW_DETAIL_IMAGE_TOKENS, 6 + IMAGE_TOKENS));
        assert!(image("low").is_estimated);
        assert_eq!(tally(r#"[{"content":[{"type":"input_audio"},7]}]"#).besides, 6 + 2 * PART_TOKENS);
        let call = tally(r#"[{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}],"content":null}]"#);
        assert_eq!((call.texts, call.besides), (vec!["f".to_owned(), "{}".to_owned()], 6 + TOOL_TOKENS));
    }

    #[test]
    fn prompts_are_texts_or_tokens() {
        let found = |body: &str| {
            prompt(&Document::read(body.as_bytes()).unwrap()).map(|tally| (tally.texts.concat(), tally.besides))
        };
        assert_eq!(found(r#"{"input":"a\u00e9"}"#), Some(("aé".into(), 0)));
        assert_eq!(found(r#"{"prompt":["a","b"]}"#), Some(("ab".into(), 0)));
        assert_eq!(found(r#"{"input":[1,2,3]}"#), Some((String::new(), 3)));
        assert_eq!(found(r#"{"input":[[1,2],[3],"a"]}"#), Some(("a".into(), 3)));
        assert_eq!(found(r#"{"messages":[{"role":"a"}],"input":"b"}"#), Some(("a".into(), 6)));
        for none in [r#"{"contents":[]}"#, r#"{"input":7.5}"#, r#"{"input":[{}]}"#, r#"{"input":[[[1]]]}"#] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn a_request_that_cannot_be_counted_is_refused() {
        let refused = |body: &str| {
            let error = read(body.as_bytes()).unwrap_err();
            (error.status(), error.code().unwrap().to_owned(), error.param().map(str::to_owned))
        };
        let at = |code: &str, param: &str| (400, code.to_owned(), Some(param.to_owned()));
        assert_eq!(refused("["), (400, "invalid_json".into(), None));
        assert_eq!(refused(r#"{"input":"x"}"#), at("missing_required_parameter", "model"));
        assert_eq!(refused(r#"{"model":"m"}"#), at("missing_required_parameter", "messages"));
        assert_eq!(refused(r#"{"model":"m","input":7}"#), at("invalid_type", "input"));
        assert_eq!(refused(r#"{"model":"m","input":[1]}"#), at("invalid_type", "input"));
        assert_eq!(refused(r#"{"model":"m","messages":[1]}"#), at("invalid_type", "messages"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"input":""}"#), at("invalid_body", "input"));
        assert_eq!(refused(r#"{"model":"m","input":"a","input":"b"}"#), at("duplicate_key", "input"));
        let many = |item: &str| vec![item; MAX_TEXTS + 1].join(",");
        for body in [format!(r#""input":[{}]"#, many("\"\"")), format!(r#""messages":[{}]"#, many(r#"{"role":"a"}"#))] {
            assert_eq!(refused(&format!(r#"{{"model":"m",{body}}}"#)), (400, "too_many_texts".into(), None));
        }
    }
}
