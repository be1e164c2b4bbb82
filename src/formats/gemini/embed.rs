//! Embeddings: OpenAI's `/embeddings` as Gemini's `:batchEmbedContents`, and its answer back. It knows no conversations.
//! Sources: <https://ai.google.dev/api/embeddings#method:-models.batchembedcontents>,
//! <https://platform.openai.com/docs/api-reference/embeddings/create>.

use serde::{Deserialize, Serialize};

use super::errors::{invalid, reported};
use super::request::{full_name, resource};
use crate::canonical::{Raw, Usage};
use crate::error::{Error, Result};
use crate::formats::unsupported::Dropped;
use crate::formats::{Billed, EmbeddingContext, EmbeddingForm, WrittenRequest};
use crate::wire::base64;
use crate::wire::json::Document;

/// Fields that are read.
const KNOWN: &[&str] = &["model", "input", "encoding_format", "dimensions"];

/// The most texts of one call (<https://github.com/langchain-ai/langchainjs/issues/4491>: "at most 100 requests can be in one batch").
const MOST: usize = 100;

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a Raw<'a>,
}

/// Writes a request for `model`, the provider's name for it.
///
/// # Errors
/// 400 naming the field that is not as OpenAI's format wants it, holds tokens instead of texts, or more texts than are taken.
pub(super) fn write(document: &Document<'_>, model: &str) -> Result<(WrittenRequest, EmbeddingForm)> {
    let mut dropped = Dropped::default();
    let given = |name: &str| document.value(name).filter(|value| *value != "null");
    for (name, value) in document.members() {
        if !KNOWN.contains(&name) && value != "null" {
            dropped.add(name.to_owned());
        }
    }
    let base64 = match given("encoding_format") {
        None | Some("\"float\"") => false,
        Some("\"base64\"") => true,
        Some(_) => return Err(wrong("encoding_format", "`float` or `base64`")),
    };
    let dimensions = given("dimensions").map(|value| value.parse::<u64>().ok().filter(|count| *count > 0));
    if dimensions == Some(None) {
        return Err(wrong("dimensions", "a whole number above 0"));
    }
    let texts = texts(given("input"))?;
    let name = full_name(model);
    let one = |text| One {
        model: &name,
        content: Content { parts: [Part { text }] },
        output_dimensionality: dimensions.flatten(),
    };
    let body = serde_json::to_vec(&Batch { requests: texts.iter().map(one).collect() })
        .map_err(|error| Error::caller(400, "invalid_request", format!("The request cannot be written: {error}.")))?;
    let path = format!("/{}:batchEmbedContents", resource(model));
    let written = WrittenRequest { path, headers: Vec::new(), body, dropped: dropped.into_names() };
    Ok((written, EmbeddingForm { base64, count: texts.len() }))
}

/// The texts of an input: one, or a list.
fn texts(input: Option<&str>) -> Result<Vec<Raw<'_>>> {
    let expected = || wrong("input", "a text, or a list of texts that is not empty");
    let input = input.ok_or_else(expected)?;
    let texts = match input.as_bytes().first() {
        Some(b'"') => Raw::parse(input).map(|text| vec![text]),
        Some(b'[') => serde_json::from_str(input).ok(),
        _ => None,
    };
    let texts: Vec<Raw<'_>> = texts.filter(|texts: &Vec<_>| !texts.is_empty()).ok_or_else(expected)?;
    let tokens =
        |text: &Raw<'_>| text.get().starts_with(|first: char| first == '[' || first == '-' || first.is_ascii_digit());
    if texts.iter().any(tokens) {
        let message = "`input` holds tokens. This provider embeds texts only; send the texts themselves.";
        return Err(Error::caller(400, "unsupported_input", message).at("input"));
    }
    if texts.len() > MOST {
        let message = format!("`input` holds {} texts. This provider takes at most {MOST} at once.", texts.len());
        return Err(Error::caller(400, "too_many_texts", message).at("input"));
    }
    if texts.iter().all(Raw::is_text) { Ok(texts) } else { Err(expected()) }
}

fn wrong(field: &'static str, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{field}` must be {expected}.")).at(field)
}

/// What Gemini answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    error: Option<Raw<'a>>,
    #[serde(borrow)]
    embeddings: Option<Vec<Vector<'a>>>,
    usage_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    values: Raw<'a>,
}

/// Older models tell no usage.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    prompt_token_count: Option<u64>,
}

/// Reads an answer, and writes it as OpenAI does.
///
/// # Errors
/// 502 if it is none, an error in spite of its status, or has other vectors than were asked for.
pub(super) fn whole(body: &[u8], told: &EmbeddingContext<'_>) -> Result<Billed> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let answer = serde_json::from_slice::<Answer<'_>>(body).ok().filter(|_| is_object);
    let answer = answer.ok_or_else(|| invalid("The provider answered with a body that holds no embeddings."))?;
    if let Some(error) = &answer.error {
        return Err(reported(error));
    }
    let (count, vectors) = (told.form.count, answer.embeddings.unwrap_or_default());
    if vectors.len() != count || vectors.iter().any(|vector| !vector.values.get().starts_with('[')) {
        let message = format!("The provider answered with {} embeddings where {count} were asked for.", vectors.len());
        return Err(invalid(&message));
    }
    let prompt = answer.usage_metadata.and_then(|metadata| metadata.prompt_token_count);
    let mut data = Vec::with_capacity(count);
    for (index, Vector { values }) in vectors.into_iter().enumerate() {
        let embedding = if told.form.base64 { packed(&values)? } else { values };
        data.push(Embedding { object: "embedding", index, embedding });
    }
    let tokens = prompt.unwrap_or(told.estimate);
    let usage = OutUsage { prompt_tokens: tokens, total_tokens: tokens };
    let body = serde_json::to_vec(&List { object: "list", data, model: told.model, usage })
        .map_err(|error| invalid(&format!("The provider's embeddings cannot be written: {error}.")))?;
    Ok((body, prompt.map(|fresh| Usage { uncached_input: fresh, ..Usage::default() })))
}

/// An answer in OpenAI's format.
#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    usage: OutUsage,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: Raw<'a>,
}

#[derive(Serialize)]
struct OutUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

fn packed(values: &Raw<'_>) -> Result<Raw<'static>> {
    let numbers: Vec<f32> = serde_json::from_str(values.get())
        .map_err(|error| invalid(&format!("The provider's embedding is no list of numbers: {error}.")))?;
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(Raw::quoted(&base64::encode(&bytes)))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn ask(body: &str) -> Result<(WrittenRequest, EmbeddingForm)> {
        write(&Document::read(body.as_bytes()).unwrap(), "gemini-embedding-001")
    }

    #[test]
    fn texts_become_a_batch_and_what_cannot_be_said_is_named() {
        let body = r#"{"model":"x","input":["a\u00e9","b"],"encoding_format":"base64","dimensions":768,"user":"me","odd":null}"#;
        let (written, form) = ask(body).unwrap();
        assert_eq!((form, written.dropped), (EmbeddingForm { base64: true, count: 2 }, vec![Cow::Borrowed("user")]));
        assert_eq!(written.path, "/models/gemini-embedding-001:batchEmbedContents");
        let one = |text: &str| {
            format!(
                r#"{{"model":"models/gemini-embedding-001","content":{{"parts":[{{"text":{text}}}]}},"outputDimensionality":768}}"#
            )
        };
        let expected = format!(r#"{{"requests":[{},{}]}}"#, one(r#""a\u00e9""#), one("\"b\""));
        assert_eq!(String::from_utf8(written.body).unwrap(), expected);
        assert_eq!(ask(r#"{"input":"a"}"#).unwrap().1, EmbeddingForm { base64: false, count: 1 });
    }

    #[test]
    fn a_batch_has_its_limit() {
        let many = |count: usize| format!(r#"{{"input":[{}]}}"#, vec!["\"a\""; count].join(","));
        assert_eq!(ask(&many(100)).unwrap().1.count, 100);
        let error = ask(&many(101)).unwrap_err();
        assert_eq!((error.code(), error.param()), (Some("too_many_texts"), Some("input")));
        assert!(error.message().contains("at most 100"), "{}", error.message());
    }

    #[test]
    fn what_is_no_text_is_refused_by_the_name_of_its_field() {
        for (body, field) in [
            ("{}", "input"),
            (r#"{"input":[]}"#, "input"),
            (r#"{"input":[1,2]}"#, "input"),
            (r#"{"input":[[1,2],[3]]}"#, "input"),
            (r#"{"input":["a",{}]}"#, "input"),
            (r#"{"input":7}"#, "input"),
            (r#"{"input":"a","dimensions":0}"#, "dimensions"),
            (r#"{"input":"a","dimensions":"9"}"#, "dimensions"),
            (r#"{"input":"a","encoding_format":"hex"}"#, "encoding_format"),
        ] {
            let error = ask(body).unwrap_err();
            assert_eq!((error.status(), error.param()), (400, Some(field)), "{body}");
        }
    }

    fn told(body: &[u8], base64: bool, count: usize) -> Result<(String, Option<u64>)> {
        let (body, usage) =
            whole(body, &EmbeddingContext { form: EmbeddingForm { base64, count }, model: "m", estimate: 9 })?;
        Ok((String::from_utf8(body).unwrap(), usage.map(|usage| usage.prompt())))
    }

    #[test]
    fn vectors_come_back_as_numbers_or_in_base64() {
        let body = br#"{"embeddings":[{"values":[1.0, -0.5]},{"values":[0.006419318]}],"usageMetadata":{"promptTokenCount":3}}"#;
        let floats = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0, -0.5]},{"object":"embedding","index":1,"embedding":[0.006419318]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        assert_eq!(told(body, false, 2).unwrap(), (floats.to_owned(), Some(3)));
        assert!(told(body, true, 2).unwrap().0.contains(r#""embedding":"AACAPwAAAL8=""#));
        let (untold, usage) = told(br#"{"embeddings":[{"values":[]}]}"#, false, 1).unwrap();
        assert!(untold.ends_with(r#""usage":{"prompt_tokens":9,"total_tokens":9}}"#) && usage.is_none(), "{untold}");
    }

    #[test]
    fn an_answer_without_its_vectors_is_an_error() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"embeddings":[]}"#,
            r#"{"embeddings":[{"values":7}]}"#,
            r#"{"error":{"message":"no"}}"#,
        ] {
            assert_eq!(told(body.as_bytes(), false, 1).unwrap_err().status(), 502, "{body}");
        }
        assert_eq!(told(br#"{"embeddings":[{"values":["x"]}]}"#, true, 1).unwrap_err().status(), 502);
    }
}
