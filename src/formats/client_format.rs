//! A wire format as clients speak it.

use std::rc::Rc;

use super::bounds::RequestRules;
use super::framing::Framing;
use super::kept::KeptResponses;
use super::model_facts::ModelFacts;
use super::operation::Operation;
use super::stream::StreamEncoder;
use super::tap::{PassthroughEnd, StreamTap};
use crate::canonical::{ModelRequest, ResponseEvent};
use crate::error::{Error, Result};
use crate::wire::json::Document;

/// A wire format as clients speak it.
pub struct ClientFormat {
    /// The name of the `FormatKind` of providers that speak the same format.
    pub name: &'static str,
    /// What such clients can ask for.
    pub operations: &'static [&'static Operation],
    /// How their requests are bounded and edited.
    pub rules: RequestRules,
    /// Writes a complete response.
    pub whole: fn(&ResponseHead, &[ResponseEvent<'_>]) -> Vec<u8>,
    /// Encodes a stream.
    pub stream: fn(ResponseHead) -> Box<dyn StreamEncoder>,
    /// Reads what the response repeats of its request, as text that only this format reads
    /// ([`ResponseHead::repeated`]); `None` in formats whose responses repeat nothing.
    pub repeat: fn(&Document<'_>) -> Option<Rc<str>>,
    /// Whether the client carries reasoning state from a response to this request's successor, so that nothing has
    /// to be stored. It gets the state sealed ([`ResponseEvent::ReasoningState`] with a JSON string).
    pub carries_state: fn(&Document<'_>) -> bool,
    /// How its responses are kept for later requests, if clients can refer to them.
    pub kept: Option<&'static KeptResponses>,
    /// How its streams are cut into events.
    pub framing: &'static Framing,
    /// Converts a complete response into a stream, for a provider that ignores that a stream was requested.
    pub restream: Restream,
    /// Writes the events of a provider in the framing of clients, where that is another than the provider's.
    pub retap: Option<Retap>,
    /// Ends a stream of the provider's own bytes whose end marker has not passed.
    pub end_passthrough: fn(PassthroughEnd<'_>, &mut Vec<u8>),
    /// Adds the cost to a withheld report of the usage, and inserts it into the end of a stream, if the
    /// format has a place for it.
    pub insert_cost: fn(UsageReport<'_>, &mut Vec<u8>),
    /// Whether an error before the first event of a stream is sent as an event, with status 200: some clients
    /// act upon certain errors only there.
    pub fails_in_stream: fn(&Error) -> bool,
    /// Writes an error as a response's body. The second argument is the request's id, for formats with a
    /// place for it.
    pub error: fn(&Error, &str) -> Vec<u8>,
    /// Writes a list of models as a response's body.
    pub models: fn(&[ModelEntry<'_>]) -> Vec<u8>,
    /// Writes one model as a response's body.
    pub model: fn(&ModelEntry<'_>) -> Vec<u8>,
    /// Beginnings of the paths that belong to this format, below `/v1`. All other paths belong to the default
    /// format.
    pub path_prefixes: &'static [&'static str],
    /// A request header that identifies such clients on paths that all formats share.
    pub marker_header: Option<&'static str>,
    /// A parameter of the query that identifies such clients there, before any header does.
    pub marker_query: Option<&'static str>,
    /// The response header in which such clients look for the request's id.
    pub id_header: &'static str,
    /// Request headers that are passed on to providers of the same format, each with the value that is sent
    /// if the client sends none.
    pub forwarded_headers: &'static [(&'static str, Option<&'static str>)],
    /// The prefix of placeholders that the gateway wrote for such a client, and that no provider of the same
    /// format may receive.
    pub placeholder_prefix: Option<&'static str>,
}

impl ClientFormat {
    /// Reads the conversation of a request whose response is generated.
    ///
    /// # Errors
    /// 400 naming the field that violates the format.
    pub fn read<'d>(&self, document: &'d Document<'d>) -> Result<ModelRequest<'d>> {
        let mut operations = self.operations.iter();
        let operation = operations.find(|operation| operation.generates() && operation.conversation.is_some());
        operation
            .ok_or_else(|| Error::caller(400, "unsupported_endpoint", "This format has no conversations."))?
            .read_conversation(document)
    }
}

/// Writes what a tap lets pass in another framing.
pub type Retap = fn(Box<dyn StreamTap>) -> Box<dyn StreamTap>;

/// How a complete response becomes a stream.
#[derive(Clone, Copy)]
pub enum Restream {
    /// From its document in the client's format, with the fields that the gateway does not know. `None` if
    /// the document cannot be read.
    Document(fn(&[u8], RestreamOptions<'_>) -> Option<Vec<u8>>),
    /// From its events, by the client's encoder.
    Events,
}

/// What a stream made of a complete response reports at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestreamOptions<'a> {
    /// Whether it reports the usage.
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
    /// The response is complete: the report belongs before the stream's end marker. Otherwise it belongs
    /// before all that ends the stream.
    pub is_complete: bool,
}

/// A model in a list for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry<'a> {
    /// The name to call it by.
    pub id: String,
    /// When this gateway began to offer it, in seconds since 1970: providers do not say when a model was
    /// made.
    pub created: u64,
    /// Its provider.
    pub owned_by: &'a str,
    /// Whether it can be called now, if the client asked for that.
    pub available: Option<bool>,
    /// Why it cannot be called.
    pub unavailable_reason: Option<String>,
    /// What it takes and costs.
    pub facts: ModelFacts,
}

/// The head of a response: used where the provider reports nothing better.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Random bits for the response's id.
    pub random: u128,
    /// Seconds since 1970.
    pub created: u64,
    /// When a whole response was completed, in seconds since 1970; `None` while that is not known.
    pub completed: Option<u64>,
    /// The requested model, as the client named it.
    pub model: String,
    /// Whether a stream reports its usage, where the format leaves that to the client.
    pub include_usage: bool,
    /// Whether that report includes the cost. The usage is then withheld: see
    /// [`StreamEncoder::withheld_usage`].
    pub include_cost: bool,
    /// What made the response, if that is the gateway itself and the format has a place for it.
    pub fingerprint: Option<&'static str>,
    /// The response is kept for later requests.
    pub is_kept: bool,
    /// What it repeats of the request ([`ClientFormat::repeat`]).
    pub repeated: Option<Rc<str>>,
}
