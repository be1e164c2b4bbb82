//! Streamed responses on their way to the client: a provider's events ([`events`]), a long body that passes in pieces ([`long`]), and the
//! gateway's own ([`script`]).

mod events;
mod long;
mod piped;
mod script;
mod write;

pub use write::StreamBody;
