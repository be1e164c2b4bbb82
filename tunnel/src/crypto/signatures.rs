//! The verification of signatures: ECDSA on P-256 and P-384, RSA with PKCS #1 v1.5 and PSS.

use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::AssociatedOid;
use rsa::signature::hazmat::PrehashVerifier;
use rsa::traits::PublicKeyParts;
use rsa::{PublicKey, pkcs1v15, pss};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::digest::FixedOutputReset;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::remembered::Remembering;

/// Takes the public key as its algorithm encodes it, the message, the signature.
type Verify = fn(&[u8], &[u8], &[u8]) -> Result<(), InvalidSignature>;

/// An algorithm as certificates name it.
#[derive(Debug)]
pub struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Verify,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

macro_rules! algorithms {
    ($($name:ident: $key:ident, $signature:ident, $verify:expr;)*) => {
        $(
            #[doc = concat!("`", stringify!($signature), "` with a key of `", stringify!($key), "`.")]
            pub static $name: Algorithm =
                Algorithm { key: alg_id::$key, signature: alg_id::$signature, verify: $verify };
        )*
        /// What certificates may be signed with.
        static CERTIFICATES: &[&dyn SignatureVerificationAlgorithm] = &[$(&Remembering(&$name)),*];
    };
}

algorithms! {
    P256_SHA256: ECDSA_P256, ECDSA_SHA256, verify_p256::<Sha256>;
    P256_SHA384: ECDSA_P256, ECDSA_SHA384, verify_p256::<Sha384>;
    P256_SHA512: ECDSA_P256, ECDSA_SHA512, verify_p256::<Sha512>;
    P384_SHA256: ECDSA_P384, ECDSA_SHA256, verify_p384::<Sha256>;
    P384_SHA384: ECDSA_P384, ECDSA_SHA384, verify_p384::<Sha384>;
    P384_SHA512: ECDSA_P384, ECDSA_SHA512, verify_p384::<Sha512>;
    PKCS1_SHA256: RSA_ENCRYPTION, RSA_PKCS1_SHA256, verify_pkcs1::<Sha256>;
    PKCS1_SHA384: RSA_ENCRYPTION, RSA_PKCS1_SHA384, verify_pkcs1::<Sha384>;
    PKCS1_SHA512: RSA_ENCRYPTION, RSA_PKCS1_SHA512, verify_pkcs1::<Sha512>;
    PSS_SHA256: RSA_ENCRYPTION, RSA_PSS_SHA256, verify_pss::<Sha256>;
    PSS_SHA384: RSA_ENCRYPTION, RSA_PSS_SHA384, verify_pss::<Sha384>;
    PSS_SHA512: RSA_ENCRYPTION, RSA_PSS_SHA512, verify_pss::<Sha512>;
}

/// What is offered to servers. The signatures of handshakes are never remembered.
///
/// In TLS 1.2 a scheme of ECDSA names a hash and no curve, so each has two algorithms; TLS 1.3 takes the
/// first.
pub static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: CERTIFICATES,
    mapping: &[
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[&P256_SHA256, &P384_SHA256]),
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[&P384_SHA384, &P256_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&PSS_SHA256]),
        (SignatureScheme::RSA_PSS_SHA384, &[&PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA512, &[&PSS_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&PKCS1_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&PKCS1_SHA512]),
    ],
};

/// The first byte of an uncompressed point, the only form in certificates of the web (RFC 5480 2.2).
const UNCOMPRESSED: u8 = 4;

/// The fewest bits of an RSA modulus. The most are 8192, by the crate.
const MIN_RSA_BITS: u32 = 2048;

fn verify_p256<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
    let key = uncompressed(key).and_then(|key| p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok());
    let signature = p256::ecdsa::Signature::from_der(signature).ok();
    verify_prehash::<D, _, _>(key, message, signature)
}

fn verify_p384<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
    let key = uncompressed(key).and_then(|key| p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok());
    let signature = p384::ecdsa::Signature::from_der(signature).ok();
    verify_prehash::<D, _, _>(key, message, signature)
}

fn verify_pkcs1<D>(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature>
where
    D: Digest + AssociatedOid,
{
    let key = rsa_key(key).map(pkcs1v15::VerifyingKey::<D>::new);
    verify_prehash::<D, _, _>(key, message, pkcs1v15::Signature::try_from(signature).ok())
}

/// The salt is as long as the hash (RFC 8446 4.2.3), which `new` means.
fn verify_pss<D>(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature>
where
    D: Digest + FixedOutputReset,
{
    let key = rsa_key(key).map(pss::VerifyingKey::<D>::new);
    verify_prehash::<D, _, _>(key, message, pss::Signature::try_from(signature).ok())
}

fn uncompressed(key: &[u8]) -> Option<&[u8]> {
    (key.first() == Some(&UNCOMPRESSED)).then_some(key)
}

fn rsa_key(key: &[u8]) -> Option<PublicKey> {
    let key = PublicKey::from_pkcs1_der(key).ok()?;
    (key.n().bit_width_vartime() >= MIN_RSA_BITS).then_some(key)
}

fn verify_prehash<D: Digest, K: PrehashVerifier<S>, S>(
    key: Option<K>,
    message: &[u8],
    signature: Option<S>,
) -> Result<(), InvalidSignature> {
    let (Some(key), Some(signature)) = (key, signature) else { return Err(InvalidSignature) };
    key.verify_prehash(&D::digest(message), &signature).map_err(|_| InvalidSignature)
}
