//! Ephemeral Diffie-Hellman: X25519 (RFC 7748), P-256 and P-384.

use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{PublicKey, StaticSecret};

use super::random::Random;

/// The group X25519.
#[derive(Debug)]
pub struct X25519 {
    /// Where secrets come from.
    pub random: Random,
}

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        (self.random)(&mut secret).map_err(|_| Error::FailedToGetRandomBytes)?;
        Ok(Box::new(X25519Exchange::new(StaticSecret::from(secret))))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// One exchange. The secret is "static" for its type only: it is dropped with the exchange.
pub struct X25519Exchange {
    secret: StaticSecret,
    public: PublicKey,
}

impl X25519Exchange {
    /// An exchange with this secret.
    pub fn new(secret: StaticSecret) -> Self {
        let public = PublicKey::from(&secret);
        Self { secret, public }
    }
}

impl ActiveKeyExchange for X25519Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer: [u8; 32] = peer.try_into().map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = self.secret.diffie_hellman(&peer.into());
        // RFC 8446 7.4.2: the result of a point of small order ends the handshake.
        if !shared.was_contributory() {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(SharedSecret::from(shared.as_bytes().as_slice()))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// The first byte of an uncompressed point (SEC 1 2.3.3), the only form in TLS 1.3 (RFC 8446 4.2.8.2).
const UNCOMPRESSED: u8 = 4;

/// How often a scalar is drawn until one is below the order. One draw fails with a probability below 2^-32.
const DRAWS: usize = 8;

macro_rules! nist_curve {
    ($group:ident, $exchange:ident, $curve:ident, $name:expr) => {
        #[doc = concat!("The group of the curve ", stringify!($curve), ".")]
        #[derive(Debug)]
        pub struct $group {
            /// Where secrets come from.
            pub random: Random,
        }

        impl SupportedKxGroup for $group {
            fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
                for _ in 0..DRAWS {
                    let mut scalar = $curve::FieldBytes::default();
                    (self.random)(&mut scalar).map_err(|_| Error::FailedToGetRandomBytes)?;
                    if let Ok(secret) = $curve::SecretKey::from_bytes(&scalar) {
                        return Ok(Box::new($exchange::new(secret)));
                    }
                }
                Err(Error::FailedToGetRandomBytes)
            }

            fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
                None
            }

            fn name(&self) -> NamedGroup {
                $name
            }
        }

        /// One exchange.
        pub struct $exchange {
            secret: $curve::SecretKey,
            public: Box<[u8]>,
        }

        impl $exchange {
            /// An exchange with this secret.
            pub fn new(secret: $curve::SecretKey) -> Self {
                let public = secret.public_key().to_sec1_bytes();
                Self { secret, public }
            }
        }

        impl ActiveKeyExchange for $exchange {
            fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
                if peer.first() != Some(&UNCOMPRESSED) {
                    return Err(PeerMisbehaved::InvalidKeyShare.into());
                }
                // Refuses points that are not on the curve, and the one at infinity.
                let peer = $curve::PublicKey::from_sec1_bytes(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
                let shared = $curve::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
                Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
            }

            fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
                None
            }

            fn pub_key(&self) -> &[u8] {
                &self.public
            }

            fn group(&self) -> NamedGroup {
                $name
            }
        }
    };
}

nist_curve!(P256, P256Exchange, p256, NamedGroup::secp256r1);
nist_curve!(P384, P384Exchange, p384, NamedGroup::secp384r1);
