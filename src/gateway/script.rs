//! Pieces of a response that the gateway gives itself.

use crate::config::Millis;

/// Pieces of a stream, each with the pause before it, in milliseconds.
pub(super) type EchoScript = std::vec::IntoIter<(Millis, Vec<u8>)>;
