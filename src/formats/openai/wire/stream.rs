//! What is fixed of a stream.

/// The end of every stream.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";
