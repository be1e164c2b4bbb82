//! The cipher suites, in the order in which they are offered: ChaCha20 first, because AES without the
//! processor's instructions takes twice the time in WebAssembly.

use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::cipher::{Tls12AeadAlgorithm, Tls13AeadAlgorithm};
use rustls::crypto::hash::Hash;
use rustls::crypto::hmac::Hmac;
use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{CipherSuiteCommon, KeyExchangeAlgorithm};
use rustls::{CipherSuite, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::hash::{HMAC_SHA256, HMAC_SHA384, SHA256, SHA384};
use super::tls12::{Chacha12, Gcm12};
use super::tls13::Aead13;

/// All suites.
pub static CIPHER_SUITES: &[SupportedCipherSuite] = &[
    SupportedCipherSuite::Tls13(&TLS13_CHACHA20),
    SupportedCipherSuite::Tls13(&TLS13_AES128),
    SupportedCipherSuite::Tls13(&TLS13_AES256),
    SupportedCipherSuite::Tls12(&TLS12_ECDSA_CHACHA20),
    SupportedCipherSuite::Tls12(&TLS12_RSA_CHACHA20),
    SupportedCipherSuite::Tls12(&TLS12_ECDSA_AES128),
    SupportedCipherSuite::Tls12(&TLS12_RSA_AES128),
    SupportedCipherSuite::Tls12(&TLS12_ECDSA_AES256),
    SupportedCipherSuite::Tls12(&TLS12_RSA_AES256),
];

/// How many records one key of AES-GCM protects (RFC 8446 5.5). ChaCha20-Poly1305 has no such limit.
const GCM_RECORDS: u64 = 1 << 24;
const CHACHA_RECORDS: u64 = u64::MAX;

const ECDSA: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384];

const RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The hash of a suite, and HMAC with it.
#[derive(Clone, Copy)]
struct SuiteDigest {
    hash: &'static dyn Hash,
    hmac: &'static dyn Hmac,
}

const DIGEST_256: SuiteDigest = SuiteDigest { hash: &SHA256, hmac: &HMAC_SHA256 };
const DIGEST_384: SuiteDigest = SuiteDigest { hash: &SHA384, hmac: &HMAC_SHA384 };

static CHACHA20_13: Aead13<ChaCha20Poly1305> = Aead13::new();
static AES128_13: Aead13<Aes128Gcm> = Aead13::new();
static AES256_13: Aead13<Aes256Gcm> = Aead13::new();
static AES128_12: Gcm12<Aes128Gcm> = Gcm12::new();
static AES256_12: Gcm12<Aes256Gcm> = Gcm12::new();

macro_rules! tls13 {
    ($name:ident, $suite:ident, $digest:ident, $aead:expr, $records:expr) => {
        static $name: Tls13CipherSuite = Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::$suite,
                hash_provider: $digest.hash,
                confidentiality_limit: $records,
            },
            hkdf_provider: &HkdfUsingHmac($digest.hmac),
            aead_alg: $aead as &dyn Tls13AeadAlgorithm,
            quic: None,
        };
    };
}

tls13!(TLS13_CHACHA20, TLS13_CHACHA20_POLY1305_SHA256, DIGEST_256, &CHACHA20_13, CHACHA_RECORDS);
tls13!(TLS13_AES128, TLS13_AES_128_GCM_SHA256, DIGEST_256, &AES128_13, GCM_RECORDS);
tls13!(TLS13_AES256, TLS13_AES_256_GCM_SHA384, DIGEST_384, &AES256_13, GCM_RECORDS);

macro_rules! tls12 {
    ($name:ident, $suite:ident, $sign:ident, $digest:ident, $aead:expr, $records:expr) => {
        static $name: Tls12CipherSuite = Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::$suite,
                hash_provider: $digest.hash,
                confidentiality_limit: $records,
            },
            prf_provider: &PrfUsingHmac($digest.hmac),
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: $sign,
            aead_alg: $aead as &dyn Tls12AeadAlgorithm,
        };
    };
}

tls12!(
    TLS12_ECDSA_CHACHA20,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ECDSA,
    DIGEST_256,
    &Chacha12,
    CHACHA_RECORDS
);
tls12!(TLS12_RSA_CHACHA20, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, RSA, DIGEST_256, &Chacha12, CHACHA_RECORDS);
tls12!(TLS12_ECDSA_AES128, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ECDSA, DIGEST_256, &AES128_12, GCM_RECORDS);
tls12!(TLS12_RSA_AES128, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, RSA, DIGEST_256, &AES128_12, GCM_RECORDS);
tls12!(TLS12_ECDSA_AES256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, ECDSA, DIGEST_384, &AES256_12, GCM_RECORDS);
tls12!(TLS12_RSA_AES256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, RSA, DIGEST_384, &AES256_12, GCM_RECORDS);
