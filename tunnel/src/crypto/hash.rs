//! SHA-2 and HMAC.

use std::marker::PhantomData;

use hmac::digest::block_api::EagerHash;
use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac as tls_hmac;
use sha2::{Digest, Sha256, Sha384};

/// The hash of a cipher suite.
pub struct SuiteHash<D> {
    algorithm: HashAlgorithm,
    digest: PhantomData<fn() -> D>,
}

/// SHA-256.
pub static SHA256: SuiteHash<Sha256> = SuiteHash { algorithm: HashAlgorithm::SHA256, digest: PhantomData };
/// SHA-384.
pub static SHA384: SuiteHash<Sha384> = SuiteHash { algorithm: HashAlgorithm::SHA384, digest: PhantomData };

impl<D: Digest + Clone + Send + Sync + 'static> Hash for SuiteHash<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Transcript(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }
}

struct Transcript<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static> Context for Transcript<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// HMAC with the hash of a cipher suite: the base of HKDF and of the PRF of TLS 1.2, which rustls has.
pub struct SuiteHmac<D>(PhantomData<fn() -> D>);

/// HMAC-SHA-256.
pub static HMAC_SHA256: SuiteHmac<Sha256> = SuiteHmac(PhantomData);
/// HMAC-SHA-384.
pub static HMAC_SHA384: SuiteHmac<Sha384> = SuiteHmac(PhantomData);

impl<D> tls_hmac::Hmac for SuiteHmac<D>
where
    D: EagerHash + Digest + 'static,
    Hmac<D>: Mac + KeyInit + Clone + Send + Sync,
{
    fn with_key(&self, key: &[u8]) -> Box<dyn tls_hmac::Key> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 2)")]
        let mac = <Hmac<D> as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
        Box::new(HmacKey::<D>(mac))
    }

    fn hash_output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}

struct HmacKey<D: EagerHash>(Hmac<D>);

impl<D> tls_hmac::Key for HmacKey<D>
where
    D: EagerHash + Digest,
    Hmac<D>: Mac + Clone + Send + Sync,
{
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> tls_hmac::Tag {
        let mut mac = self.0.clone();
        Mac::update(&mut mac, first);
        for part in middle {
            Mac::update(&mut mac, part);
        }
        Mac::update(&mut mac, last);
        tls_hmac::Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}
