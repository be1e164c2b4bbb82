//! The parts that whole responses and chunks for clients have in common.

use crate::canonical::FinishReason;
use crate::formats::client_format::ResponseHead;
use crate::wire::json::quote;

/// An id for a response whose provider gave none.
pub(crate) fn make_id(head: &ResponseHead) -> String {
    format!("chatcmpl-{:032x}", head.random)
}

/// The beginning of a response or a chunk, up to its choices.
pub(crate) struct ResponsePrefix<'a> {
    pub(crate) object: &'static str,
    pub(crate) id: &'a str,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) model: &'a str,
    /// The gateway's name, where it made the response itself.
    pub(crate) fingerprint: Option<&'static str>,
}

impl ResponsePrefix<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { object, created, .. } = self;
        let (id, model) = (quote(self.id), quote(self.model));
        let head = format!("{{\"id\":{id},\"object\":\"{object}\",\"created\":{created},\"model\":{model}");
        out.extend_from_slice(head.as_bytes());
        if let Some(fingerprint) = self.fingerprint {
            out.extend_from_slice(b",\"system_fingerprint\":");
            out.extend_from_slice(quote(fingerprint).as_bytes());
        }
    }
}

/// Writes the service tier, if it is known and the format has a word for it.
pub(crate) fn write_tier(tier: Option<&str>, out: &mut Vec<u8>) {
    let word = match tier {
        Some("standard") => Some("default"),
        Some("auto" | "default" | "flex" | "scale" | "priority") => tier,
        Some(_) | None => None,
    };
    if let Some(tier) = word {
        out.extend_from_slice(b",\"service_tier\":");
        out.extend_from_slice(quote(tier).as_bytes());
    }
}

/// The format's word for a finish reason.
pub(crate) fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        // The response is no whole one: a client that goes on after `length` does what a paused turn asks for.
        FinishReason::Length | FinishReason::Context | FinishReason::Paused => "length",
        FinishReason::Calls => "tool_calls",
        FinishReason::Filtered => "content_filter",
    }
}
