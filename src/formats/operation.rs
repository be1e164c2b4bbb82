//! Operations: what clients can ask of a model, one row for each endpoint of a client's format.

use super::envelope::RequestEnvelope;
use super::summary::ResponseSummary;
use crate::canonical::ModelRequest;
use crate::error::{Error, Result};
use crate::wire::json::Document;

/// How the gateway handles an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// The model generates tokens; the response may be streamed.
    Generate,
    /// Texts become vectors; only the prompt's tokens are billed.
    Embed,
    /// A prompt's tokens are counted; free of charge.
    Count,
}

/// An endpoint of a client's format.
#[derive(Debug)]
pub struct Operation {
    /// Plural name for error messages: `embeddings`.
    pub name: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// Path below the API's root, both for clients and for providers that speak the same format.
    pub path: &'static str,
    /// How the gateway handles it.
    pub kind: OperationKind,
    /// The field that holds the question.
    pub question_field: &'static str,
    /// Fields that the gateway reads or sets. Each may occur once only: readers disagree on which of two counts.
    pub unique_fields: &'static [&'static str],
    /// Reads a request's body; see [`Operation::read`].
    pub reader: for<'a> fn(&'static Operation, &'a [u8]) -> Result<RequestEnvelope<'a>>,
    /// Reads the conversation of a request that is translated for a provider of another format; `None` if it cannot be.
    ///
    /// # Errors
    /// 400 naming the field that is not as the format wants it.
    pub conversation: Option<for<'d> fn(&'d Document<'d>) -> Result<ModelRequest<'d>>>,
    /// Whether a limit of 0 tokens is meant, and not a mistake.
    pub allows_zero_limit: fn(&Document<'_>) -> bool,
    /// Reads a whole response that came with a status of success and passes through. If it is no response to this
    /// operation, or an error in spite of its status, that is the summary's error.
    pub summarize: fn(&[u8]) -> ResponseSummary,
}

impl Operation {
    /// Reads a request's body.
    ///
    /// # Errors
    /// 400 with the position or the field at fault.
    pub fn read<'a>(&'static self, body: &'a [u8]) -> Result<RequestEnvelope<'a>> {
        (self.reader)(self, body)
    }

    /// Reads the conversation of a request that is translated.
    ///
    /// # Errors
    /// 400 naming the field that is not as the format wants it, or if this operation is never translated.
    pub fn read_conversation<'d>(&self, document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
        let read = self.conversation.ok_or_else(|| {
            let message = format!("Requests for {} cannot be translated for this model's provider.", self.name);
            Error::caller(400, "unsupported_endpoint", message).at("model")
        })?;
        read(document)
    }

    /// Whether its responses are generated tokens.
    pub fn generates(&self) -> bool {
        self.kind == OperationKind::Generate
    }
}

impl PartialEq for Operation {
    /// No two rows have the same path.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Operation {}
