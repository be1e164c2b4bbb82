//! Embeddings: OpenAI's `/embeddings` requests as Gemini's `:batchEmbedContents`, and its responses back.
//! Sources: <https://ai.google.dev/api/embeddings#method:-models.batchembedcontents>,
//! <https://platform.openai.com/docs/api-reference/embeddings/create>.

use serde::{Deserialize, Serialize};

use super::errors::{invalid, read_in_success};
use super::request::{full_name, resource};
use crate::canonical::{Raw, Usage};
use crate::error::{Error, Result};
use crate::formats::call::{CallResponse, WrittenCall};
use crate::formats::embedding::{Billed, EmbeddingContext, EmbeddingForm};
use crate::formats::operation::RequestEnvelope;
use crate::formats::summary::ResponseSummary;
use crate::formats::unsupported::UnsupportedFields;
use crate::formats::written_request::{WriteTarget, WrittenRequest};
use crate::wire::base64;
use crate::wire::json::Document;

/// The fields of OpenAI's request that are translated.
const TRANSLATED_FIELDS: &[&str] = &["model", "input", "encoding_format", "dimensions"];

/// The most texts in one call (<https://github.com/langchain-ai/langchainjs/issues/4491>: "at most 100
/// requests can be in one batch").
const MAX_TEXTS: usize = 100;

#[derive(Serialize)]
struct BatchRequest<'a> {
    requests: Vec<EmbedRequest<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EmbedRequest<'a> {
    model: &'a str,
    content: EmbedContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct EmbedContent<'a> {
    parts: [EmbedPart<'a>; 1],
}

#[derive(Serialize)]
struct EmbedPart<'a> {
    text: &'a Raw<'a>,
}

/// Writes an embedding request of OpenAI's format.
///
/// # Errors
/// 400 naming the field that violates OpenAI's format, that holds tokens instead of texts, or that holds too
/// many texts.
pub(super) fn write_call(envelope: &RequestEnvelope<'_>, target: WriteTarget<'_>) -> Result<WrittenCall> {
    let (request, form) = write(&envelope.document, target.model)?;
    let model = target.model.to_owned();
    let read = move |body: &[u8], estimate| {
        let (body, usage) = translate(body, &EmbeddingContext { form, model: &model, estimate })?;
        Ok(CallResponse { body, usage, is_estimated: usage.is_none() })
    };
    Ok(WrittenCall { request, read: Box::new(read) })
}

/// Writes a request for `model`, the provider's name for it.
///
/// # Errors
/// 400 naming the field that violates OpenAI's format, that holds tokens instead of texts, or that holds too
/// many texts.
fn write(document: &Document<'_>, model: &str) -> Result<(WrittenRequest, EmbeddingForm)> {
    let mut unsupported = UnsupportedFields::default();
    let given = |name: &str| document.value(name).filter(|value| *value != "null");
    for (name, value) in document.members() {
        if !TRANSLATED_FIELDS.contains(&name) && value != "null" {
            unsupported.add(name.to_owned());
        }
    }
    let base64 = match given("encoding_format") {
        None | Some("\"float\"") => false,
        Some("\"base64\"") => true,
        Some(_) => return Err(invalid_field("encoding_format", "`float` or `base64`")),
    };
    let dimensions = given("dimensions").map(|value| value.parse::<u64>().ok().filter(|count| *count > 0));
    if dimensions == Some(None) {
        return Err(invalid_field("dimensions", "a whole number above 0"));
    }
    let texts = read_texts(given("input"))?;
    let name = full_name(model);
    let request = |text| EmbedRequest {
        model: &name,
        content: EmbedContent { parts: [EmbedPart { text }] },
        output_dimensionality: dimensions.flatten(),
    };
    let body = serde_json::to_vec(&BatchRequest { requests: texts.iter().map(request).collect() })
        .map_err(|error| Error::caller(400, "invalid_request", format!("The request cannot be written: {error}.")))?;
    let path = format!("/{}:batchEmbedContents", resource(model));
    let written =
        WrittenRequest { path, headers: Vec::new(), body, dropped: unsupported.into_names(), adjusted: Vec::new() };
    Ok((written, EmbeddingForm { base64, count: texts.len() }))
}

/// Reads `input`: a text or a list of texts.
fn read_texts(input: Option<&str>) -> Result<Vec<Raw<'_>>> {
    let expected = || invalid_field("input", "a text, or a list of texts that is not empty");
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
    if texts.len() > MAX_TEXTS {
        let message = format!("`input` holds {} texts. This provider takes at most {MAX_TEXTS} at once.", texts.len());
        return Err(Error::caller(400, "too_many_texts", message).at("input"));
    }
    if texts.iter().all(Raw::is_text) { Ok(texts) } else { Err(expected()) }
}

fn invalid_field(field: &'static str, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{field}` must be {expected}.")).at(field)
}

/// The response of `batchEmbedContents`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse<'a> {
    #[serde(borrow)]
    error: Option<Raw<'a>>,
    #[serde(borrow)]
    embeddings: Option<Vec<BatchVector<'a>>>,
    usage_metadata: Option<EmbedUsage>,
}

#[derive(Deserialize)]
struct BatchVector<'a> {
    #[serde(borrow)]
    values: Raw<'a>,
}

/// Older models report no usage.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EmbedUsage {
    prompt_token_count: Option<u64>,
}

/// Reads a response and writes it in OpenAI's format; returns the tokens that the provider reports.
///
/// # Errors
/// 502 if the body is no such response or holds another number of vectors than requested; the error's own
/// status if it reports one.
fn translate(body: &[u8], context: &EmbeddingContext<'_>) -> Result<Billed> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let response = serde_json::from_slice::<BatchResponse<'_>>(body).ok().filter(|_| is_object);
    let response = response.ok_or_else(|| invalid("The provider's response holds no embeddings."))?;
    if let Some(error) = &response.error {
        return Err(read_in_success(error));
    }
    let (count, vectors) = (context.form.count, response.embeddings.unwrap_or_default());
    if vectors.len() != count || vectors.iter().any(|vector| !vector.values.get().starts_with('[')) {
        let message = format!("The provider returned {} embeddings where {count} were requested.", vectors.len());
        return Err(invalid(&message));
    }
    let prompt = response.usage_metadata.and_then(|metadata| metadata.prompt_token_count);
    let mut data = Vec::with_capacity(count);
    for (index, BatchVector { values }) in vectors.into_iter().enumerate() {
        let embedding = if context.form.base64 { to_base64(&values)? } else { values };
        data.push(EmbeddingObject { object: "embedding", index, embedding });
    }
    let tokens = prompt.unwrap_or(context.estimate);
    let usage = EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens };
    let body = serde_json::to_vec(&EmbeddingList { object: "list", data, model: context.model, usage })
        .map_err(|error| invalid(&format!("The provider's embeddings cannot be written: {error}.")))?;
    Ok((body, prompt.map(|uncached_input| Usage { uncached_input, ..Usage::default() })))
}

/// A response in OpenAI's format.
#[derive(Serialize)]
struct EmbeddingList<'a> {
    object: &'static str,
    data: Vec<EmbeddingObject<'a>>,
    model: &'a str,
    usage: EmbeddingUsage,
}

#[derive(Serialize)]
struct EmbeddingObject<'a> {
    object: &'static str,
    index: usize,
    embedding: Raw<'a>,
}

#[derive(Serialize)]
struct EmbeddingUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

fn to_base64(values: &Raw<'_>) -> Result<Raw<'static>> {
    let numbers: Vec<f32> = serde_json::from_str(values.get())
        .map_err(|error| invalid(&format!("The provider's embedding is no list of numbers: {error}.")))?;
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(Raw::quoted(&base64::encode(&bytes)))
}

/// A response that passes through: of one text, or of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PassedEmbeddings<'a> {
    #[serde(borrow)]
    error: Option<Raw<'a>>,
    #[serde(borrow)]
    embedding: Option<Raw<'a>>,
    #[serde(borrow)]
    embeddings: Option<Raw<'a>>,
    usage_metadata: Option<EmbedUsage>,
}

/// Summarizes a response that passes to a client of the same format.
///
/// # Errors
/// 502 if the body holds no embedding; the error's own status if it reports one.
pub(super) fn summarize(body: &[u8]) -> Result<ResponseSummary> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let response = serde_json::from_slice::<PassedEmbeddings<'_>>(body).ok().filter(|_| is_object);
    let response = response.ok_or_else(|| invalid("The provider's response holds no embeddings."))?;
    if let Some(error) = &response.error {
        return Err(read_in_success(error));
    }
    if response.embedding.or(response.embeddings).is_none() {
        return Err(invalid("The provider's response holds no embeddings."));
    }
    let prompt = response.usage_metadata.and_then(|usage| usage.prompt_token_count);
    let usage = prompt.map(|uncached_input| Usage { uncached_input, ..Usage::default() });
    Ok(ResponseSummary { usage, ..ResponseSummary::default() })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn write_body(body: &str) -> Result<(WrittenRequest, EmbeddingForm)> {
        write(&Document::read(body.as_bytes()).unwrap(), "gemini-embedding-001")
    }

    #[test]
    fn texts_become_a_batch_and_unsupported_fields_are_named() {
        let body = r#"{"model":"x","input":["a\u00e9","b"],"encoding_format":"base64","dimensions":768,"user":"me","odd":null}"#;
        let (written, form) = write_body(body).unwrap();
        assert_eq!((form, written.dropped), (EmbeddingForm { base64: true, count: 2 }, vec![Cow::Borrowed("user")]));
        assert_eq!(written.path, "/models/gemini-embedding-001:batchEmbedContents");
        let request = |text: &str| {
            format!(
                r#"{{"model":"models/gemini-embedding-001","content":{{"parts":[{{"text":{text}}}]}},"outputDimensionality":768}}"#
            )
        };
        let expected = format!(r#"{{"requests":[{},{}]}}"#, request(r#""a\u00e9""#), request("\"b\""));
        assert_eq!(String::from_utf8(written.body).unwrap(), expected);
        assert_eq!(write_body(r#"{"input":"a"}"#).unwrap().1, EmbeddingForm { base64: false, count: 1 });
    }

    #[test]
    fn a_batch_has_its_limit() {
        let many = |count: usize| format!(r#"{{"input":[{}]}}"#, vec!["\"a\""; count].join(","));
        assert_eq!(write_body(&many(100)).unwrap().1.count, 100);
        let error = write_body(&many(101)).unwrap_err();
        assert_eq!((error.code(), error.param()), (Some("too_many_texts"), Some("input")));
        assert!(error.message().contains("at most 100"), "{}", error.message());
    }

    #[test]
    fn invalid_fields_are_named_in_the_refusal() {
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
            let error = write_body(body).unwrap_err();
            assert_eq!((error.status(), error.param()), (400, Some(field)), "{body}");
        }
    }

    fn translated(body: &[u8], base64: bool, count: usize) -> Result<(String, Option<u64>)> {
        let (body, usage) =
            translate(body, &EmbeddingContext { form: EmbeddingForm { base64, count }, model: "m", estimate: 9 })?;
        Ok((String::from_utf8(body).unwrap(), usage.map(|usage| usage.prompt())))
    }

    #[test]
    fn vectors_come_back_as_numbers_or_in_base64() {
        let body = br#"{"embeddings":[{"values":[1.0, -0.5]},{"values":[0.006419318]}],"usageMetadata":{"promptTokenCount":3}}"#;
        let floats = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0, -0.5]},{"object":"embedding","index":1,"embedding":[0.006419318]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        assert_eq!(translated(body, false, 2).unwrap(), (floats.to_owned(), Some(3)));
        assert!(translated(body, true, 2).unwrap().0.contains(r#""embedding":"AACAPwAAAL8=""#));
        let (estimated, usage) = translated(br#"{"embeddings":[{"values":[]}]}"#, false, 1).unwrap();
        assert!(
            estimated.ends_with(r#""usage":{"prompt_tokens":9,"total_tokens":9}}"#) && usage.is_none(),
            "{estimated}"
        );
    }

    #[test]
    fn a_response_without_its_vectors_is_an_error() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"embeddings":[]}"#,
            r#"{"embeddings":[{"values":7}]}"#,
            r#"{"error":{"message":"no"}}"#,
        ] {
            assert_eq!(translated(body.as_bytes(), false, 1).unwrap_err().status(), 502, "{body}");
        }
        assert_eq!(translated(br#"{"embeddings":[{"values":["x"]}]}"#, true, 1).unwrap_err().status(), 502);
    }
}
