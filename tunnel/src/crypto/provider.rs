//! The provider as rustls takes it.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

use super::key_exchange::{P256, P384, X25519};
use super::random::{Random, Source};
use super::signatures::ALGORITHMS;
use super::suites::CIPHER_SUITES;

/// A provider that draws from `random`. rustls wants groups that live for ever, so each call keeps a few
/// bytes until the program ends: make one provider.
pub fn provider(random: Random) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: CIPHER_SUITES.to_vec(),
        // The first is sent with the first message. The others cost several times as much.
        kx_groups: vec![
            Box::leak(Box::new(X25519 { random })),
            Box::leak(Box::new(P256 { random })),
            Box::leak(Box::new(P384 { random })),
        ],
        signature_verification_algorithms: ALGORITHMS,
        secure_random: Box::leak(Box::new(Source { random })),
        key_provider: &NoKeys,
    }
}

#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("there are no client certificates".to_owned()))
    }
}
