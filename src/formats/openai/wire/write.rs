//! Writes single JSON values.

use serde::Serialize;

use crate::canonical::Raw;

/// Writes a value as JSON.
pub(crate) fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(&serde_json::to_vec(value).unwrap_or_default());
}

/// Writes JSON on one line, because a line break ends the line of an event.
pub(crate) fn single_line(raw: &Raw<'_>, out: &mut Vec<u8>) {
    out.extend(raw.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}
