//! What whole answers and chunks of a stream have in common, as they are written for clients.

use crate::canonical::FinishReason;
use crate::formats::ResponseHead;
use crate::wire::json::quote;

/// An id for an answer whose provider gave none.
pub(crate) fn id(head: &ResponseHead) -> String {
    format!("chatcmpl-{:032x}", head.random)
}

/// The beginning of an answer or a chunk, up to its choices.
pub(crate) fn open(
    out: &mut Vec<u8>,
    object: &str,
    id: &str,
    created: u64,
    model: &str,
    fingerprint: Option<&'static str>,
) {
    let (id, model) = (quote(id), quote(model));
    let head = format!("{{\"id\":{id},\"object\":\"{object}\",\"created\":{created},\"model\":{model}");
    out.extend_from_slice(head.as_bytes());
    if let Some(fingerprint) = fingerprint {
        out.extend_from_slice(b",\"system_fingerprint\":");
        out.extend_from_slice(quote(fingerprint).as_bytes());
    }
}

/// How the request was served, if that is known, and the format has a word for it.
pub(crate) fn tier(tier: Option<&str>, out: &mut Vec<u8>) {
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

/// The word for a reason.
pub(crate) fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Calls => "tool_calls",
        FinishReason::Filtered => "content_filter",
    }
}
