//! The wire formats, one folder each. A format names no other, and never waits. Seen from the gateway it has
//! two sides: [`ProviderFormat`], as providers speak it, and [`ClientFormat`], as clients do. Two formats
//! meet in `canonical`.

pub mod anthropic;
mod assemble;
mod assembler;
pub mod auth;
pub mod body;
pub mod bounds;
mod call;
mod client_format;
pub mod context_words;
mod describe;
pub mod echo;
mod effort;
mod embedding;
pub mod excerpt;
mod fields;
pub mod fit;
mod framing;
pub mod gemini;
mod kept;
mod listing;
mod media_type;
mod model_facts;
pub mod objection;
pub mod openai;
mod opening;
pub mod operation;
pub mod ordinary;
mod path;
mod prompt_wire;
mod provider_format;
pub mod refit;
mod refusals;
mod responses;
pub mod session;
pub mod statement;
mod stream;
pub mod summary;
mod table;
pub mod tally;
pub mod tap;
pub mod tier;
pub mod ties;
mod tool_names;
#[cfg(feature = "toy")]
pub mod toy;
mod unsupported;
mod written_request;

pub use assemble::ResponseBuilder;
pub use assembler::{AssembleOptions, Assembler};
pub use call::{CallReader, CallResponse, ProviderCall, WrittenCall};
pub use client_format::{ClientFormat, ModelEntry, ResponseHead, Restream, RestreamOptions, UsageReport};
pub use describe::describe;
pub use framing::{Framing, SSE};
pub use kept::{Earlier, KeptResponses, References};
pub use listing::{ModelListing, PLAIN_LISTING};
pub use model_facts::ModelFacts;
pub use provider_format::ProviderFormat;
pub use stream::{EventSink, OVERSIZED, StreamDecoder, StreamEncoder, oversized};
pub use table::{
    CHAT, CLIENT_FORMATS, CONTENTS, HOST_ROOTS, KINDS, MESSAGES, PROVIDER_FORMATS, RESPONSES, provider_format,
    tally_conversation,
};
pub use tool_names::ToolNames;
pub use written_request::{Adjustment, WriteTarget, WrittenRequest};
