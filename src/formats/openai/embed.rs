//! Embeddings: `POST /embeddings`, for clients and of providers whose formats differ.
//! Source: <https://platform.openai.com/docs/api-reference/embeddings/create>.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::errors::read_in_success;
use super::wire::{EmbeddingsResponse, MAX_ITEMS, members, object, read_prompt_usage};
use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::formats::call::{self, WrittenCall};
use crate::formats::embedding::{
    ClientEmbeddings, EmbeddingContext, EmbeddingRequest, ProviderEmbeddings, Vectors, from_base64, invalid, to_base64,
    wrong,
};
use crate::formats::operation::RequestEnvelope;
use crate::formats::unsupported::UnsupportedFields;
use crate::formats::written_request::{WriteTarget, WrittenRequest};
use crate::wire::json::{Document, parse_integer};
use crate::wire::list::BoundedList;

/// The endpoint.
pub(super) const PATH: &str = "/embeddings";

/// The fields that are translated.
const TRANSLATED_FIELDS: &[&str] = &["model", "input", "encoding_format", "dimensions"];

/// For clients.
pub(super) const CLIENT: ClientEmbeddings = ClientEmbeddings { read, write };

const PROVIDER: ProviderEmbeddings = ProviderEmbeddings { write: write_request, read: read_response };

/// Writes a call for the embeddings of a client of another format.
///
/// # Errors
/// As [`call::embed`].
pub(super) fn write_call(envelope: &RequestEnvelope<'_>, target: WriteTarget<'_>) -> Result<WrittenCall> {
    call::embed(envelope, target, &PROVIDER)
}

fn read<'d>(document: &'d Document<'d>) -> Result<EmbeddingRequest<'d>> {
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
        Some(_) => return Err(wrong("encoding_format", "`float` or `base64`")),
    };
    let dimensions = given("dimensions").map(|value| parse_integer(value).filter(|count| *count > 0));
    if dimensions == Some(None) {
        return Err(wrong("dimensions", "a whole number above 0"));
    }
    let texts = read_texts(given("input"))?;
    Ok(EmbeddingRequest { texts, field: "input", dimensions: dimensions.flatten(), base64, unsupported })
}

/// Reads `input`: a text or a list of texts.
fn read_texts(input: Option<&str>) -> Result<Vec<Raw<'_>>> {
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
    if texts.iter().all(Raw::is_text) { Ok(texts) } else { Err(expected()) }
}

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

fn write(vectors: Vec<Raw<'_>>, context: &EmbeddingContext<'_>) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.into_iter().enumerate() {
        let embedding = match context.base64 {
            true => to_base64(vector.get()).map(|text| Raw::quoted(&text)),
            false => Some(vector),
        };
        let embedding = embedding.ok_or_else(|| invalid("an embedding that is no list of numbers"))?;
        data.push(EmbeddingObject { object: "embedding", index, embedding });
    }
    let usage = EmbeddingUsage { prompt_tokens: context.tokens, total_tokens: context.tokens };
    serde_json::to_vec(&EmbeddingList { object: "list", data, model: context.model, usage })
        .map_err(|_| invalid("embeddings that cannot be written"))
}

#[derive(Serialize)]
struct WrittenEmbeddings<'a> {
    model: &'a str,
    input: &'a [Raw<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
}

fn write_request(asked: &EmbeddingRequest<'_>, model: &str) -> Result<WrittenRequest> {
    let body = serde_json::to_vec(&WrittenEmbeddings { model, input: &asked.texts, dimensions: asked.dimensions })
        .map_err(|error| Error::caller(400, "invalid_request", format!("The request cannot be written: {error}.")))?;
    Ok(WrittenRequest { path: PATH.to_owned(), headers: Vec::new(), body, dropped: Vec::new(), adjusted: Vec::new() })
}

object! {
    EmbeddingItem { index: "index", embedding: "embedding" }
}

fn read_response(body: &[u8]) -> Result<Vectors<'_>> {
    let response = serde_json::from_slice::<EmbeddingsResponse<'_>>(body).ok();
    let response = response.filter(|_| body.trim_ascii_start().starts_with(b"{"));
    let response = response.ok_or_else(|| invalid("a body that is no list of embeddings"))?;
    if response.error.is_some() {
        return Err(read_in_success(body));
    }
    let data = response.data.map_or("[]", RawValue::get);
    let items: BoundedList<&RawValue, MAX_ITEMS> =
        serde_json::from_str(data).map_err(|_| invalid("a body that is no list of embeddings"))?;
    let mut vectors = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let item: EmbeddingItem<'_> = members(Some(item)).unwrap_or_default();
        let index = item.index.and_then(|index| parse_integer(index.get())).unwrap_or(at as u64);
        vectors
            .push((index, vector(item.embedding).ok_or_else(|| invalid("an embedding that is no list of numbers"))?));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let tokens = read_prompt_usage(response.usage).map(|usage| usage.prompt());
    Ok(Vectors { list: vectors.into_iter().map(|(_, vector)| vector).collect(), tokens })
}

/// A vector as a list of numbers. Some hosts send base64 whatever they are asked for.
fn vector(embedding: Option<&RawValue>) -> Option<Raw<'_>> {
    let embedding = embedding?;
    if embedding.get().starts_with('[') {
        return Some(Raw::from(embedding));
    }
    let text: Cow<'_, str> = serde_json::from_str(embedding.get()).ok()?;
    Some(Raw::of(&from_base64(&text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts, whether base64 is wanted, the dimensions, and the unsupported fields.
    fn read_body(body: &str) -> Result<(String, bool, Option<u64>, String)> {
        let document = Document::read(body.as_bytes()).unwrap();
        let asked = read(&document)?;
        let texts = asked.texts.iter().map(Raw::get).collect::<Vec<_>>().join(" ");
        Ok((texts, asked.base64, asked.dimensions, asked.unsupported.into_names().join(" ")))
    }

    #[test]
    fn texts_keep_their_bytes_and_unsupported_fields_are_named() {
        let body = r#"{"model":"x","input":["a\u00e9","b"],"encoding_format":"base64","dimensions":768,"user":"me","odd":null}"#;
        assert_eq!(read_body(body).unwrap(), (r#""a\u00e9" "b""#.to_owned(), true, Some(768), "user".to_owned()));
        assert_eq!(read_body(r#"{"input":"a"}"#).unwrap(), ("\"a\"".to_owned(), false, None, String::new()));
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
            let error = read_body(body).unwrap_err();
            assert_eq!((error.status(), error.param()), (400, Some(field)), "{body}");
        }
    }

    #[test]
    fn vectors_leave_as_numbers_or_in_base64() {
        let written = |list: &[&str], base64| {
            let list = list.iter().map(|json| Raw::parse(json).unwrap()).collect();
            write(list, &EmbeddingContext { base64, model: "m", tokens: 3 })
                .map(|body| String::from_utf8(body).unwrap())
        };
        let floats = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0, -0.5]},{"object":"embedding","index":1,"embedding":[0.006419318]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        assert_eq!(written(&["[1.0, -0.5]", "[0.006419318]"], false).unwrap(), floats);
        assert!(written(&["[1.0, -0.5]"], true).unwrap().contains(r#""embedding":"AACAPwAAAL8=""#));
        assert_eq!(written(&[r#"["x"]"#], true).unwrap_err().status(), 502);
    }

    #[test]
    fn vectors_are_read_in_the_order_of_their_indexes() {
        let read = |body: &str| {
            let read = read_response(body.as_bytes())?;
            Ok::<_, Error>((
                read.list.iter().map(|one| one.get().to_owned()).collect::<Vec<_>>().join(" "),
                read.tokens,
            ))
        };
        let body = r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":"AACAPwAAAL8="}],"usage":{"prompt_tokens":3}}"#;
        assert_eq!(read(body).unwrap(), ("[1.0,-0.5] [2]".to_owned(), Some(3)));
        assert_eq!(read(r#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#).unwrap(), ("[1] [2]".to_owned(), None));
        for body in [
            "",
            "[]",
            r#"{"data":7}"#,
            r#"{"data":[7]}"#,
            r#"{"data":[{"embedding":"AA=="}]}"#,
            r#"{"error":{"message":"no"}}"#,
        ] {
            assert_eq!(read(body).unwrap_err().status(), 502, "{body}");
        }
    }
}
