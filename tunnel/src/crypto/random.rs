//! Randomness, which comes from outside.

use rustls::crypto::{GetRandomFailed, SecureRandom};

/// Fills a slice with random bytes of cryptographic quality.
pub type Random = fn(&mut [u8]) -> Result<(), GetRandomFailed>;

/// The source as rustls takes it.
#[derive(Debug)]
pub struct Source {
    /// Where the bytes come from.
    pub random: Random,
}

impl SecureRandom for Source {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        (self.random)(bytes)
    }
}
