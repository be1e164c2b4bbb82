//! Authenticated encryption in place, as records need it.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag};
use rustls::Error;
use rustls::crypto::cipher::NONCE_LEN;

/// The bytes of a tag, with every suite of TLS that is offered.
pub const TAG: usize = 16;

/// The most bytes of a record's plaintext (RFC 8446 5.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;

/// The key of one direction.
pub struct RecordKey<A>(A);

impl<A: KeyInit + AeadInOut> RecordKey<A> {
    /// The bytes of a key.
    pub fn length() -> usize {
        A::key_size()
    }

    /// Takes a key of that length.
    pub fn new(key: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "rustls derives keys of the length that the suite states")]
        let aead = A::new_from_slice(key).expect("a key of the suite's length");
        Self(aead)
    }
}

impl<A: AeadInOut> RecordKey<A> {
    /// Encrypts in place and gives the tag.
    ///
    /// # Errors
    /// [`Error::EncryptError`] for more bytes than one nonce may protect.
    pub fn seal(&self, nonce: [u8; NONCE_LEN], additional: &[u8], text: &mut [u8]) -> Result<[u8; TAG], Error> {
        let nonce = Nonce::<A>::try_from(nonce.as_slice()).map_err(|_| Error::EncryptError)?;
        let tag = self.0.encrypt_inout_detached(&nonce, additional, InOutBuf::from(text));
        let tag = tag.map_err(|_| Error::EncryptError)?;
        <[u8; TAG]>::try_from(tag.as_slice()).map_err(|_| Error::EncryptError)
    }

    /// Decrypts text and tag in place and gives the length of the text, which begins where `sealed` begins.
    ///
    /// # Errors
    /// [`Error::DecryptError`] for a wrong tag, [`Error::PeerSentOversizedRecord`] for a text over `limit`.
    pub fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        sealed: &mut [u8],
        limit: usize,
    ) -> Result<usize, Error> {
        let nonce = Nonce::<A>::try_from(nonce.as_slice()).map_err(|_| Error::DecryptError)?;
        let length = sealed.len().checked_sub(TAG).ok_or(Error::DecryptError)?;
        if length > limit {
            return Err(Error::PeerSentOversizedRecord);
        }
        let (text, tag) = sealed.split_at_mut_checked(length).ok_or(Error::DecryptError)?;
        let tag = Tag::<A>::try_from(&*tag).map_err(|_| Error::DecryptError)?;
        let opened = self.0.decrypt_inout_detached(&nonce, additional, InOutBuf::from(text), &tag);
        opened.map(|()| length).map_err(|_| Error::DecryptError)
    }
}
