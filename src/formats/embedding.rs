//! Embeddings between formats: a client's request in a form that each format can write, and the vectors of its
//! response in a form that each can read.

use super::unsupported::UnsupportedFields;
use super::written_request::WrittenRequest;
use crate::canonical::Raw;
use crate::error::{Error, Result};
use crate::wire::base64;
use crate::wire::json::Document;

/// A request for vectors.
#[derive(Debug)]
pub struct EmbeddingRequest<'d> {
    /// The texts, each a JSON string.
    pub(super) texts: Vec<Raw<'d>>,
    /// The field that holds them, for error messages.
    pub(super) field: &'static str,
    /// The length of each vector, if the client sets one.
    pub(super) dimensions: Option<u64>,
    /// The client wants vectors as little-endian 32-bit floats in base64, instead of lists of numbers.
    pub(super) base64: bool,
    /// The client's fields that other formats do not have.
    pub(super) unsupported: UnsupportedFields,
}

/// The vectors of a response.
#[derive(Debug)]
pub(super) struct Vectors<'b> {
    /// Each a list of numbers, in the order of the texts.
    pub(super) list: Vec<Raw<'b>>,
    /// The tokens of the texts, if the provider reports them.
    pub(super) tokens: Option<u64>,
}

/// What a response with vectors is written from, besides the vectors.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingContext<'a> {
    /// As [`EmbeddingRequest::base64`].
    pub(super) base64: bool,
    /// The name of the model for the client.
    pub(super) model: &'a str,
    /// The tokens of the texts.
    pub(super) tokens: u64,
}

/// How clients of a format ask for embeddings at one of its endpoints, for providers of another format.
#[derive(Debug)]
pub struct ClientEmbeddings {
    /// Reads a request.
    ///
    /// # Errors
    /// 400 naming the field that violates the format, or that holds something else than texts.
    pub read: for<'d> fn(&'d Document<'d>) -> Result<EmbeddingRequest<'d>>,
    /// Writes the response with these vectors, each a list of numbers.
    ///
    /// # Errors
    /// 502 for a vector that cannot be written.
    pub write: fn(Vec<Raw<'_>>, &EmbeddingContext<'_>) -> Result<Vec<u8>>,
}

/// How a provider of a format is asked for embeddings.
pub(super) struct ProviderEmbeddings {
    /// Writes a request for a model, by the provider's name for it.
    ///
    /// # Errors
    /// 400 for more texts than the provider takes at once.
    pub(super) write: fn(&EmbeddingRequest<'_>, &str) -> Result<WrittenRequest>,
    /// Reads a response that came with a success status.
    ///
    /// # Errors
    /// 502 if it holds no vectors; the error's own status if it reports one.
    pub(super) read: for<'b> fn(&'b [u8]) -> Result<Vectors<'b>>,
}

/// A list of numbers as little-endian 32-bit floats in base64; `None` if it is no such list.
pub(super) fn to_base64(numbers: &str) -> Option<String> {
    let numbers: Vec<f32> = serde_json::from_str(numbers).ok()?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Some(base64::encode(&bytes))
}

/// The list of numbers in base64; `None` if that holds none.
pub(super) fn from_base64(text: &str) -> Option<Vec<f32>> {
    let bytes = base64::decode(text)?;
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The error of a success status whose body holds `what` instead of the vectors.
pub(super) fn invalid(what: &str) -> Error {
    let message = format!("The provider answered with a status of success, but with {what}.");
    Error::upstream(502, "upstream_invalid_response", message)
}

/// The error of a field of a client.
pub(super) fn wrong(field: &'static str, expected: &str) -> Error {
    Error::caller(400, "invalid_type", format!("`{field}` must be {expected}.")).at(field)
}
