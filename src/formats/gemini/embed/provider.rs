//! Embeddings of providers: one call of `:batchEmbedContents`, however many texts there are.

use serde::{Deserialize, Serialize};

use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::formats::call::{self, WrittenCall};
use crate::formats::embedding::{EmbeddingRequest, ProviderEmbeddings, Vectors, invalid};
use crate::formats::gemini::errors::read_in_success;
use crate::formats::gemini::request::{full_name, resource};
use crate::formats::operation::RequestEnvelope;
use crate::formats::written_request::{WriteTarget, WrittenRequest};

/// The most texts in one call (<https://github.com/langchain-ai/langchainjs/issues/4491>: "at most 100
/// requests can be in one batch").
const MAX_TEXTS: usize = 100;

const PROVIDER: ProviderEmbeddings = ProviderEmbeddings { write, read };

/// Writes a call for embeddings of a client of another format.
///
/// # Errors
/// As [`call::embed`].
pub(in crate::formats::gemini) fn write_call(
    envelope: &RequestEnvelope<'_>,
    target: WriteTarget<'_>,
) -> Result<WrittenCall> {
    call::embed(envelope, target, &PROVIDER)
}

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

fn write(asked: &EmbeddingRequest<'_>, model: &str) -> Result<WrittenRequest> {
    if asked.texts.len() > MAX_TEXTS {
        let (field, count) = (asked.field, asked.texts.len());
        let message = format!("`{field}` holds {count} texts. This provider takes at most {MAX_TEXTS} at once.");
        return Err(Error::caller(400, "too_many_texts", message).at(field));
    }
    let name = full_name(model);
    let request = |text| EmbedRequest {
        model: &name,
        content: EmbedContent { parts: [EmbedPart { text }] },
        output_dimensionality: asked.dimensions,
    };
    let body = serde_json::to_vec(&BatchRequest { requests: asked.texts.iter().map(request).collect() })
        .map_err(|error| Error::caller(400, "invalid_request", format!("The request cannot be written: {error}.")))?;
    let path = format!("/{}:batchEmbedContents", resource(model));
    Ok(WrittenRequest { path, headers: Vec::new(), body, dropped: Vec::new(), adjusted: Vec::new() })
}

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
pub(super) struct EmbedUsage {
    pub(super) prompt_token_count: Option<u64>,
}

fn read(body: &[u8]) -> Result<Vectors<'_>> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let response = serde_json::from_slice::<BatchResponse<'_>>(body).ok().filter(|_| is_object);
    let response = response.ok_or_else(|| invalid("a body that holds no embeddings"))?;
    if let Some(error) = &response.error {
        return Err(read_in_success(error));
    }
    let list = response.embeddings.unwrap_or_default().into_iter().map(|vector| vector.values).collect();
    Ok(Vectors { list, tokens: response.usage_metadata.and_then(|usage| usage.prompt_token_count) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::unsupported::UnsupportedFields;

    fn written(texts: &[&str], dimensions: Option<u64>) -> Result<WrittenRequest> {
        let texts = texts.iter().map(|text| Raw::parse(text).unwrap()).collect();
        let unsupported = UnsupportedFields::default();
        write(
            &EmbeddingRequest { texts, field: "input", dimensions, base64: true, unsupported },
            "gemini-embedding-001",
        )
    }

    #[test]
    fn texts_become_a_batch() {
        let request = written(&[r#""a\u00e9""#, "\"b\""], Some(768)).unwrap();
        assert_eq!(request.path, "/models/gemini-embedding-001:batchEmbedContents");
        let item = |text: &str| {
            format!(
                r#"{{"model":"models/gemini-embedding-001","content":{{"parts":[{{"text":{text}}}]}},"outputDimensionality":768}}"#
            )
        };
        let expected = format!(r#"{{"requests":[{},{}]}}"#, item(r#""a\u00e9""#), item("\"b\""));
        assert_eq!(String::from_utf8(request.body).unwrap(), expected);
    }

    #[test]
    fn a_batch_has_its_limit() {
        assert!(written(&vec!["\"a\""; 100], None).is_ok());
        let error = written(&vec!["\"a\""; 101], None).unwrap_err();
        assert_eq!((error.code(), error.param()), (Some("too_many_texts"), Some("input")));
        assert!(error.message().contains("at most 100"), "{}", error.message());
    }

    #[test]
    fn vectors_are_read_with_the_tokens_that_are_reported() {
        let read = |body: &str| {
            read(body.as_bytes()).map(|read| (read.list.iter().map(|one| one.get().to_owned()).collect(), read.tokens))
        };
        let two: Vec<String> = vec!["[1.0, -0.5]".to_owned(), "[]".to_owned()];
        let body = r#"{"embeddings":[{"values":[1.0, -0.5]},{"values":[]}],"usageMetadata":{"promptTokenCount":3}}"#;
        assert_eq!(read(body).unwrap(), (two, Some(3)));
        assert_eq!(read(r#"{"embeddings":[]}"#).unwrap(), (Vec::new(), None));
        for body in ["", "[]", r#"{"embeddings":7}"#, r#"{"error":{"message":"no"}}"#] {
            assert_eq!(read(body).unwrap_err().status(), 502, "{body}");
        }
    }
}
