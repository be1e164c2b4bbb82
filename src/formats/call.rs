//! Calls: operations whose response is not generated, such as embeddings and token counts. A provider's
//! format has one row for each kind that it serves for clients of other formats.

use super::embedding::{EmbeddingContext, ProviderEmbeddings, Vectors, invalid};
use super::operation::{OperationKind, RequestEnvelope};
use super::written_request::{WriteTarget, WrittenRequest};
use crate::canonical::{ModelRequest, Usage};
use crate::error::{Error, Result};

/// How a provider serves one kind of call for clients of other formats.
pub struct ProviderCall {
    /// The kind.
    pub kind: OperationKind,
    /// Writes the request, and returns how its response is read.
    ///
    /// # Errors
    /// 400 naming the field that violates the client's format, or that this one cannot express.
    pub write: fn(&RequestEnvelope<'_>, WriteTarget<'_>) -> Result<WrittenCall>,
}

/// A call in the provider's format.
pub struct WrittenCall {
    /// The request.
    pub request: WrittenRequest,
    /// Reads its response.
    pub read: CallReader,
}

/// Reads a complete response that came with a success status, and writes it in the client's format. The
/// number is an estimate of the prompt's tokens, for responses whose provider reports none.
///
/// # Errors
/// 502 if the body violates the format; the error's own status if the body reports one.
pub type CallReader = Box<dyn FnOnce(&[u8], u64) -> Result<CallResponse>>;

/// A response in the client's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResponse {
    /// The body.
    pub body: Vec<u8>,
    /// The tokens that the provider reports, if it does.
    pub usage: Option<Usage>,
    /// The body contains the estimate.
    pub is_estimated: bool,
}

/// A token count: `write` writes the request for a conversation, and `read` reads the count.
///
/// # Errors
/// As `write`; 400 if the client's format has no conversations or no counts.
pub(super) fn count(
    envelope: &RequestEnvelope<'_>,
    target: WriteTarget<'_>,
    write: fn(&ModelRequest<'_>, WriteTarget<'_>) -> Result<WrittenRequest>,
    read: fn(&[u8]) -> Result<u64>,
) -> Result<WrittenCall> {
    let operation = envelope.operation;
    let request = write(&operation.read_conversation(&envelope.document)?, target)?;
    let unsupported = || Error::caller(400, "unsupported_endpoint", "Clients of this format do not count.");
    let respond = operation.write_count.ok_or_else(unsupported)?;
    let read = move |body: &[u8], _| {
        read(body).map(|tokens| CallResponse { body: respond(tokens), usage: None, is_estimated: false })
    };
    Ok(WrittenCall { request, read: Box::new(read) })
}

/// Embeddings: writes the request for the texts of a client's, and its response from the vectors.
///
/// # Errors
/// 400 for what the client's format has no embeddings for, and as reading and writing.
pub(super) fn embed(
    envelope: &RequestEnvelope<'_>,
    target: WriteTarget<'_>,
    provider: &'static ProviderEmbeddings,
) -> Result<WrittenCall> {
    let unsupported = || Error::caller(400, "unsupported_endpoint", "Clients of this format ask for no embeddings.");
    let client = envelope.operation.embeddings.ok_or_else(unsupported)?;
    let asked = (client.read)(&envelope.document)?;
    let request = (provider.write)(&asked, target.model)?;
    let request = WrittenRequest { dropped: asked.unsupported.into_names(), ..request };
    let (count, base64, model) = (asked.texts.len(), asked.base64, target.model.to_owned());
    let read = move |body: &[u8], estimate| {
        let Vectors { list, tokens } = (provider.read)(body)?;
        if list.len() != count || list.iter().any(|vector| !vector.get().starts_with('[')) {
            return Err(invalid(&format!("{} embeddings where {count} were requested", list.len())));
        }
        let context = EmbeddingContext { base64, model: &model, tokens: tokens.unwrap_or(estimate) };
        let body = (client.write)(list, &context)?;
        let usage = tokens.map(|uncached_input| Usage { uncached_input, ..Usage::default() });
        Ok(CallResponse { body, usage, is_estimated: usage.is_none() })
    };
    Ok(WrittenCall { request, read: Box::new(read) })
}
