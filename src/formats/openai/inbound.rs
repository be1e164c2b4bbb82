//! The client's side: reads the fields that decide a request's way, writes errors.

use serde::Deserialize;
use serde_json::Value;

use super::task::Operation;
use super::wire::{ErrorBody, ErrorFields};
use crate::error::{Error, Result};
use crate::wire::dense::tree;
use crate::wire::json::{Document, Flaw, MOST_MEMBERS};
use crate::wire::sse;

/// A request as it came, with the few fields read that decide its way.
pub struct RequestEnvelope<'a> {
    /// What is asked for.
    pub operation: &'static Operation,
    /// The body, to be edited in place.
    pub document: Document<'a>,
    /// The model asked for.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client wants the usage at the end of a stream, if it says so.
    pub include_usage: Option<bool>,
    /// Whether it wants to be told there as well what the answer cost: a field of this gateway.
    pub include_cost: bool,
    /// How many questions are asked at once.
    pub questions: u64,
    /// How many answers are asked for: OpenAI's `n` to each question.
    pub choices: u64,
    /// The longest answer that the gateway allows, where it sets a limit of its own, in tokens.
    pub limit: Option<u64>,
}

/// Reads the body of a request for `task`.
///
/// # Errors
/// 400 with the position or the field at fault.
pub fn read<'a>(body: &'a [u8], task: &'static Operation) -> Result<RequestEnvelope<'a>> {
    let document = document(body, task.reads)?;
    let model = model(&document)?;
    let questions = task.questions(&document)?;
    let ask = RequestEnvelope {
        operation: task,
        document,
        model,
        stream: false,
        include_usage: None,
        include_cost: false,
        questions,
        choices: questions,
        limit: None,
    };
    if task.tells { told(ask) } else { Ok(ask) }
}

/// How the answer is to be told.
fn told(ask: RequestEnvelope<'_>) -> Result<RequestEnvelope<'_>> {
    let stream = match ask.document.value("stream") {
        None | Some("null" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(wrong_type("stream", "true or false")),
    };
    let (include_usage, include_cost) = stream_options(&ask.document);
    let choices = ask.document.value("n").and_then(count).unwrap_or(1).saturating_mul(ask.questions);
    Ok(RequestEnvelope { stream, include_usage, include_cost, choices, ..ask })
}

/// Fields that ask for several answers, of which some may be told: by the names that one provider or another takes.
const DRAWN: &[&str] = &["n", "best_of", "num_return_sequences", "candidate_count", "candidateCount"];

/// How many answers a provider may draw to each question of a request, as it is sent.
pub fn drawn(document: &Document<'_>) -> u64 {
    let asked = document.edited().filter(|(key, _)| DRAWN.contains(key)).filter_map(|(_, value)| count(value));
    asked.max().unwrap_or(1).max(1)
}

/// A count as providers may take it: `2`, and by lenient ones `2.0`, `"2"` and `" 2_0 "`.
fn count(raw: &str) -> Option<u64> {
    let text = serde_json::from_str::<String>(raw).ok();
    let plain = text.map(|text| text.trim().replace('_', ""));
    let number: f64 = plain.as_deref().unwrap_or(raw).parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let number = number.ceil() as u64;
    Some(number).filter(|number| *number > 0)
}

/// A body in which none of these keys stands twice.
pub(super) fn document<'a>(body: &'a [u8], keys: &[&'static str]) -> Result<Document<'a>> {
    let document = Document::read(body).map_err(refuse)?;
    if let Some(key) = document.repeated(keys) {
        let message = format!("`{key}` stands in the body more than once.");
        return Err(Error::caller(400, "duplicate_key", message).at(key));
    }
    Ok(document)
}

/// A body that is no JSON object, as an error.
pub fn refuse(flaw: Flaw) -> Error {
    match flaw {
        Flaw::Syntax { line, column, reason } => {
            let message = format!("The body is not valid JSON: {reason} (line {line}, column {column}).");
            Error::caller(400, "invalid_json", message)
        }
        Flaw::NotAnObject => Error::caller(400, "invalid_body", "The body must be a JSON object."),
        Flaw::TooManyMembers => Error::caller(
            400,
            "invalid_body",
            format!("The body must be an object with at most {MOST_MEMBERS} members."),
        ),
    }
}

/// The model's name.
pub(super) fn model(document: &Document<'_>) -> Result<String> {
    let raw = document.value("model").filter(|raw| *raw != "null").ok_or_else(|| missing("model"))?;
    let model: String = serde_json::from_str(raw).map_err(|_| wrong_type("model", "a string"))?;
    if model.is_empty() { Err(missing("model")) } else { Ok(model) }
}

/// That there are messages.
pub(super) fn messages(document: &Document<'_>) -> Result<()> {
    let raw = document.value("messages").filter(|raw| *raw != "null").ok_or_else(|| missing("messages"))?;
    if raw.starts_with('[') { Ok(()) } else { Err(wrong_type("messages", "an array")) }
}

/// Whether the usage is wanted, if the client says so, and whether the cost is. Whoever wants the cost wants the usage.
fn stream_options(document: &Document<'_>) -> (Option<bool>, bool) {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
        include_cost: Option<bool>,
    }
    let options = document.value("stream_options").and_then(|raw| serde_json::from_str::<Options>(raw).ok());
    let (usage, cost) =
        options.map_or((None, false), |options| (options.include_usage, options.include_cost.unwrap_or(false)));
    (usage.or(cost.then_some(true)), cost)
}

/// Puts the chunk that tells the usage, if it was kept back, into the last words of a stream, with what the answer cost: JSON, in dollars.
/// In those of a stream that `is_whole` it stands before `[DONE]`, in others before all.
pub fn tell_cost(kept: Option<&[u8]>, cost: &str, is_whole: bool, tail: &mut Vec<u8>) {
    if let Some(told) = kept.and_then(|chunk| with_cost(chunk, cost)) {
        let at = if is_whole { tail.len().saturating_sub(super::wire::DONE.len()) } else { 0 };
        tail.splice(at..at, told);
    }
}

/// The event that tells the usage and the cost, and nothing that its chunk may have told besides. `None` if it tells no usage.
fn with_cost(chunk: &[u8], cost: &str) -> Option<Vec<u8>> {
    let mut chunk = Document::read(chunk).ok()?;
    let usage = chunk.value("usage").filter(|raw| raw.starts_with('{'))?.to_owned();
    let mut usage = Document::read(usage.as_bytes()).ok()?;
    usage.set("cost", cost);
    let usage = String::from_utf8_lossy(&usage.render()).into_owned();
    chunk.set("usage", usage);
    if chunk.value("choices").is_some_and(|choices| choices != "[]") {
        chunk.set("choices", "[]");
    }
    let mut out = Vec::new();
    sse::write(&chunk.render(), &mut out);
    Some(out)
}

/// A field that has to be there.
pub(super) fn missing(field: &'static str) -> Error {
    Error::caller(400, "missing_required_parameter", format!("`{field}` is required.")).at(field)
}

/// A field of the wrong type.
pub(super) fn wrong_type(field: &'static str, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{field}` must be {expected}.")).at(field)
}

/// An error as a response's body.
pub fn error(error: &Error) -> Vec<u8> {
    let (message, kind, param, code) = (error.message(), error.kind(), error.param(), error.code());
    let body = ErrorBody { error: ErrorFields { message, kind, param, code } };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// An error in the middle of a stream: one event, after which `[DONE]` follows.
pub fn error_event(failure: &Error, out: &mut Vec<u8>) {
    sse::write(&error(failure), out);
}

/// A whole answer told as a stream of one chunk, for a provider that was asked for a stream and does not know how. With the usage goes what
/// the answer cost, in JSON, if that is given.
/// `None` if it is no whole answer.
pub fn as_stream(body: &[u8], include_usage: bool, cost: Option<&str>) -> Option<Vec<u8>> {
    let mut answer = tree(body)?;
    let chunk = answer.as_object_mut()?;
    let usage = chunk.remove("usage");
    // A completion that is no chat's has the same form in a stream as whole.
    if chunk.get("object").and_then(Value::as_str) != Some("text_completion") {
        chunk.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    let choices = chunk.get_mut("choices")?.as_array_mut()?;
    choices.iter_mut().filter_map(Value::as_object_mut).for_each(|choice| {
        let Some(mut message) = choice.remove("message") else { return };
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
        for (index, call) in calls.filter_map(Value::as_object_mut).enumerate() {
            call.insert("index".to_owned(), index.into());
        }
        choice.insert("delta".to_owned(), message);
    });
    let mut out = Vec::new();
    sse::write(&serde_json::to_vec(&answer).ok()?, &mut out);
    if let (true, Some(usage)) = (include_usage, usage) {
        let chunk = answer.as_object_mut()?;
        chunk.insert("choices".to_owned(), Value::Array(Vec::new()));
        chunk.insert("usage".to_owned(), usage);
        let chunk = serde_json::to_vec(&answer).ok()?;
        match cost.and_then(|cost| with_cost(&chunk, cost)) {
            Some(told) => out.extend_from_slice(&told),
            None => sse::write(&chunk, &mut out),
        }
    }
    out.extend_from_slice(super::wire::DONE);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::task::{CHAT, COMPLETION, EMBEDDING};
    use super::*;

    fn refused(body: &str) -> (u16, String, Option<String>) {
        let error = read(body.as_bytes(), &CHAT).err().expect("refused");
        (error.status(), error.code().unwrap().to_owned(), error.param().map(str::to_owned))
    }

    #[test]
    fn a_request_that_cannot_be_served_is_refused_with_its_field() {
        let named = |code: &str, param: &str| (400, code.to_owned(), Some(param.to_owned()));
        assert_eq!(refused("{"), (400, "invalid_json".into(), None));
        assert_eq!(refused("[]"), (400, "invalid_body".into(), None));
        assert_eq!(refused("{}"), named("missing_required_parameter", "model"));
        assert_eq!(refused(r#"{"model":""}"#), named("missing_required_parameter", "model"));
        assert_eq!(refused(r#"{"model":7,"messages":[]}"#), named("invalid_type", "model"));
        assert_eq!(refused(r#"{"model":"m"}"#), named("missing_required_parameter", "messages"));
        assert_eq!(refused(r#"{"model":"m","messages":"hi"}"#), named("invalid_type", "messages"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"stream":"false"}"#), named("invalid_type", "stream"));
        assert_eq!(refused(r#"{"model":"m","messages":[],"model":"n"}"#), named("duplicate_key", "model"));
    }

    #[test]
    fn answers_are_as_many_as_are_drawn_for_each_question() {
        let counts = |body: &str, task| {
            let ask = read(body.as_bytes(), task).unwrap();
            (ask.questions, ask.choices, drawn(&ask.document), ask.stream)
        };
        let several = r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":5,"stream":true}"#;
        assert_eq!(counts(several, &COMPLETION), (2, 4, 5, true));
        assert_eq!(counts(r#"{"model":"m","prompt":"a","n":3}"#, &COMPLETION), (1, 3, 3, false));
        for (n, drawn) in [("2", 2), ("2.0", 2), ("\"2\"", 2), ("2e0", 2), ("null", 1), ("-1", 1), ("[]", 1)] {
            let body = format!(r#"{{"model":"m","messages":[],"n":{n}}}"#);
            assert_eq!(counts(&body, &CHAT), (1, drawn, drawn, false), "{n}");
        }
        for (n, drawn) in [("2.5", 3), ("\" 1_0 \"", 10), ("\"\\u0033\"", 3), ("1e400", u64::MAX)] {
            assert_eq!(counts(&format!(r#"{{"model":"m","messages":[],"n":{n}}}"#), &CHAT).2, drawn, "{n}");
        }
        // Some hosts draw the best of several chats, too.
        assert_eq!(counts(r#"{"model":"m","messages":[],"best_of":9,"candidate_count":2}"#, &CHAT), (1, 1, 9, false));
        let twice = read(br#"{"model":"m","messages":[],"n":1,"n":9}"#, &CHAT).err().unwrap();
        assert_eq!((twice.code(), twice.param()), (Some("duplicate_key"), Some("n")));
        assert_eq!(counts(r#"{"model":"m","input":["a","b"],"stream":7}"#, &EMBEDDING), (2, 2, 1, false));
    }

    #[test]
    fn a_completion_that_is_no_chats_keeps_its_form_in_a_stream() {
        let body = br#"{"object":"text_completion","choices":[{"text":"a","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
        let told = String::from_utf8(as_stream(body, false, None).unwrap()).unwrap();
        assert!(told.contains(r#""object":"text_completion""#) && told.contains(r#""text":"a""#), "{told}");
        assert!(!told.contains("delta") && !told.contains("usage"), "{told}");
    }

    #[test]
    fn a_whole_answer_can_be_told_as_a_stream() {
        let body = br#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,
            "tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let told = |include_usage| String::from_utf8(as_stream(body, include_usage, None).unwrap()).unwrap();
        let plain = told(false);
        assert!(
            plain.contains(r#""index":0,"type":"function""#) && plain.contains(r#""finish_reason":"tool_calls""#),
            "{plain}"
        );
        assert!(plain.contains("chat.completion.chunk") && !plain.contains("message") && !plain.contains("usage"));
        assert!(told(true).contains(r#""choices":[]"#) && told(true).ends_with("data: [DONE]\n\n"));
        assert_eq!(as_stream(b"[1]", true, None), None);
    }

    #[test]
    fn a_cost_is_told_to_the_last_digit_wherever_the_usage_is() {
        let body = br#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
        let told = String::from_utf8(as_stream(body, true, Some("0.0000000010")).unwrap()).unwrap();
        assert!(told.contains(r#""usage":{"prompt_tokens":1,"cost":0.0000000010}"#), "{told}");
        let silent = String::from_utf8(as_stream(br#"{"choices":[],"usage":null}"#, true, Some("1")).unwrap()).unwrap();
        assert!(silent.contains(r#""usage":null"#) && silent.ends_with("data: [DONE]\n\n"), "{silent}");
    }

    #[test]
    fn a_chunk_that_was_kept_back_tells_nothing_twice() {
        let chunk = br#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#;
        let told = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"cost":null}}"#.to_owned() + "\n\n";
        let tail = |is_whole, tail: &str| {
            let mut tail = tail.as_bytes().to_vec();
            tell_cost(Some(chunk), "null", is_whole, &mut tail);
            String::from_utf8(tail).unwrap()
        };
        let done = "data: [DONE]\n\n";
        assert_eq!(tail(true, &format!("data: 1\n\n{done}")), format!("data: 1\n\n{told}{done}"));
        assert_eq!(tail(false, &format!("data: 1\n\n{done}")), format!("{told}data: 1\n\n{done}"));
        assert_eq!(tail(true, ""), told);
        let mut silent = done.as_bytes().to_vec();
        tell_cost(Some(br#"{"choices":[],"usage":null}"#), "1", true, &mut silent);
        assert_eq!(silent, done.as_bytes());
    }
}
