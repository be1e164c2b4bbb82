//! Embeddings for clients: one content, or a batch of requests of one content each.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::provider::EmbedUsage;
use crate::canonical::{Raw, Usage};
use crate::error::{Error, Result};
use crate::formats::embedding::{ClientEmbeddings, EmbeddingContext, EmbeddingRequest, invalid, wrong};
use crate::formats::gemini::errors::read_in_success;
use crate::formats::prompt_wire::each;
use crate::formats::summary::ResponseSummary;
use crate::formats::unsupported::UnsupportedFields;
use crate::wire::json::{self, Document, parse_integer};

/// `:embedContent`.
pub(in crate::formats::gemini) const SINGLE: ClientEmbeddings =
    ClientEmbeddings { read: read_single, write: write_single };

/// `:batchEmbedContents`.
pub(in crate::formats::gemini) const BATCH: ClientEmbeddings =
    ClientEmbeddings { read: read_batch, write: write_batch };

/// The names of the length of vectors.
const DIMENSIONS: [&str; 2] = ["outputDimensionality", "output_dimensionality"];

fn read_single<'d>(document: &'d Document<'d>) -> Result<EmbeddingRequest<'d>> {
    let mut unsupported = UnsupportedFields::default();
    let text = read_content(document.value("content"), "content")?;
    let dimensions = read_rest(document, "content", &mut unsupported)?;
    Ok(EmbeddingRequest { texts: vec![text], field: "content", dimensions, base64: false, unsupported })
}

fn read_batch<'d>(document: &'d Document<'d>) -> Result<EmbeddingRequest<'d>> {
    let mut unsupported = UnsupportedFields::default();
    let (mut texts, mut lengths, mut refused) = (Vec::new(), Vec::new(), None);
    let read = each(document.value("requests").unwrap_or_default(), |request| {
        let document = Document::read(request.as_bytes()).ok()?;
        let read = read_content(document.value("content"), "requests").and_then(|text| {
            lengths.push(read_rest(&document, "requests", &mut unsupported)?);
            texts.push(text.owned());
            Ok(())
        });
        read.map_err(|error| refused = Some(error)).ok()
    });
    if let Some(error) = refused {
        return Err(error);
    }
    if read.is_none() || texts.is_empty() {
        return Err(wrong("requests", "a list of requests that is not empty"));
    }
    let dimensions = lengths.first().copied().flatten();
    if lengths.iter().any(|length| *length != dimensions) {
        return Err(wrong("requests", "requests with the same `outputDimensionality`"));
    }
    Ok(EmbeddingRequest { texts, field: "requests", dimensions, base64: false, unsupported })
}

/// Reads the fields besides the content: the length of the vectors, and those that other formats do not have.
fn read_rest(request: &Document<'_>, field: &'static str, unsupported: &mut UnsupportedFields) -> Result<Option<u64>> {
    let mut dimensions = None;
    for (name, value) in request.members().filter(|(_, value)| *value != "null") {
        if DIMENSIONS.contains(&name) {
            let count = parse_integer(value).filter(|count| *count > 0);
            dimensions = Some(count.ok_or_else(|| {
                let message = "`outputDimensionality` must be a whole number above 0.";
                Error::caller(400, "invalid_type", message).at(field)
            })?);
        } else if !["model", "content"].contains(&name) {
            unsupported.add(name.to_owned());
        }
    }
    Ok(dimensions)
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: &'a RawValue,
}

/// The text of a content. Its parts are embedded as one.
fn read_content<'d>(content: Option<&'d str>, field: &'static str) -> Result<Raw<'d>> {
    let expected = || wrong(field, "a content whose `parts` hold texts");
    let content: Content<'d> = serde_json::from_str(content.ok_or_else(expected)?).map_err(|_| expected())?;
    let (mut texts, mut is_other) = (Vec::new(), false);
    let read = each(content.parts.get(), |part| {
        let part = Document::read(part.as_bytes()).ok()?;
        match part.value("text").and_then(json::text) {
            Some(text) => texts.push(text.into_owned()),
            None => is_other = true,
        }
        Some(())
    });
    if is_other {
        let message = format!("`{field}` holds parts that are not text. This provider embeds texts only.");
        return Err(Error::caller(400, "unsupported_input", message).at(field));
    }
    if read.is_none() || texts.is_empty() {
        return Err(expected());
    }
    Ok(Raw::quoted(&texts.join("\n")))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<WrittenVector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<WrittenVector<'a>>>,
    usage_metadata: WrittenUsage,
}

#[derive(Serialize)]
struct WrittenVector<'a> {
    values: Raw<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenUsage {
    prompt_token_count: u64,
    total_token_count: u64,
}

fn write_single(vectors: Vec<Raw<'_>>, context: &EmbeddingContext<'_>) -> Result<Vec<u8>> {
    let embedding = vectors.into_iter().next().map(|values| WrittenVector { values });
    written(&WrittenResponse { embedding, embeddings: None, usage_metadata: usage(context) })
}

fn write_batch(vectors: Vec<Raw<'_>>, context: &EmbeddingContext<'_>) -> Result<Vec<u8>> {
    let embeddings = Some(vectors.into_iter().map(|values| WrittenVector { values }).collect());
    written(&WrittenResponse { embedding: None, embeddings, usage_metadata: usage(context) })
}

fn usage(context: &EmbeddingContext<'_>) -> WrittenUsage {
    WrittenUsage { prompt_token_count: context.tokens, total_token_count: context.tokens }
}

fn written(response: &WrittenResponse<'_>) -> Result<Vec<u8>> {
    serde_json::to_vec(response).map_err(|_| invalid("embeddings that cannot be written"))
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
pub(in crate::formats::gemini) fn summarize(body: &[u8]) -> Result<ResponseSummary> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let response = serde_json::from_slice::<PassedEmbeddings<'_>>(body).ok().filter(|_| is_object);
    let response = response.ok_or_else(|| invalid("a body that holds no embeddings"))?;
    if let Some(error) = &response.error {
        return Err(read_in_success(error));
    }
    if response.embedding.or(response.embeddings).is_none() {
        return Err(invalid("a body that holds no embeddings"));
    }
    let prompt = response.usage_metadata.and_then(|usage| usage.prompt_token_count);
    let usage = prompt.map(|uncached_input| Usage { uncached_input, ..Usage::default() });
    Ok(ResponseSummary { usage, ..ResponseSummary::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_one_text_and_unsupported_fields_are_named() {
        let body = r#"{"model":"models/m","content":{"parts":[{"text":"a\u00e9"},{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8,"title":null}"#;
        let document = Document::read(body.as_bytes()).unwrap();
        let asked = read_single(&document).unwrap();
        let texts: Vec<&str> = asked.texts.iter().map(Raw::get).collect();
        assert_eq!((texts, asked.dimensions), (vec![r#""aé\nb""#], Some(8)));
        assert_eq!(asked.unsupported.into_names(), ["taskType"]);
    }

    #[test]
    fn a_batch_has_a_text_for_each_request() {
        let request = |text: &str, more: &str| format!(r#"{{"content":{{"parts":[{{"text":"{text}"}}]}}{more}}}"#);
        let read = |requests: &[String]| {
            let body = format!(r#"{{"requests":[{}]}}"#, requests.join(","));
            let document = Document::read(body.as_bytes()).unwrap();
            let asked = read_batch(&document)?;
            Ok::<_, Error>((asked.texts.iter().map(|text| text.get().to_owned()).collect::<Vec<_>>(), asked.dimensions))
        };
        let sized = r#","output_dimensionality":8"#;
        let both = vec!["\"a\"".to_owned(), "\"b\"".to_owned()];
        assert_eq!(read(&[request("a", sized), request("b", sized)]).unwrap(), (both, Some(8)));
        for odd in [vec![], vec![request("a", sized), request("b", "")], vec!["7".to_owned()]] {
            assert_eq!(read(&odd).unwrap_err().param(), Some("requests"), "{odd:?}");
        }
    }

    #[test]
    fn contents_without_text_are_refused() {
        for (content, code) in [
            ("7", "invalid_type"),
            ("null", "invalid_type"),
            (r#"{"parts":[]}"#, "invalid_type"),
            (r#"{"parts":["a"]}"#, "invalid_type"),
            (r#"{"parts":[{"inlineData":{}}]}"#, "unsupported_input"),
            (r#"{"parts":[{"text":"a"},{"text":7}]}"#, "unsupported_input"),
        ] {
            let body = format!(r#"{{"content":{content}}}"#);
            let error = read_single(&Document::read(body.as_bytes()).unwrap()).unwrap_err();
            assert_eq!((error.status(), error.code(), error.param()), (400, Some(code), Some("content")), "{content}");
        }
        let zero = r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":0}"#;
        assert_eq!(read_single(&Document::read(zero.as_bytes()).unwrap()).unwrap_err().status(), 400);
    }

    #[test]
    fn responses_have_one_vector_or_a_list() {
        let context = EmbeddingContext { base64: false, model: "m", tokens: 3 };
        let usage = r#""usageMetadata":{"promptTokenCount":3,"totalTokenCount":3}"#;
        let text = |bytes: Result<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
        let vector = || Raw::parse("[1.0, -0.5]").unwrap();
        let one = text(write_single(vec![vector()], &context));
        assert_eq!(one, format!(r#"{{"embedding":{{"values":[1.0, -0.5]}},{usage}}}"#));
        let two = text(write_batch(vec![vector(), vector()], &context));
        assert_eq!(two, format!(r#"{{"embeddings":[{{"values":[1.0, -0.5]}},{{"values":[1.0, -0.5]}}],{usage}}}"#));
    }
}
