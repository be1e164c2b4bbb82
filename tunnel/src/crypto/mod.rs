//! The cryptography of TLS for a client: a `CryptoProvider` of rustls on RustCrypto's primitives.
//!
//! Nothing here implements a primitive. Each file binds one role of rustls' interface to a crate: hashes and
//! HMAC, key exchange, the protection of records, and the verification of signatures. The provider has no
//! private keys of its own and offers no client certificates.
//!
//! # Threats
//!
//! The attacker controls the proxy and the network behind it: every byte that arrives, and its timing. He
//! must neither read nor change what is exchanged with the provider, nor pass for it, nor bring the module
//! down.
//!
//! - **Timing.** Secret values meet code without secret-dependent branches or look-ups: X25519 and the NIST
//!   curves in constant-time arithmetic, AES bit-sliced (`aes` without intrinsics), GHASH and Poly1305
//!   without tables, tags compared in constant time by `aead`. WebAssembly promises no constant time itself;
//!   a compiler may undo it. Signatures are verified in variable time: keys, messages and signatures are
//!   public.
//! - **Weak shares.** An all-zero result of X25519 ends the handshake (RFC 8446 7.4.2). Points of NIST curves
//!   must be uncompressed and on the curve. A share serves one handshake.
//! - **Weak keys.** RSA below 2048 bits is refused, above 8192 too; exponents are bounded. SHA-1 is not
//!   there. RSA-PSS takes a salt as long as the hash, as TLS requires.
//! - **Nonces.** They are the initial value combined with rustls' counter of records, which cannot repeat;
//!   keys of AES-GCM are retired after 2^24 records. In TLS 1.2, the explicit part of GCM is that same
//!   counter.
//! - **Records.** Plaintext of a record whose tag is wrong is not passed on. Records over 16 KiB are refused.
//! - **Remembered signatures.** The signatures of certificates that were found valid are remembered by a
//!   SHA-256 of algorithm, key, message and signature, so that an unchanged chain is not verified again. A
//!   repetition of the very same input gives the very same result; dates, names and constraints are checked
//!   each time. The signatures of handshakes, which prove possession of the key, never pass through this
//!   memory.
//! - **Keys in memory** are erased after use as far as the crates do so; copies that the compiler makes, and
//!   the module's own memory after a panic, are out of reach.
//! - **Randomness and time** come from outside: without randomness a handshake fails, and without a clock no
//!   certificate is valid.
//!
//! Not offered: Ed25519 and P-521 certificates, X25519MLKEM768, client certificates, key logs, QUIC.

mod aead;
mod hash;
mod key_exchange;
mod provider;
mod random;
mod remembered;
mod signatures;
mod suites;
mod tls12;
mod tls13;
#[cfg(test)]
mod vector_tests;

pub use provider::provider;
pub use random::Random;
