//! Reasoning state that providers expect back with a tool call, stored for clients whose format cannot carry
//! it. Entries are sealed: one opens only for the same caller, provider, model and call.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::config::Millis;
use crate::wire::base64;

/// The maximum size of a state in bytes before it is sealed. A row of the store holds two million.
const MAX_STATE_BYTES: usize = 1 << 20;
/// The maximum number of calls of one conversation that are looked up, the latest first.
pub const MOST: usize = 500;
/// The length of a nonce, in bytes. At this length random nonces are safe.
const NONCE: usize = 24;
/// Separates this key from others derived from the same secret.
const PURPOSE: &[u8] = b"llm-bridge vault 1";

/// A command to the store, as JSON; both sides belong to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreCommand {
    /// Stores entries.
    Keep {
        /// The entries. One replaces another with the same id.
        things: Vec<SealedEntry>,
        /// How long they are kept, in milliseconds.
        life: Millis,
    },
    /// Reads the entries of these calls, the most important first.
    Recall(Vec<String>),
    /// Keeps a response: its slices, and the ids that lead to it. The oldest responses are deleted if there
    /// are too many bytes.
    KeepResponse {
        /// The slices, in order, and further entries.
        things: Vec<SealedEntry>,
        /// How long they are kept, in milliseconds.
        life: Millis,
        /// The most bytes of all responses together.
        cap: u64,
    },
    /// Reads the slices of a response, or the entry of an id that leads to one.
    ReadResponse(String),
    /// Forgets a response.
    DropResponse(String),
}

/// The response of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreResponse {
    /// The entries are stored.
    Kept,
    /// The entries that exist.
    Found(Vec<SealedEntry>),
    /// The command could not be parsed.
    #[serde(rename = "Confused")]
    Malformed,
}

/// A sealed entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedEntry {
    /// The id of the tool call.
    pub id: String,
    /// The nonce and the ciphertext, in base64.
    pub sealed: String,
}

/// Seals and opens the entries of one caller, provider and model.
pub struct EntrySeal {
    cipher: XChaCha20Poly1305,
    /// The caller's account, the format and the model; authenticated with each entry.
    owner: [String; 3],
}

impl EntrySeal {
    /// Derives the key from the provider's by HKDF (RFC 5869), so that stored entries are worthless without
    /// it. `owner` is the caller's account; `adapter` and `model` are named as in the provider's row.
    pub fn new(secret: &str, owner: &str, adapter: &str, model: &str) -> Option<Self> {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, secret.as_bytes()).expand(PURPOSE, &mut key).ok()?;
        let cipher = XChaCha20Poly1305::new_from_slice(&key).ok()?;
        Some(Self { cipher, owner: [owner, adapter, model].map(str::to_owned) })
    }

    /// Seals the state of a call. `nonce` is new for each. `None` if the state is too long.
    pub fn close(&self, id: &str, text: &str, nonce: [u8; NONCE]) -> Option<SealedEntry> {
        if text.len() > MAX_STATE_BYTES {
            return None;
        }
        let bound = self.bound(id);
        let payload = Payload { msg: text.as_bytes(), aad: bound.as_bytes() };
        let body = self.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        Some(SealedEntry { id: id.to_owned(), sealed: base64::encode(&[nonce.as_slice(), &body].concat()) })
    }

    /// Opens an entry; `None` if it belongs to another owner or was changed.
    pub fn open(&self, thing: &SealedEntry) -> Option<String> {
        let bytes = base64::decode(&thing.sealed)?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE>()?;
        let bound = self.bound(&thing.id);
        let text = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: bound.as_bytes() }).ok()?;
        String::from_utf8(text).ok()
    }

    fn bound(&self, id: &str) -> String {
        serde_json::json!([self.owner, id]).to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal(secret: &str, owner: &str, adapter: &str, model: &str) -> EntrySeal {
        EntrySeal::new(secret, owner, adapter, model).unwrap()
    }

    #[test]
    fn a_sealed_entry_opens_for_its_owner_only() {
        let own = seal("sk-1", "vk_a", "anthropic", "m-1");
        let thing = own.close("call_1", "[{\"thinking\":\"…\"}]", [7; NONCE]).unwrap();
        assert_eq!(own.open(&thing).unwrap(), "[{\"thinking\":\"…\"}]");
        assert!(!thing.sealed.contains("thinking"));
        for other in [
            seal("sk-2", "vk_a", "anthropic", "m-1"),
            seal("sk-1", "vk_b", "anthropic", "m-1"),
            seal("sk-1", "vk_a", "gemini", "m-1"),
            seal("sk-1", "vk_a", "anthropic", "m-2"),
        ] {
            assert_eq!(other.open(&thing), None);
        }
        assert_eq!(own.open(&SealedEntry { id: "call_2".to_owned(), ..thing.clone() }), None);
        let bytes = base64::decode(&thing.sealed).unwrap();
        for touched in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[touched] ^= 1;
            assert_eq!(own.open(&SealedEntry { sealed: base64::encode(&bytes), ..thing.clone() }), None, "{touched}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_is_not_sealed() {
        let own = seal("sk-1", "vk_a", "anthropic", "m-1");
        assert!(own.close("c", &"x".repeat(MAX_STATE_BYTES), [0; NONCE]).is_some());
        assert!(own.close("c", &"x".repeat(MAX_STATE_BYTES + 1), [0; NONCE]).is_none());
    }

    #[test]
    fn an_entry_of_an_earlier_build_opens() {
        let own = seal("sk-1", "vk_a", "anthropic", "m-1");
        let sealed = own.close("call_1", "words", [1; NONCE]).unwrap().sealed;
        assert_eq!(sealed, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBza5yBJakJkgY8MAcr0d2Ai0QWQry");
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".*", id in ".*", nonce: [u8; NONCE]) {
            let own = seal("sk", "o", "a", "m");
            let thing = own.close(&id, &text, nonce).unwrap();
            prop_assert_eq!(own.open(&thing), Some(text));
        }

        #[test]
        fn no_bytes_open_by_chance(bytes: Vec<u8>) {
            let thing = SealedEntry { id: String::new(), sealed: base64::encode(&bytes) };
            prop_assert_eq!(seal("sk", "o", "a", "m").open(&thing), None);
        }
    }
}
