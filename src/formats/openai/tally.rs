//! What of a request is counted as tokens: its texts, what the format adds to them, and a bound that no count exceeds. It counts nothing itself.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::inbound;
use crate::error::{Error, Result};
use crate::wire::json::Document;
use crate::wire::list;

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

/// The most texts that are counted for one question.
pub const TEXTS: usize = 100_000;

/// For a bound: what a part that is no text may cost at most. The dearest image that is known is 48,169; it is also
/// two hours of sound, or a file of a hundred pages.
pub const PART_BOUND: u64 = 65_536;
/// For a bound: what a provider may add to a request of its own accord, such as instructions for the use of tools.
pub const REQUEST_BOUND: u64 = 1_024;

/// Whether a request may ask for its prompt to be kept in the provider's cache for an hour: `"ttl":"1h"` stands in it, or a letter of that
/// may stand there escaped.
pub fn may_be_kept_long(body: &[u8]) -> bool {
    [b"1h".as_slice(), b"\\u003", b"\\u006"].iter().any(|word| memchr::memmem::find(body, word).is_some())
}

/// What is to be counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TokenTally {
    /// Their tokens are to be added up.
    pub texts: Vec<String>,
    /// Tokens besides.
    pub besides: u64,
    /// Whether those are a guess.
    pub guessed: bool,
}

/// A question for a count.
#[derive(Debug, PartialEq, Eq)]
pub struct TallySource {
    /// The model asked for.
    pub model: String,
    /// What of it.
    pub subject: Subject,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Subject {
    /// A chat, as it would be sent.
    Chat(TokenTally),
    /// One text.
    Text(String),
    /// Texts, each of which is counted for itself.
    Texts(Vec<String>),
}

/// Reads the body of a question: `model`, and `messages` or `input`.
///
/// # Errors
/// 400 with the position or the field at fault.
pub fn read(body: &[u8]) -> Result<TallySource> {
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
    Ok(TallySource { model, subject })
}

fn input_of(raw: &str) -> Result<Subject> {
    if let Ok(text) = serde_json::from_str(raw) {
        return Ok(Subject::Text(text));
    }
    let mut texts: Vec<String> = Vec::new();
    each(raw, |text| {
        let text = serde_json::from_str(text).ok()?;
        if texts.len() <= TEXTS {
            texts.push(text);
        }
        Some(())
    })
    .ok_or_else(|| inbound::wrong_type("input", "a string or an array of strings"))?;
    sane(texts.len())?;
    Ok(Subject::Texts(texts))
}

/// What a chat's prompt consists of.
///
/// # Errors
/// 400 if `messages` is no array of objects, or if there is too much to be counted.
pub fn chat(document: &Document<'_>) -> Result<TokenTally> {
    let mut tally = TokenTally { besides: ANSWER, ..TokenTally::default() };
    let messages = document.value("messages").unwrap_or("[]");
    each(messages, |message| tally.message(message))
        .ok_or_else(|| inbound::wrong_type("messages", "an array of objects"))?;
    for key in ["tools", "functions"] {
        let _ = each(document.value(key).unwrap_or("[]"), |tool| {
            tally.guess(TOOL);
            tally.take(tool.to_owned());
            Some(())
        });
    }
    sane(tally.texts.len())?;
    Ok(tally)
}

/// What the prompt of any request consists of: a chat's, or texts and tokens in `prompt` or `input`. `None` if there is none, or it is not
/// understood.
pub fn prompt(document: &Document<'_>) -> Option<TokenTally> {
    if document.value("messages").is_some() {
        return chat(document).ok();
    }
    let raw = ["prompt", "input"].iter().find_map(|field| document.value(field))?;
    let mut tally = TokenTally::default();
    if tally.question(raw).is_none() {
        each(raw, |item| tally.question(item).or_else(|| each(item, |token| tally.question(token))))?;
    }
    sane(tally.texts.len()).ok()?;
    Some(tally)
}

/// The text of an answer, of its messages or pieces of messages, each JSON on a line of its own. What has no text has none.
pub fn spoken(words: &[u8]) -> String {
    let mut text = String::new();
    for line in words.split(|byte| *byte == b'\n') {
        let Some(turn) = std::str::from_utf8(line).ok().and_then(object::<Turn<'_>>) else { continue };
        let said = [turn.reasoning_content, turn.content, turn.refusal];
        said.into_iter().filter_map(string).for_each(|said| text.push_str(&said));
        // The calls of tools are counted with the names of their fields: an estimate of an estimate.
        [turn.tool_calls, turn.function_call].into_iter().flatten().for_each(|calls| text.push_str(calls.get()));
    }
    text
}

/// Each text takes memory of its own, however short it is.
fn sane(texts: usize) -> Result<()> {
    let message = format!("More than {TEXTS} texts are not counted at once.");
    if texts > TEXTS { Err(Error::caller(400, "too_many_texts", message)) } else { Ok(()) }
}

/// Hands over the items of an array one by one, as JSON, without holding them all; `None` if it is no array, or one is refused.
pub(super) fn each<'a>(raw: &'a str, mut take: impl FnMut(&'a str) -> Option<()>) -> Option<()> {
    list::each(raw, |item: &'a RawValue| take(item.get()).is_some()).ok()
}

/// An object's members; any other JSON would pass for some of them.
fn object<'a, T: Deserialize<'a>>(raw: &'a str) -> Option<T> {
    serde_json::from_str(raw).ok().filter(|_| raw.starts_with('{'))
}

fn string(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    /// Parts in the result of a tool.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    /// What may hold those of a document.
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
}

impl TokenTally {
    /// A text, or a token.
    fn question(&mut self, raw: &str) -> Option<()> {
        match serde_json::from_str(raw) {
            Ok(text) => self.take(text),
            Err(_) => self.besides = self.besides.saturating_add(raw.parse::<u64>().map(|_| 1).ok()?),
        }
        Some(())
    }

    fn message(&mut self, raw: &str) -> Option<()> {
        let turn: Turn<'_> = object(raw)?;
        self.besides += MESSAGE + if turn.name.is_some() { NAME } else { 0 };
        let words = [turn.role, turn.name, turn.content, turn.refusal, turn.reasoning_content];
        words.into_iter().filter_map(string).for_each(|text| self.take(text));
        // What is of another kind is left out.
        let parts = turn.content.map(RawValue::get).filter(|raw| raw.starts_with('['));
        let _ = parts.map(|parts| {
            each(parts, |part| {
                self.part(part);
                Some(())
            })
        });
        let _ = turn.tool_calls.map(|calls| {
            each(calls.get(), |call| {
                self.call(call);
                Some(())
            })
        });
        turn.function_call.iter().for_each(|call| self.function(call.get()));
        Some(())
    }

    fn part(&mut self, raw: &str) {
        #[derive(Deserialize)]
        struct Image<'a> {
            #[serde(borrow)]
            detail: Option<Cow<'a, str>>,
        }
        let Some(part) = object::<Part<'_>>(raw) else { return self.guess(PART) };
        if let Some(text) = string(part.text).or_else(|| string(part.refusal)) {
            return self.take(text);
        }
        let image: Option<Image<'_>> = part.image_url.and_then(|image| object(image.get()));
        let is_low = image.and_then(|image| image.detail).is_some_and(|detail| detail == "low");
        match part.kind.as_deref() {
            Some("image_url") => self.guess(if is_low { IMAGE_LOW } else { IMAGE }),
            _ => self.guess(PART),
        }
    }

    fn call(&mut self, raw: &str) {
        #[derive(Deserialize)]
        struct Call<'a> {
            #[serde(borrow)]
            function: &'a RawValue,
        }
        object::<Call<'_>>(raw).iter().for_each(|call| self.function(call.function.get()));
    }

    fn function(&mut self, raw: &str) {
        #[derive(Deserialize)]
        struct Function<'a> {
            #[serde(borrow)]
            name: Option<&'a RawValue>,
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
        }
        let Some(function) = object::<Function<'_>>(raw) else { return };
        self.guess(TOOL);
        [function.name, function.arguments].into_iter().filter_map(string).for_each(|text| self.take(text));
    }

    fn take(&mut self, text: String) {
        // One more than may be is enough to be refused.
        if !text.is_empty() && self.texts.len() <= TEXTS {
            self.texts.push(text);
        }
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
    let mut others = 0;
    each(messages, |message| {
        let turn = object::<Turn<'_>>(message)?;
        // What was said before, as sound, is read again by its id.
        others += u64::from(turn.audio.is_some()) + nested_parts(turn.content, NESTED_PARTS)?;
        Some(())
    })?;
    Some(others)
}

/// So deep do parts hold parts: the results of tools hold documents, and these hold pictures.
const NESTED_PARTS: u8 = 4;

/// How many parts of some content are no text: those in which others stand count as one, or as those.
fn nested_parts(content: Option<&RawValue>, depth: u8) -> Option<u64> {
    let content = content.map_or("", RawValue::get);
    if !content.starts_with('[') {
        return Some(u64::from(content.starts_with('{')));
    }
    let (mut others, depth) = (0_u64, depth.checked_sub(1)?);
    each(content, |part| {
        let part = object::<Part<'_>>(part)?;
        let inside = nested_parts(part.content, depth)?.saturating_add(
            part.source
                .and_then(|source| object::<Turn<'_>>(source.get()))
                .map_or(Some(0), |source| nested_parts(source.content, depth))?,
        );
        let is_text = matches!(part.kind?.as_ref(), "text" | "refusal");
        others = others.saturating_add(inside.max(u64::from(!is_text)));
        Some(())
    })?;
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

    fn tally(messages: &str) -> TokenTally {
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
        let result =
            |content: &str| bounded(&format!(r#"[{{"content":[{{"type":"tool_result","content":{content}}}]}}]"#));
        let image = r#"{"type":"image","source":{"type":"url","url":"u"}}"#;
        assert_eq!(result(&format!("[{image},{image},{image}]")), 3, "each of them, not one for all");
        assert_eq!((result("\"x\""), result(r#"[{"type":"text","text":"x"}]"#), result("[7]")), (1, 1, 2));
        let document = format!(r#"{{"type":"document","source":{{"type":"content","content":[{image},{image}]}}}}"#);
        assert_eq!(result(&format!("[{document},{image}]")), 3);
        let deep = format!("{}{}{}", r#"[{"type":"tool_result","content":"#.repeat(50), "[]", "}]".repeat(50));
        assert_eq!(bounded(&format!(r#"[{{"content":{deep}}}]"#)), 51, "not understood");
        assert_eq!(
            bounded(r#"[{"content":"x"},{"role":"assistant","audio":{"id":"a"}},{"audio":null,"content":null}]"#),
            1
        );
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
        let many = |item: &str| vec![item; TEXTS + 1].join(",");
        for body in [format!(r#""input":[{}]"#, many("\"\"")), format!(r#""messages":[{}]"#, many(r#"{"role":"a"}"#))] {
            assert_eq!(refused(&format!(r#"{{"model":"m",{body}}}"#)), (400, "too_many_texts".into(), None));
        }
    }
}
