//! The two formats of an exchange, the client's and the provider's: what is sent, and how the answer is read. It knows neither.

use std::borrow::Cow;
use std::rc::Rc;

use super::host::Call;
use super::translate::{Facts, Translate};
use crate::adapters::openai::outbound;
use crate::adapters::{self, Aim, CHAT, Client, Head, Upstream};
use crate::config::{OnDisconnect, Params};
use crate::error::{Error, Result};
use crate::policy::price;
use crate::policy::route::Target;
use crate::provider::{Secret, params};
use crate::wire::json::Document;

/// The request header by which a caller would rather be refused than have anything dropped.
const STRICT: &str = "x-llm-bridge-strict";

/// The response header that names what a provider was not told.
pub(super) const DROPPED: &str = "x-llm-bridge-dropped";

/// How a client speaks, and what its headers say, for whoever has to know.
pub(super) struct Manner<'r> {
    pub(super) client: &'static Client,
    header: &'r dyn Fn(&str) -> Option<String>,
}

impl<'r> Manner<'r> {
    /// The manner of a client; `header` looks up one of its request's.
    pub(super) fn new(client: &'static Client, header: &'r dyn Fn(&str) -> Option<String>) -> Self {
        Self { client, header }
    }

    /// Whether it would rather be refused than have anything dropped.
    fn is_strict(&self) -> bool {
        (self.header)(STRICT).is_some_and(|word| matches!(word.as_str(), "true" | "1"))
    }

    /// Headers for providers who speak the same.
    fn carried(&self) -> impl Iterator<Item = (String, String)> {
        self.client.carried.iter().filter_map(|(name, usual)| {
            let value = (self.header)(name).or_else(|| usual.map(str::to_owned))?;
            Some(((*name).to_owned(), value))
        })
    }

    /// Whether it chats, in the format that has a way of its own.
    pub(super) fn chats(&self) -> bool {
        self.client.name == CHAT.name
    }
}

/// The two formats of an exchange, and what the head of its answer says.
pub(super) struct Pair<'m> {
    manner: &'m Manner<'m>,
    upstream: &'static Upstream,
    head: Head,
    /// Both speak the same, and nothing stands in the request that only the gateway understands.
    native: bool,
}

impl<'m> Pair<'m> {
    /// The formats of an exchange; `None` where both chat, which has a way of its own.
    pub(super) fn of(
        manner: &'m Manner<'m>,
        target: &Target<'_>,
        body: &[u8],
        head: impl FnOnce() -> Head,
    ) -> Option<Self> {
        let upstream = adapters::upstream(target.provider.adapter)?;
        let same = upstream.kind.name == manner.client.name;
        if same && manner.chats() {
            return None;
        }
        let own = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
        let native = same && !manner.client.own.is_some_and(own);
        Some(Self { manner, upstream, head: head(), native })
    }

    /// What a refusal means.
    pub(super) fn refusal(&self) -> fn(u16, &[u8]) -> Error {
        self.upstream.refusal
    }

    /// The call that a request becomes; and, in `told`, what of it the provider is not told.
    ///
    /// # Errors
    /// 400 for what is not as the client's format wants it, or cannot be said in the provider's.
    pub(super) fn call(
        &self,
        document: &mut Document<'_>,
        target: &Target<'_>,
        key: Option<&Secret>,
        told: &mut Option<String>,
    ) -> Result<Call> {
        let (row, provider) = (target.model, target.provider);
        let own = key.map(|key| (self.upstream.key)(key.reveal()));
        let mut headers = provider.headers.clone();
        headers.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let stream = document.value("stream") == Some("true");
        let (path, body, dropped) = if self.native {
            outbound::prepare(document, row, &target.upstream)?;
            headers.extend(self.manner.carried());
            (self.manner.client.path.to_owned(), document.render().into_owned(), Vec::new())
        } else {
            let written = self.write(document, target)?;
            headers.extend(written.headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
            (written.path, written.body, written.dropped)
        };
        *told = (!dropped.is_empty()).then(|| dropped.join(", "));
        Ok(Call {
            url: provider.address.as_ref().map(|address| address.join(&path)).unwrap_or_default(),
            headers,
            body: Rc::new(body),
            stream,
            ends_with_client: provider.streaming.on_disconnect == OnDisconnect::Cancel,
        })
    }

    fn write(&self, document: &Document<'_>, target: &Target<'_>) -> Result<adapters::Written> {
        let mut request = (self.manner.client.read)(document)?;
        let row = target.model;
        request.max_tokens = request.max_tokens.map(|asked| row.max_tokens.map_or(asked, |most| asked.min(most)));
        let longest = price::card(target.provider, row, &target.upstream).max_output;
        let max_output = [row.max_tokens, longest].into_iter().flatten().min();
        let mut written = (self.upstream.write)(&request, Aim { model: &target.upstream, max_output })?;
        if !written.dropped.is_empty() && (row.strict || self.manner.is_strict()) {
            let names = written.dropped.join(", ");
            let message = format!("The provider cannot be told: {names}. This request is strict.");
            let first = written.dropped.first().cloned().unwrap_or_default();
            return Err(Error::caller(400, "unsupported_parameter", message).at(first));
        }
        if !row.params.is_empty() {
            written.body = edited(&written.body, &row.params).unwrap_or(written.body);
        }
        Ok(written)
    }

    /// Reads a whole answer, and writes it in the client's format; nothing where that is the provider's. What was learnt of it counts even
    /// if it is none, or an error in spite of its status: then it is a 502.
    pub(super) fn whole(&self, body: &[u8]) -> (Result<Option<Vec<u8>>>, Facts) {
        let (mut facts, mut events) = (Facts::default(), Vec::new());
        let read = (self.upstream.whole)(body, &mut |event| {
            facts.note(&event);
            if !self.native {
                events.push(event.owned());
            }
        });
        let unfinished = || {
            let message = "The provider's answer does not come to an end.";
            Error::upstream(502, "upstream_invalid_response", message)
        };
        let failed = read.err().or_else(|| facts.error.take()).or_else(|| (!facts.is_whole()).then(unfinished));
        let written = || (!self.native).then(|| (self.manner.client.whole)(&self.head, &events));
        (failed.map_or_else(|| Ok(written()), Err), facts)
    }

    /// Reads a streamed answer, and writes it in the client's format. `keeps_text`: its text is kept, for operators who want it in their
    /// log.
    pub(super) fn stream(&self, keeps_text: bool) -> Translate {
        let encode = (self.manner.client.stream)(self.head.clone());
        Translate::new((self.upstream.stream)(), encode, self.native, keeps_text)
    }
}

/// A body with a row's edits; `None` if there is nothing to edit.
fn edited(body: &[u8], edits: &Params) -> Option<Vec<u8>> {
    let mut document = Document::read(body).ok()?;
    params::apply(&mut document, edits);
    match document.render() {
        Cow::Owned(edited) => Some(edited),
        Cow::Borrowed(_) => None,
    }
}
