//! OpenAI's Chat Completions, and everything that speaks it.
//! Source: the OpenAI API reference, "Chat" (<https://platform.openai.com/docs/api-reference/chat>), and recorded traffic.

mod fields;
pub mod inbound;
pub mod outbound;
pub mod overhear;
mod parts;
mod read;
pub mod tally;
mod tools;
mod turns;
mod wire;

use crate::config::AdapterKind;

/// The adapter's row in the table.
pub const KIND: AdapterKind = AdapterKind { name: "openai", remote: true };

/// The end of every stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";
