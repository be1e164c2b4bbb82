//! Numbers and digests as text.

use std::fmt::Write as _;

const ALPHABET: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// The base of ids, which use only lowercase letters and digits: the first characters of the alphabet.
pub(super) const LOWERCASE: u128 = 36;

/// Appends the `count` lowest digits of a number in a base of at most 62.
pub(super) fn push_letters(text: &mut String, mut bits: u128, count: usize, base: u128) {
    for _ in 0..count {
        let letter = usize::try_from(bits % base).ok().and_then(|at| ALPHABET.get(at));
        text.extend(letter.map(|letter| char::from(*letter)));
        bits /= base;
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
