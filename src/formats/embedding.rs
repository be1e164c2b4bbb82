//! How a client wants its vectors, for providers of another format.

use crate::canonical::Usage;

/// A response's body, and the tokens that its provider reports, if it does.
pub(super) type Billed = (Vec<u8>, Option<Usage>);

/// How a client wants its vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EmbeddingForm {
    /// As little-endian 32-bit floats in base64, instead of lists of numbers.
    pub(super) base64: bool,
    /// How many vectors there must be.
    pub(super) count: usize,
}

/// What a response with vectors is written from, besides the vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct EmbeddingContext<'a> {
    /// How the client wants them.
    pub(super) form: EmbeddingForm,
    /// The name of the model for the client.
    pub(super) model: &'a str,
    /// The tokens of the prompt, used if the provider reports none.
    pub(super) estimate: u64,
}
