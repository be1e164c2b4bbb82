//! The protection of records in TLS 1.3 (RFC 8446 5.2).

use std::marker::PhantomData;

use aes_gcm::aead::{AeadInOut, KeyInit};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm, UnsupportedOperationError,
    make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

use super::aead::{MAX_PLAINTEXT, RecordKey, TAG};

/// The type of the content, which is encrypted with it.
const TYPE: usize = 1;

/// The algorithm of a suite.
pub struct Aead13<A>(PhantomData<fn() -> A>);

impl<A> Aead13<A> {
    /// The algorithm.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A: KeyInit + AeadInOut + Send + Sync + 'static> Tls13AeadAlgorithm for Aead13<A> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Direction { key: RecordKey::<A>::new(key.as_ref()), iv })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Direction { key: RecordKey::<A>::new(key.as_ref()), iv })
    }

    fn key_len(&self) -> usize {
        RecordKey::<A>::length()
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

struct Direction<A> {
    key: RecordKey<A>,
    iv: Iv,
}

impl<A: AeadInOut + Send + Sync> MessageEncrypter for Direction<A> {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, sequence: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.iv, sequence).0;
        let tag = self.key.seal(nonce, &make_tls13_aad(length), payload.as_mut())?;
        payload.extend_from_slice(&tag);
        // Records of TLS 1.3 say that they are application data of TLS 1.2 (RFC 8446 5.2).
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + TYPE + TAG
    }
}

impl<A: AeadInOut + Send + Sync> MessageDecrypter for Direction<A> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let nonce = Nonce::new(&self.iv, sequence).0;
        let additional = make_tls13_aad(message.payload.len());
        let length = self.key.open(nonce, &additional, &mut message.payload, MAX_PLAINTEXT + TYPE)?;
        message.payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}
