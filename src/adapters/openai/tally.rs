//! What of a request is counted as tokens: its texts, what the format adds to them, and a bound that no count exceeds. It counts nothing itself.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::inbound;
use crate::error::{Error, Result};
use crate::wire::json::Document;

/// Tokens that the format adds to each message: its start, its role's place, its end.
pub const MESSAGE: u64 = 3;
/// … to a message that has a name.
pub const NAME: u64 = 1;
/// … to the whole, for the beginning of the answer.
pub const ANSWER: u64 = 3;
/// … to a call of a tool, and to the description of one. A guess: nobody has said.
pub const TOOL: u64 = 12;
/// An image in high detail, of 1024 × 1024. Sizes are not looked at.
pub const IMAGE: u64 = 765;
/// An image in low detail.
pub const IMAGE_LOW: u64 = 85;
/// Any other part: sound, a file. A guess.
pub const PART: u64 = 1_000;

/// For a bound: what a part that is no text may cost at most. The dearest image that is known is 48,169; it is also
/// two hours of sound, or a file of a hundred pages.
pub const PART_BOUND: u64 = 65_536;
/// For a bound: what a provider may add to a request of its own accord, such as instructions for the use of tools.
pub const REQUEST_BOUND: u64 = 1_024;

/// What is to be counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Their tokens are to be added up.
    pub texts: Vec<String>,
    /// Tokens besides.
    pub besides: u64,
    /// Whether those are a guess.
    pub guessed: bool,
}

/// A question for a count.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The model asked for.
    pub model: String,
    /// What of it.
    pub subject: Subject,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Subject {
    /// A chat, as it would be sent.
    Chat(Tally),
    /// One text.
    Text(String),
    /// Texts, each of which is counted for itself.
    Texts(Vec<String>),
}

/// Reads the body of a question: `model`, and `messages` or `input`.
///
/// # Errors
/// 400 with the position or the field at fault.
pub fn read(body: &[u8]) -> Result<Question> {
    let document = inbound::document(body, &["model", "messages", "input", "tools", "functions"])?;
    let model = inbound::model(&document)?;
    let given = |key| document.value(key).filter(|raw| *raw != "null");
    let subject = match (given("input"), given("messages")) {
        (Some(_), Some(_)) => {
            return Err(Error::caller(400, "invalid_body", "Send `messages` or `input`, not both.").at("input"));
        }
        (Some(input), None) => input_of(input)?,
        (None, _) => {
            inbound::messages(&document)?;
            Subject::Chat(chat(&document)?)
        }
    };
    Ok(Question { model, subject })
}

fn input_of(raw: &str) -> Result<Subject> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Input {
        Text(String),
        Texts(Vec<String>),
    }
    match serde_json::from_str(raw) {
        Ok(Input::Text(text)) => Ok(Subject::Text(text)),
        Ok(Input::Texts(texts)) => Ok(Subject::Texts(texts)),
        Err(_) => Err(inbound::wrong_type("input", "a string or an array of strings")),
    }
}

/// What a chat's prompt consists of.
///
/// # Errors
/// 400 if `messages` is no array of objects.
pub fn chat(document: &Document<'_>) -> Result<Tally> {
    let raw = document.value("messages").unwrap_or("[]");
    let messages: Vec<serde_json::Map<String, Value>> =
        serde_json::from_str(raw).map_err(|_| inbound::wrong_type("messages", "an array of objects"))?;
    let mut tally = Tally { besides: ANSWER, ..Tally::default() };
    for message in messages {
        tally.besides += MESSAGE + if message.contains_key("name") { NAME } else { 0 };
        for (key, value) in message {
            tally.member(&key, value);
        }
    }
    for key in ["tools", "functions"] {
        let tools = document.value(key).and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok());
        for tool in tools.into_iter().flatten() {
            tally.guess(TOOL);
            tally.texts.push(tool.get().to_owned());
        }
    }
    Ok(tally)
}

impl Tally {
    fn member(&mut self, key: &str, value: Value) {
        match (key, value) {
            ("role" | "name" | "content" | "refusal" | "reasoning_content", Value::String(text)) => {
                self.texts.push(text)
            }
            ("content", Value::Array(parts)) => parts.into_iter().for_each(|part| self.part(part)),
            ("tool_calls", Value::Array(calls)) => calls.iter().for_each(|call| self.call(call.get("function"))),
            ("function_call", call) => self.call(Some(&call)),
            _ => {}
        }
    }

    fn part(&mut self, mut part: Value) {
        let is_low = part.pointer("/image_url/detail").and_then(Value::as_str) == Some("low");
        let kind = part.get("type").and_then(Value::as_str).map(str::to_owned);
        let text = ["text", "refusal"].iter().find_map(|key| match part.get_mut(*key).map(Value::take) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        });
        match (kind.as_deref(), text) {
            (_, Some(text)) => self.texts.push(text),
            (Some("image_url"), None) => self.guess(if is_low { IMAGE_LOW } else { IMAGE }),
            (_, None) => self.guess(PART),
        }
    }

    fn call(&mut self, function: Option<&Value>) {
        let Some(function) = function.filter(|function| function.is_object()) else { return };
        self.guess(TOOL);
        let words = ["name", "arguments"].iter().filter_map(|key| function.get(key).and_then(Value::as_str));
        self.texts.extend(words.map(str::to_owned));
    }

    fn guess(&mut self, tokens: u64) {
        self.besides = self.besides.saturating_add(tokens);
        self.guessed = true;
    }
}

/// What the prompt of a chat may cost at most, in tokens: a token has at least one byte, and what the format adds to a message
/// is less than the bytes around it; to that, allowances for parts that are no text, and for what a provider may add.
pub fn bound(body: &[u8], document: &Document<'_>) -> u64 {
    let raw = document.value("messages").unwrap_or_default();
    let parts = other_parts(raw).unwrap_or_else(|| raw.bytes().filter(|byte| *byte == b'{').count() as u64);
    (body.len() as u64).saturating_add(parts.saturating_mul(PART_BOUND)).saturating_add(REQUEST_BOUND)
}

/// How many parts are no text; `None` if the messages are not understood.
fn other_parts(messages: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Turn<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let turns: Vec<Turn<'_>> = serde_json::from_str(messages).ok()?;
    let mut others = 0;
    for content in turns.iter().filter_map(|turn| turn.content.map(RawValue::get)) {
        if content.starts_with('[') {
            let parts: Vec<Part<'_>> = serde_json::from_str(content).ok()?;
            others += parts.iter().filter(|part| !matches!(part.kind.as_ref(), "text" | "refusal")).count() as u64;
        } else if content.starts_with('{') {
            others += 1;
        }
    }
    Some(others)
}

/// A count as it goes to the client; `each` is the count of each text, where there were several.
pub fn answer(model: &str, encoding: &str, tokens: u64, each: Option<&[u64]>, estimated: bool) -> Vec<u8> {
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

    fn tally(messages: &str) -> Tally {
        let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
        match read(body.as_bytes()).unwrap().subject {
            Subject::Chat(tally) => tally,
            other => panic!("{other:?}"),
        }
    }

    fn bounded(messages: &str) -> u64 {
        let body = format!(r#"{{"messages":{messages}}}"#);
        let bound = bound(body.as_bytes(), &Document::read(body.as_bytes()).unwrap());
        (bound - REQUEST_BOUND - body.len() as u64) / PART_BOUND
    }

    #[test]
    fn texts_are_counted_and_the_format_adds_to_them() {
        let found = tally(
            r#"[{"role":"user","name":"ann","content":"hi"},{"role":"user","content":[{"type":"text","text":"a"}]}]"#,
        );
        let texts = ["hi", "ann", "user", "a", "user"].map(str::to_owned);
        assert!(texts.iter().all(|text| found.texts.contains(text)) && found.texts.len() == texts.len(), "{found:?}");
        assert_eq!((found.besides, found.guessed), (ANSWER + 2 * MESSAGE + NAME, false));
    }

    #[test]
    fn what_is_no_text_is_guessed() {
        let image = |detail: &str| {
            tally(&format!(r#"[{{"content":[{{"type":"image_url","image_url":{{"url":"u","detail":"{detail}"}}}}]}}]"#))
        };
        assert_eq!((image("low").besides, image("high").besides), (6 + IMAGE_LOW, 6 + IMAGE));
        assert!(image("low").guessed);
        assert_eq!(tally(r#"[{"content":[{"type":"input_audio"},7]}]"#).besides, 6 + 2 * PART);
        let call = tally(r#"[{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}],"content":null}]"#);
        assert_eq!((call.texts, call.besides), (vec!["f".to_owned(), "{}".to_owned()], 6 + TOOL));
    }

    #[test]
    fn a_bound_allows_for_parts_that_are_no_text() {
        assert_eq!(bounded(r#"[{"content":"x"},{"content":[{"type":"text"}]}]"#), 0);
        assert_eq!(bounded(r#"[{"content":[{"type":"image_url"},{"type":"text"},{"type":"file"}]}]"#), 2);
        assert_eq!(bounded(r#"[{"content":[{"odd":{}}]}]"#), 3, "not understood: each object may be a part");
        assert_eq!(bounded(r#"[{"content":{"type":"image_url"}}]"#), 1);
    }

    #[test]
    fn a_question_that_cannot_be_answered_is_refused() {
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
    }
}
