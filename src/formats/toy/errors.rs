//! Errors: of providers, read; for clients, written.

use std::borrow::Cow;

use super::wire::{Fault, Line};
use crate::error::Error;
use crate::formats::refusals::{Words, instead};
use crate::formats::statement::statement;

/// The status of a fault that came with a success status, by its kind.
const KINDS: &[(&str, u16)] = &[("busy", 529), ("too_many", 429), ("bad_request", 400)];

/// Writes an error as a response body or a line of a stream.
pub(super) fn write(error: &Error) -> Vec<u8> {
    let fault = Fault { kind: Cow::Borrowed(error.code().unwrap_or(error.kind())), text: error.message().into() };
    let mut out = Vec::new();
    Line { fault: Some(fault), ..Line::default() }.write(&mut out);
    out
}

/// Reads a provider's error response. `status` is the provider's; the body may have been cut.
pub(super) fn read(status: u16, body: &[u8]) -> Error {
    let fault = serde_json::from_slice::<Line<'_>>(body).ok().and_then(|line| line.fault);
    of_fault(status, fault.as_ref()).stating(statement(status, body))
}

/// Reads a fault that came with a success status.
pub(super) fn read_in_success(fault: &Fault<'_>) -> Error {
    let row = KINDS.iter().find(|(kind, _)| *kind == fault.kind);
    of_fault(row.map_or(502, |(_, status)| *status), Some(fault))
}

/// The error for a response with a success status that violates the format.
pub(super) fn invalid(what: &str) -> Error {
    Error::upstream(502, "upstream_invalid_response", format!("The provider's response {what}."))
}

fn of_fault(status: u16, fault: Option<&Fault<'_>>) -> Error {
    let (kind, message) = (fault.map(|fault| &*fault.kind), fault.map(|fault| &*fault.text));
    if let Some(error) = instead(status, Words { code: kind, kind: None, message }) {
        return error;
    }
    let otherwise = || format!("The provider answered with status {status}.");
    let error = Error::upstream(status, "upstream_error", message.map_or_else(otherwise, str::to_owned));
    match kind {
        Some(kind) => error.worded(None, Some(kind.to_owned()), None),
        None => error,
    }
}
