//! Constants of streams.

/// The last event of every stream.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";
