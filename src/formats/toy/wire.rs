//! The JSON of requests and of the lines of responses.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::canonical::Raw;
use crate::formats::framing::DataEdit;

/// The path of the endpoint, which names the model.
pub(super) const PATH: &str = "/toy/{model...}:continue";

/// What ends a line.
pub(super) const END_OF_LINE: &[u8] = b"\n";

/// A request's body. The model is named in the path.
#[derive(Deserialize, Serialize)]
pub(super) struct RequestBody<'a> {
    #[serde(borrow)]
    pub(super) dialogue: Vec<Remark<'a>>,
    /// The most tokens that the model may generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) budget: Option<u64>,
    /// The temperature.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) warmth: Option<Raw<'a>>,
    /// Whether the response is streamed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) live: bool,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Remark<'a> {
    pub(super) by: Speaker,
    #[serde(borrow)]
    pub(super) says: Raw<'a>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Speaker {
    System,
    User,
    Model,
}

/// A whole response, or a line of a streamed one. A line has few of these fields.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Line<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) says: Option<Raw<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stop: Option<StopReason>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<Fault<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trailer: Option<Trailer>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StopReason {
    End,
    Budget,
    Filter,
}

/// An error.
#[derive(Deserialize, Serialize)]
pub(super) struct Fault<'a> {
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Cow<'a, str>,
}

/// The end of a response, with its usage in tokens.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
pub(super) struct Trailer {
    pub(super) read: u64,
    pub(super) wrote: u64,
}

impl Line<'_> {
    /// Appends the line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(serde_json::to_vec(self).unwrap_or_default());
        out.extend_from_slice(END_OF_LINE);
    }
}

/// A piece of a stream with each complete line changed for which `change` returns another.
pub(super) fn rewrite_lines(piece: &[u8], change: DataEdit<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(piece.len());
    for line in piece.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(END_OF_LINE).and_then(change) {
            Some(changed) => {
                out.extend(changed);
                out.extend_from_slice(END_OF_LINE);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}
