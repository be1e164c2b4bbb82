//! The wire formats, one folder each. No adapter names another; none waits for anything. Seen from the gateway, a format has two sides:
//! [`ProviderFormat`], as providers speak it, and [`ClientFormat`], as clients do. Between two formats stands `chat`.

pub mod anthropic;
pub mod auth;
pub mod bounds;
pub mod echo;
pub mod envelope;
pub mod gemini;
pub mod openai;
pub mod operation;
mod prompt_wire;
mod refusals;
pub mod summary;
pub mod tally;
pub mod tap;
pub mod tier;
mod unsupported;

use std::borrow::Cow;

use auth::AuthScheme;
use bounds::RequestRules;
use operation::Operation;
use tally::TokenTally;

use crate::canonical::{ModelRequest, ResponseEvent, Usage};
use crate::config::FormatKind;
use crate::error::{Error, Result};
use crate::wire::json::Document;
use tap::{PassthroughEnd, StreamTap, TapOptions};

/// What a provider's row may name as its `adapter`; the first is meant where it names none.
pub const KINDS: &[FormatKind] = &[openai::KIND, anthropic::KIND, gemini::KIND, echo::KIND];

/// The formats of providers.
pub const PROVIDER_FORMATS: &[ProviderFormat] = &[openai::UPSTREAM, anthropic::UPSTREAM, gemini::UPSTREAM];

/// The format of clients who chat.
pub const CHAT: &ClientFormat = &openai::CLIENT;

/// The format of clients who exchange messages.
pub const MESSAGES: &ClientFormat = &anthropic::CLIENT;

/// The formats of clients.
pub const CLIENT_FORMATS: &[&ClientFormat] = &[CHAT, MESSAGES];

/// A provider's format, by the word for it in the configuration.
pub fn provider_format(name: &str) -> Option<&'static ProviderFormat> {
    PROVIDER_FORMATS.iter().find(|upstream| upstream.kind.name == name)
}

/// The texts of a conversation, counted as OpenAI's format frames them: the encodings that are counted here are those of its models.
///
/// # Errors
/// 400 for what that format cannot hold, or if there is too much to be counted.
pub fn tally_conversation(request: &ModelRequest<'_>, model: &str) -> Result<TokenTally> {
    let written = (openai::UPSTREAM.write)(request, WriteTarget { model, max_output: None, limit_field: None })?;
    let document = Document::read(&written.body)
        .map_err(|_| Error::caller(400, "unsupported_endpoint", "This prompt cannot be counted."))?;
    tally::chat(&document)
}

/// A request as a provider wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRequest {
    /// The path below the API's root, and its query: `/messages`.
    pub path: String,
    /// Headers besides the key and `content-type`, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
    /// What the client said and the provider will not be told, by its name in OpenAI's or the client's words (`seed`,
    /// `messages[].name`), each once; [`ModelRequest::unmapped_fields`] is among them.
    pub dropped: Vec<Cow<'static, str>>,
}

/// What a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct WriteTarget<'a> {
    /// The provider's name for the model.
    pub model: &'a str,
    /// The longest answer that the model gives, in tokens, if that is known: for formats that demand a limit.
    pub max_output: Option<u64>,
    /// The name of the answer's limit that the provider honours, if the operator or the catalogue says: for formats that have several.
    pub limit_field: Option<&'a str>,
}

/// Hands on the steps of an answer, one by one.
pub type EventSink<'e> = &'e mut dyn FnMut(ResponseEvent<'_>);

/// A wire format as providers speak it.
pub struct ProviderFormat {
    /// The word for it in the configuration.
    pub kind: FormatKind,
    /// Where a key is put.
    pub auth: AuthScheme,
    /// Writes a request.
    ///
    /// # Errors
    /// 400 for what cannot be said in this format at all.
    pub write: fn(&ModelRequest<'_>, WriteTarget<'_>) -> Result<WrittenRequest>,
    /// Reads a whole answer that came with a status of success.
    ///
    /// # Errors
    /// 502 if it is none, or an error in spite of its status.
    pub whole: fn(&[u8], EventSink<'_>) -> Result<()>,
    /// Reads the value of `usage` in an answer; `None` if that tells no tokens, or the format has none.
    pub usage: fn(&str) -> Option<Usage>,
    /// Reads a streamed response.
    pub stream: fn() -> Box<dyn StreamDecoder>,
    /// Reads a stream that passes on to a client of the same format.
    pub tap: fn(TapOptions) -> Box<dyn StreamTap>,
    /// Whether the provider expects the reasoning state of earlier responses ([`ResponseEvent::ReasoningState`])
    /// in this request.
    pub recalls: fn(&ModelRequest<'_>) -> bool,
    /// What a refusal means for the caller: the provider's status, and its body, which may have been cut.
    pub refusal: fn(u16, &[u8]) -> Error,
    /// How the provider counts a prompt's tokens, if it does.
    pub count: Option<CountCall>,
    /// How it embeds texts for clients of [`CHAT`]'s format, if it does, and speaks another.
    pub embed: Option<EmbedCall>,
}

/// How a provider counts a prompt's tokens.
pub struct CountCall {
    /// Writes the question.
    ///
    /// # Errors
    /// As [`ProviderFormat::write`].
    pub write: fn(&ModelRequest<'_>, WriteTarget<'_>) -> Result<WrittenRequest>,
    /// Reads the answer: so many tokens.
    ///
    /// # Errors
    /// 502 if it is none.
    pub read: fn(&[u8]) -> Result<u64>,
}

/// How a provider embeds texts.
pub struct EmbedCall {
    /// Writes a request in [`CHAT`]'s format for a model, by the provider's name for it; and how the answer is wanted.
    ///
    /// # Errors
    /// 400 naming the field that is not as that format wants it, or that this one has no place for.
    pub write: fn(&Document<'_>, &str) -> Result<(WrittenRequest, EmbeddingForm)>,
    /// Writes an answer that came with a status of success in [`CHAT`]'s format, and gives the tokens that it reports.
    ///
    /// # Errors
    /// 502 if it is none, or an error in spite of its status.
    pub whole: fn(&[u8], &EmbeddingContext<'_>) -> Result<Billed>,
}

/// A response's body, and the tokens that its provider reports, if it does.
pub type Billed = (Vec<u8>, Option<Usage>);

/// How a client wants its vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddingForm {
    /// As 32-bit floats, the lowest byte first, in base64; else as lists of numbers.
    pub base64: bool,
    /// So many.
    pub count: usize,
}

/// What an answer with vectors is written from, besides the vectors.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingContext<'a> {
    /// How they are wanted.
    pub form: EmbeddingForm,
    /// The model that they are of, as the client is to be told.
    pub model: &'a str,
    /// The tokens of the prompt, where the provider does not tell them.
    pub estimate: u64,
}

/// The code of [`oversized`].
pub const OVERSIZED: &str = "event_too_large";

/// An event of a stream is too large to be read.
pub fn oversized() -> Error {
    let message = "The provider sent an event that is too large to be read: longer than 16 MiB, or of too many parts.";
    Error::upstream(502, OVERSIZED, message)
}

/// Reads a streamed answer as it comes, however it is cut.
pub trait StreamDecoder {
    /// Takes more of it.
    fn push(&mut self, bytes: &[u8], each: EventSink<'_>);

    /// There is no more of it: hands on what was complete but for its last line end. That something is missing is for others to see:
    /// there was no [`ResponseEvent::End`].
    fn finish(&mut self, each: EventSink<'_>);

    /// Events that could not be read.
    fn malformed(&self) -> u32;
}

/// A wire format as clients speak it.
pub struct ClientFormat {
    /// Its name: that of the [`FormatKind`] of providers who speak the same.
    pub name: &'static str,
    /// What such clients can ask for.
    pub operations: &'static [&'static Operation],
    /// How their requests are bounded and edited.
    pub rules: RequestRules,
    /// Writes a whole answer.
    pub whole: fn(&ResponseHead, &[ResponseEvent<'_>]) -> Vec<u8>,
    /// Writes a streamed response.
    pub stream: fn(ResponseHead) -> Box<dyn StreamEncoder>,
    /// Converts a whole response into a stream, for a provider that ignores that one was asked for.
    pub restream: Restream,
    /// Ends a stream of the provider's own bytes whose end marker has not passed.
    pub end_passthrough: fn(PassthroughEnd<'_>, &mut Vec<u8>),
    /// Adds the cost to a withheld report of the usage, and inserts that into the end of a stream, where the format has a
    /// place for it.
    pub insert_cost: fn(UsageReport<'_>, &mut Vec<u8>),
    /// An error as a response's body, and the request's id, where the format has a place for it.
    pub error: fn(&Error, &str) -> Vec<u8>,
    /// A list of models as a response's body.
    pub models: fn(&[ModelEntry<'_>]) -> Vec<u8>,
    /// One model as a response's body.
    pub model: fn(&ModelEntry<'_>) -> Vec<u8>,
    /// A request header by which such clients are known on paths that all share.
    pub mark: Option<&'static str>,
    /// The response header in which they look for the request's id.
    pub id_header: &'static str,
    /// Request headers that go on to such providers as they are, and what is sent where a client has none.
    pub carried: &'static [(&'static str, Option<&'static str>)],
    /// A word that stands in what the gateway made up for such a client, and that no such provider may see.
    pub own: Option<&'static str>,
    /// Writes the response to a count of a prompt's tokens, if the format has that operation.
    pub write_count: Option<fn(u64) -> Vec<u8>>,
}

/// How a whole response becomes a stream.
#[derive(Clone, Copy)]
pub enum Restream {
    /// From its document in the client's format, with the fields that the gateway does not know. `None` if the document
    /// cannot be read.
    Document(fn(&[u8], RestreamOptions<'_>) -> Option<Vec<u8>>),
    /// From its events, by the client's encoder.
    Events,
}

/// What a stream made of a whole response reports at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestreamOptions<'a> {
    /// The usage.
    pub usage: bool,
    /// The cost in dollars, as JSON, within the usage.
    pub cost: Option<&'a str>,
}

/// A report of the usage that was withheld for the cost to be added to it.
#[derive(Clone, Copy, Debug)]
pub struct UsageReport<'a> {
    /// The JSON that reports the usage.
    pub json: &'a [u8],
    /// The cost in dollars, as JSON.
    pub cost: &'a str,
    /// The response is complete: the report belongs before the stream's end marker, else before all that ends it.
    pub is_complete: bool,
}

impl ClientFormat {
    /// Reads the conversation of a request that is to be answered with generated tokens.
    ///
    /// # Errors
    /// 400 naming the field that is not as the format wants it.
    pub fn read<'d>(&self, document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
        let mut operations = self.operations.iter();
        let operation = operations.find(|operation| operation.generates() && operation.conversation.is_some());
        operation
            .ok_or_else(|| Error::caller(400, "unsupported_endpoint", "This format has no conversations."))?
            .read_conversation(document)
    }
}

/// A model as clients are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry<'a> {
    /// The name to call it by.
    pub id: String,
    /// When this gateway began to offer it, in seconds since 1970: providers do not say when a model was made.
    pub created: u64,
    /// Its provider.
    pub owned_by: &'a str,
    /// Whether it can be called now, if that was asked.
    pub available: Option<bool>,
    /// Why not.
    pub unavailable_reason: Option<String>,
}

/// What the head of an answer says, where its provider says nothing better.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Random bits for the answer's id.
    pub random: u128,
    /// Seconds since 1970.
    pub created: u64,
    /// The model asked for, as the client named it.
    pub model: String,
    /// Whether a stream tells its usage, where the format leaves that to the client.
    pub include_usage: bool,
    /// Whether it tells there as well what the answer cost. Then the usage is kept back: see [`StreamEncoder::kept_usage`].
    pub include_cost: bool,
    /// What made the response, if that is the gateway itself and the format has a place for it.
    pub fingerprint: Option<&'static str>,
}

/// Writes a streamed answer, each step as it comes.
pub trait StreamEncoder {
    /// Writes an event; many events write nothing. After [`ResponseEvent::Failed`], nothing is written.
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>);

    /// Writes the end: what the format demands after the last step of an answer that is whole, or, `failure`, of one that is not.
    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>);

    /// The JSON that reports the usage, if it was withheld for the cost to be added to it.
    fn kept_usage(&self) -> Option<&[u8]> {
        None
    }
}
