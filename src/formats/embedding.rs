//! Embeddings for clients of another format than the provider's.

use super::written_request::WrittenRequest;
use crate::canonical::Usage;
use crate::error::Result;
use crate::wire::json::Document;

/// How a provider serves embedding requests in OpenAI's format.
pub struct EmbedCall {
    /// Writes a request for a model, by the provider's name for it; also returns how the client wants its
    /// vectors.
    ///
    /// # Errors
    /// 400 naming the field that violates OpenAI's format, or that this one cannot express.
    pub write: fn(&Document<'_>, &str) -> Result<(WrittenRequest, EmbeddingForm)>,
    /// Converts a complete response that came with a success status; also returns the tokens that it reports.
    ///
    /// # Errors
    /// 502 if the body violates the format; the error's own status if the body reports one.
    pub whole: fn(&[u8], &EmbeddingContext<'_>) -> Result<Billed>,
}

/// A response's body, and the tokens that its provider reports, if it does.
pub type Billed = (Vec<u8>, Option<Usage>);

/// How a client wants its vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddingForm {
    /// As little-endian 32-bit floats in base64, instead of lists of numbers.
    pub base64: bool,
    /// How many vectors there must be.
    pub count: usize,
}

/// What a response with vectors is written from, besides the vectors.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingContext<'a> {
    /// How the client wants them.
    pub form: EmbeddingForm,
    /// The name of the model for the client.
    pub model: &'a str,
    /// The tokens of the prompt, used if the provider reports none.
    pub estimate: u64,
}
