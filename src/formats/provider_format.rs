//! A wire format as providers speak it.

use super::assemble::ResponseBuilder;
use super::auth::Signer;
use super::call::ProviderCall;
use super::listing::ModelListing;
use super::operation::OperationKind;
use super::stream::{EventSink, StreamDecoder};
use super::tap::{StreamTap, TapOptions};
use super::written_request::{WriteTarget, WrittenRequest};
use crate::canonical::{ModelRequest, Usage};
use crate::catalogue::Fact;
use crate::config::FormatKind;
use crate::error::{Error, Result};

/// A wire format as providers speak it.
pub struct ProviderFormat {
    /// Its row in the configuration's list of formats.
    pub kind: FormatKind,
    /// Signs a request with the key, if the format has no row in the catalogue that says how the key is sent.
    pub signer: Option<Signer>,
    /// The settings of sampling that its requests have no field for, by their names in `ModelFacts`.
    pub unsupported_settings: &'static [&'static str],
    /// What is true of each model in this format, whatever the catalogue says of it: it may be true of another API of
    /// the same host.
    pub facts: &'static [Fact],
    /// Whether the name of a tool has to begin with a letter or `_`.
    pub tool_names_begin_with_letter: bool,
    /// The name of a format for the newer API of some hosts, at the same address. The catalogue says for each model
    /// which of the two it takes ([`Field::Endpoints`](crate::catalogue::field::Field::Endpoints)).
    pub newer: Option<&'static str>,
    /// How its models are listed, if they can be.
    pub listing: Option<ModelListing>,
    /// Writes a request.
    ///
    /// # Errors
    /// 400 for a request that this format cannot express.
    pub write: fn(&ModelRequest<'_>, WriteTarget<'_>) -> Result<WrittenRequest>,
    /// Reads a complete response that came with a success status.
    ///
    /// # Errors
    /// 502 if the body violates the format; the error's own status if the body reports one.
    pub whole: fn(&[u8], EventSink<'_>) -> Result<()>,
    /// Reads the value of `usage` in a response; `None` if it reports no tokens, or if the format has no such
    /// field.
    pub usage: fn(&str) -> Option<Usage>,
    /// Decodes a stream.
    pub stream: fn() -> Box<dyn StreamDecoder>,
    /// Reads a stream that passes to a client of the same format.
    pub tap: fn(TapOptions) -> Box<dyn StreamTap>,
    /// Builds a whole response from a stream; `None` if the format cannot. See
    /// [`Assembler`](super::Assembler).
    pub assemble: Option<fn() -> Box<dyn ResponseBuilder>>,
    /// Whether the provider expects the reasoning state of earlier responses
    /// ([`ResponseEvent::ReasoningState`]) in this request.
    ///
    /// [`ResponseEvent::ReasoningState`]: crate::canonical::ResponseEvent::ReasoningState
    pub expects_reasoning_state: fn(&ModelRequest<'_>) -> bool,
    /// Reads an error response: its status, and its body, which may have been cut.
    pub refusal: fn(u16, &[u8]) -> Error,
    /// The calls that it serves for clients of other formats.
    pub calls: &'static [ProviderCall],
}

impl ProviderFormat {
    /// How it serves a kind of call for clients of other formats, if it does.
    pub fn call(&self, kind: OperationKind) -> Option<&'static ProviderCall> {
        self.calls.iter().find(|call| call.kind == kind)
    }
}
