//! The ticket with which a browser opens the WebSocket of watchers: 128 random bits, and a code by which the
//! gateway recognizes tickets of its own.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::gateway::Bridge;

/// The length of each half, in hex digits.
const HALF: usize = 32;
/// What the code is made for.
const PURPOSE: &[u8] = b"llm-bridge live ticket";

/// A ticket. The operations object knows its hash, and decides whether it is valid.
pub struct LiveTicket(String);

impl LiveTicket {
    /// Makes a ticket. `random`: 128 bits that nobody can guess.
    pub fn new(bridge: &Bridge, random: u128) -> Self {
        let number = format!("{random:032x}");
        let code = code(bridge, &number);
        Self(number + &code)
    }

    /// Reads a ticket; `None` if this gateway did not make it. Without admin keys there is no secret to make
    /// a code with: then it only has the right form.
    pub fn read(bridge: &Bridge, text: &str) -> Option<Self> {
        let (number, shown) = text.split_at_checked(HALF)?;
        let is_own = bool::from(code(bridge, number).as_bytes().ct_eq(shown.as_bytes()));
        is_own.then(|| Self(text.to_owned()))
    }

    /// The hash by which it is stored.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(&self.0))
    }

    /// The text, which is shown once.
    pub fn into_text(self) -> String {
        self.0
    }
}

fn code(bridge: &Bridge, number: &str) -> String {
    let hashes = bridge.admin_keys().hashes().chain(bridge.admin_read_keys().hashes());
    let key: Vec<u8> = hashes.flatten().copied().collect();
    // HMAC accepts keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return String::new() };
    mac.update(PURPOSE);
    mac.update(number.as_bytes());
    let mut code = hex(&mac.finalize().into_bytes());
    code.truncate(HALF);
    code
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
