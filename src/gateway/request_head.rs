//! What the head of a client's request says to those who handle its body: the client's format, and its
//! headers.

use super::dropped_fields::fits_header;
use crate::config::{Recover, TAGS};
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::session::bounded_id;

/// The request header by which a client prefers a refusal to dropped fields.
const STRICT: &str = "x-llm-bridge-strict";

/// The request header in which official SDKs count their own retries.
const RETRY_COUNT: &str = "x-stainless-retry-count";

/// The request header by which a client refuses to be served by another model than the first one.
const FALLBACK: &str = "x-llm-bridge-fallback";

/// The request header that says what follows when a stream fails after its content has begun.
const RECOVER: &str = "x-llm-bridge-recover";

/// The request headers in which clients name their conversation, the most telling first.
const SESSION: &[&str] = &["x-session-id", "session-id", "session_id"];

/// A client's format, and the headers of its request.
pub(super) struct RequestHead<'r> {
    pub(super) client: &'static ClientFormat,
    header: &'r dyn Fn(&str) -> Option<String>,
}

impl<'r> RequestHead<'r> {
    /// `header` looks up a header of the request.
    pub(super) fn new(client: &'static ClientFormat, header: &'r dyn Fn(&str) -> Option<String>) -> Self {
        Self { client, header }
    }

    /// Whether the client prefers a refusal to dropped fields.
    pub(super) fn is_strict(&self) -> bool {
        (self.header)(STRICT).is_some_and(|word| matches!(word.as_str(), "true" | "1"))
    }

    /// Whether the client sends a request again that has failed. It will do so once more, if it fails again.
    pub(super) fn is_retry(&self) -> bool {
        (self.header)(RETRY_COUNT).is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count > 0))
    }

    /// Whether the client refuses to be served by another model than the first one.
    pub(super) fn refuses_fallbacks(&self) -> bool {
        (self.header)(FALLBACK).is_some_and(|word| word.eq_ignore_ascii_case("none"))
    }

    /// What follows when a stream fails after its content has begun, if the client says so.
    ///
    /// # Errors
    /// 400 for a word that is not known.
    pub(super) fn recover(&self) -> Result<Option<Recover>> {
        let Some(word) = (self.header)(RECOVER) else { return Ok(None) };
        let known = Recover::named(&word.trim().to_ascii_lowercase());
        known.map(Some).ok_or_else(|| {
            let words: Vec<String> = Recover::WORDS.iter().map(|(name, _)| format!("`{name}`")).collect();
            let message = format!("The header `{RECOVER}` has an unknown value. Expected one of {}.", words.join(", "));
            Error::caller(400, "invalid_header", message)
        })
    }

    /// The conversation's id, if a header has one.
    pub(super) fn session(&self) -> Option<String> {
        SESSION.iter().find_map(|name| bounded_id(&(self.header)(name)?).map(str::to_owned))
    }

    /// The header with the request's tags.
    pub(super) fn tags(&self) -> Option<String> {
        (self.header)(TAGS)
    }

    /// The headers that go on to providers of the same format.
    pub(super) fn carried(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.client.forwarded_headers.iter().filter_map(|(name, usual)| {
            let own = (self.header)(name).filter(|value| fits_header(value));
            let value = own.or_else(|| usual.map(str::to_owned))?;
            Some((*name, value))
        })
    }
}
