//! Operations: what clients can ask of a model, one row for each endpoint of a client's format; and the
//! envelope of a request for one.

use super::bounds::whole;
use super::embedding::ClientEmbeddings;
use super::path;
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

/// Gives complete responses the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Reform {
    /// Whether a request asks for this form.
    pub is_asked: fn(&Document<'_>) -> bool,
    /// The response in this form; `None` if it can stay as it is.
    pub apply: fn(&[u8]) -> Option<Vec<u8>>,
}

/// An endpoint of a client's format.
#[derive(Debug)]
pub struct Operation {
    /// Plural name for error messages: `embeddings`.
    pub name: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// Path below the API's root, both for clients and for providers that speak the same format. It may hold
    /// a parameter for the model's name: `{model}` is one segment, `{model...}` may hold slashes and is
    /// percent-encoded.
    pub path: &'static str,
    /// How the gateway handles it.
    pub kind: OperationKind,
    /// The field that holds the question.
    pub question_field: &'static str,
    /// Fields that the gateway reads or sets. Each may occur once only: readers disagree on which of two
    /// counts.
    pub unique_fields: &'static [&'static str],
    /// Reads a request; see [`Operation::read`].
    pub reader: for<'b> fn(&'static Operation, RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>>,
    /// Reads the conversation of a request that is translated for a provider of another format; `None` if it
    /// cannot be.
    ///
    /// # Errors
    /// 400 naming the field that violates the format.
    pub conversation: Option<for<'d> fn(&'d Document<'d>) -> Result<ModelRequest<'d>>>,
    /// Writes the response to a token count, if this operation is one.
    pub write_count: Option<fn(u64) -> Vec<u8>>,
    /// How embeddings are asked for, if this operation does that.
    pub embeddings: Option<&'static ClientEmbeddings>,
    /// Whether its responses can be streamed.
    pub streams: bool,
    /// The path for a stream, in formats that say so by the path of a request.
    pub stream_path: Option<&'static str>,
    /// Whether a request means a limit of 0 tokens; usually that is a mistake.
    pub allows_zero_limit: fn(&Document<'_>) -> bool,
    /// Gives complete responses another form, if some hosts ignore the one that was asked for.
    pub reform: Option<Reform>,
    /// Summarizes a complete response that came with a success status and passes through. If it violates the
    /// format or reports an error, the summary holds that error.
    pub summarize: fn(&[u8]) -> ResponseSummary,
}

impl Operation {
    /// Reads a request.
    ///
    /// # Errors
    /// 400 with the position or the field at fault.
    pub fn read<'b>(&'static self, request: RequestParts<'_, 'b>) -> Result<RequestEnvelope<'b>> {
        (self.reader)(self, request)
    }

    /// The path below the API's root of a provider of the same format that calls the model `model`.
    /// `streams`: for a stream, although the client wants a whole response.
    pub fn path_for(&self, model: &str, streams: bool) -> String {
        path::fill(self.stream_path.filter(|_| streams).unwrap_or(self.path), model)
    }

    /// Reads the conversation of a request that is translated.
    ///
    /// # Errors
    /// 400 naming the field that violates the format, or if this operation is never translated.
    pub fn read_conversation<'d>(&self, document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
        let read = self.conversation.ok_or_else(|| {
            let message = format!("Requests for {} cannot be translated for this model's provider.", self.name);
            Error::caller(400, "unsupported_endpoint", message).at("model")
        })?;
        let mut request = read(document)?;
        for number in [&mut request.sampling.top_k, &mut request.sampling.seed] {
            *number = number.take().map(whole);
        }
        Ok(request)
    }

    /// Whether its responses are generated tokens.
    pub fn generates(&self) -> bool {
        self.kind == OperationKind::Generate
    }
}

impl PartialEq for Operation {
    /// Paths are unique.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Operation {}

/// The parts of a client's request that say what it asks for.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'p, 'b> {
    /// The name in the path, decoded; empty if the operation's path has no parameter.
    pub path_name: &'p str,
    /// The body.
    pub body: &'b [u8],
}

/// A request's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRef {
    /// The name that the client uses.
    pub name: String,
    /// Where the request names it.
    pub place: ModelPlace,
}

/// Where a request names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelPlace {
    /// In this top-level field of the body.
    Body(&'static str),
    /// In the path.
    Path,
}

/// A client's request, with the few fields read that decide how it is handled. It is never edited: a provider
/// gets an edited copy.
pub struct RequestEnvelope<'a> {
    /// What the client asks for.
    pub operation: &'static Operation,
    /// The requested model.
    pub model: ModelRef,
    /// The models that the client wants to be tried after it, in this order. Providers do not see them.
    pub fallbacks: Vec<String>,
    /// Whether the response is to be streamed.
    pub delivery: Delivery,
    /// What the client wants the response to contain.
    pub options: ResponseOptions,
    /// How many prompts or texts the request holds.
    pub questions: u64,
    /// The body.
    pub document: Document<'a>,
}

/// How a client wants its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As one document.
    Whole,
    /// As a stream of events.
    Stream,
}

/// What a client wants its response to contain, as far as its format leaves that to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseOptions {
    /// Whether a stream ends with the usage, if the client says so.
    pub include_usage: Option<bool>,
    /// Whether that includes the cost: a field of this gateway.
    pub include_cost: bool,
    /// How many choices it has, for all questions together.
    pub choices: u64,
}

impl Delivery {
    /// Whether it is a stream.
    pub fn is_stream(self) -> bool {
        self == Self::Stream
    }
}

impl ResponseOptions {
    /// One choice, usage as the format has it.
    pub const DEFAULT: Self = Self { include_usage: None, include_cost: false, choices: 1 };
}
