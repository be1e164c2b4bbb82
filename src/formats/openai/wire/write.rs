//! Writing of single JSON values.

use serde::Serialize;

use crate::canonical::Raw;

/// Any value as JSON.
pub(crate) fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(&serde_json::to_vec(value).unwrap_or_default());
}

/// JSON on one line: an event of a stream ends where a line does.
pub(crate) fn flat(raw: &Raw<'_>, out: &mut Vec<u8>) {
    out.extend(raw.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

pub(crate) fn number(number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}
