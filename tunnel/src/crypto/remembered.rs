//! A memory of certificates' signatures that were found valid: a chain is the same at every handshake, and a
//! signature of P-384 takes 7 ms in WebAssembly.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use sha2::{Digest, Sha256};

/// How many signatures are remembered. The oldest is forgotten first.
const CAPACITY: usize = 64;

static VALID: Mutex<VecDeque<[u8; 32]>> = Mutex::new(VecDeque::new());

/// An algorithm that remembers what it found valid. For signatures of certificates only.
#[derive(Debug)]
pub struct Remembering(pub &'static dyn SignatureVerificationAlgorithm);

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let id = self.id(key, message, signature);
        if valid(|remembered| remembered.contains(&id)) {
            return Ok(());
        }
        self.0.verify_signature(key, message, signature)?;
        valid(|remembered| {
            if remembered.len() >= CAPACITY {
                remembered.pop_front();
            }
            remembered.push_back(id);
        });
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }
}

impl Remembering {
    /// A hash of everything that the verification depends on. Lengths keep the parts apart.
    fn id(&self, key: &[u8], message: &[u8], signature: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (key_algorithm, signature_algorithm) = (self.public_key_alg_id(), self.signature_alg_id());
        for part in [key_algorithm.as_ref(), signature_algorithm.as_ref(), key, message, signature] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// Nothing that holds the lock can panic half-way through a change, so a poisoned memory is as good as
/// another.
fn valid<T>(work: impl FnOnce(&mut VecDeque<[u8; 32]>) -> T) -> T {
    work(&mut VALID.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::alg_id;

    use super::*;

    #[derive(Debug)]
    struct Counting(AtomicUsize);

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(&self, _: &[u8], _: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if signature.starts_with(b"good") { Ok(()) } else { Err(InvalidSignature) }
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ED448
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ED448
        }
    }

    #[test]
    fn successes_are_remembered_and_failures_are_not() {
        static COUNTING: Counting = Counting(AtomicUsize::new(0));
        let remembering = Remembering(&COUNTING);
        let verify = |key: &[u8], message: &[u8], signature: &[u8]| {
            let valid = remembering.verify_signature(key, message, signature).is_ok();
            (valid, COUNTING.0.swap(0, Ordering::Relaxed))
        };
        assert_eq!(verify(b"key", b"message", b"good"), (true, 1));
        assert_eq!(verify(b"key", b"message", b"good"), (true, 0));
        assert_eq!(verify(b"ke", b"ymessage", b"good"), (true, 1), "parts are kept apart");
        assert_eq!(verify(b"key", b"messagg", b"good"), (true, 1));
        assert_eq!(verify(b"key", b"message", b"bad"), (false, 1));
        assert_eq!(verify(b"key", b"message", b"bad"), (false, 1));
        for number in 0..1000u32 {
            verify(b"key", &number.to_le_bytes(), b"good");
        }
        assert!(valid(|remembered| remembered.len()) <= CAPACITY);
        assert_eq!(verify(b"key", b"message", b"good"), (true, 1), "forgotten in favour of newer ones");
    }
}
