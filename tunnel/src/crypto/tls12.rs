//! The protection of records in TLS 1.2: AES-GCM (RFC 5288) and ChaCha20-Poly1305 (RFC 7905).

use std::marker::PhantomData;

use aes_gcm::aead::{AeadInOut, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    UnsupportedOperationError, make_tls12_aad,
};
use rustls::{ConnectionTrafficSecrets, Error};

use super::aead::{MAX_PLAINTEXT, RecordKey, TAG};

/// The part of GCM's nonce that is derived with the keys …
const SALT: usize = 4;
/// … and the part that is sent with each record.
const EXPLICIT: usize = NONCE_LEN - SALT;

/// AES-GCM.
pub struct Gcm12<A>(PhantomData<fn() -> A>);

impl<A> Gcm12<A> {
    /// The algorithm.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A nonce of its two parts. rustls gives them in the lengths of the shape.
fn joined(salt: &[u8], explicit: &[u8]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    for (target, byte) in nonce.iter_mut().zip(salt.iter().chain(explicit)) {
        *target = *byte;
    }
    nonce
}

impl<A: KeyInit + AeadInOut + Send + Sync + 'static> Tls12AeadAlgorithm for Gcm12<A> {
    fn encrypter(&self, key: AeadKey, salt: &[u8], explicit: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(GcmDirection { key: RecordKey::<A>::new(key.as_ref()), iv: Iv::new(joined(salt, explicit)) })
    }

    fn decrypter(&self, key: AeadKey, salt: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(GcmDirection { key: RecordKey::<A>::new(key.as_ref()), iv: Iv::new(joined(salt, &[])) })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape { enc_key_len: RecordKey::<A>::length(), fixed_iv_len: SALT, explicit_nonce_len: EXPLICIT }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// When it decrypts, only the salt of `iv` counts.
struct GcmDirection<A> {
    key: RecordKey<A>,
    iv: Iv,
}

impl<A: AeadInOut + Send + Sync> MessageEncrypter for GcmDirection<A> {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, sequence: u64) -> Result<OutboundOpaqueMessage, Error> {
        let nonce = Nonce::new(&self.iv, sequence).0;
        let additional = make_tls12_aad(sequence, message.typ, message.version, message.payload.len());
        let (_, explicit) = nonce.split_at(SALT);
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(message.payload.len()));
        payload.extend_from_slice(explicit);
        payload.extend_from_chunks(&message.payload);
        let text = payload.as_mut().get_mut(EXPLICIT..).ok_or(Error::EncryptError)?;
        let tag = self.key.seal(nonce, &additional, text)?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        EXPLICIT + length + TAG
    }
}

impl<A: AeadInOut + Send + Sync> MessageDecrypter for GcmDirection<A> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let length = message.payload.len().checked_sub(EXPLICIT + TAG).ok_or(Error::DecryptError)?;
        let additional = make_tls12_aad(sequence, message.typ, message.version, length);
        let (explicit, sealed) = message.payload.split_at_mut_checked(EXPLICIT).ok_or(Error::DecryptError)?;
        let (salt, _) = self.iv.as_ref().split_at_checked(SALT).ok_or(Error::DecryptError)?;
        self.key.open(joined(salt, explicit), &additional, sealed, MAX_PLAINTEXT)?;
        Ok(message.into_plain_message_range(EXPLICIT..EXPLICIT + length))
    }
}

/// ChaCha20-Poly1305. Its nonces are formed as in TLS 1.3 and not sent.
pub struct Chacha12;

impl Tls12AeadAlgorithm for Chacha12 {
    fn encrypter(&self, key: AeadKey, iv: &[u8], _: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(ChachaDirection { key: RecordKey::new(key.as_ref()), iv: Iv::copy(iv) })
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(ChachaDirection { key: RecordKey::new(key.as_ref()), iv: Iv::copy(iv) })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: RecordKey::<ChaCha20Poly1305>::length(),
            fixed_iv_len: NONCE_LEN,
            explicit_nonce_len: 0,
        }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

struct ChachaDirection {
    key: RecordKey<ChaCha20Poly1305>,
    iv: Iv,
}

impl MessageEncrypter for ChachaDirection {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, sequence: u64) -> Result<OutboundOpaqueMessage, Error> {
        let additional = make_tls12_aad(sequence, message.typ, message.version, message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(message.payload.len()));
        payload.extend_from_chunks(&message.payload);
        let tag = self.key.seal(Nonce::new(&self.iv, sequence).0, &additional, payload.as_mut())?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + TAG
    }
}

impl MessageDecrypter for ChachaDirection {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let length = message.payload.len().checked_sub(TAG).ok_or(Error::DecryptError)?;
        let additional = make_tls12_aad(sequence, message.typ, message.version, length);
        let nonce = Nonce::new(&self.iv, sequence).0;
        self.key.open(nonce, &additional, &mut message.payload, MAX_PLAINTEXT)?;
        message.payload.truncate(length);
        Ok(message.into_plain_message())
    }
}
