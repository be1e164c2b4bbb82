//! Random bits and digests as letters and digits.

use std::fmt::Write as _;

const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// The first so many of them are in lower case: those of ids.
pub(super) const LOWER: u128 = 36;

/// Appends `count` letters, drawn from the bits of a number.
pub(super) fn draw(text: &mut String, mut bits: u128, count: usize, base: u128) {
    for _ in 0..count {
        let letter = usize::try_from(bits % base).ok().and_then(|at| LETTERS.get(at));
        text.extend(letter.map(|letter| char::from(*letter)));
        bits /= base;
    }
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
