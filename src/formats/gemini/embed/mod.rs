//! Embeddings: `:embedContent` and `:batchEmbedContents`.
//! Source: <https://ai.google.dev/api/embeddings>.

mod client;
mod provider;

pub(super) use client::{BATCH, SINGLE, summarize};
pub(super) use provider::write_call;
