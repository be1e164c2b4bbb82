//! The two formats of an exchange, the client's and the provider's: what is sent, and how the answer is read. It knows neither.

use std::borrow::Cow;
use std::rc::Rc;

use super::dropped_fields::{DroppedFields, fits_header, listed};
use super::platform::{Platform, ProviderRequest};
use super::reader::{ResponseReader, StreamOptions};
use super::reasoning::ReasoningCache;
use super::record::RequestRecord;
use super::writer::ResponseWriter;
use crate::config::{Params, Streaming};
use crate::error::{Error, Result};
use crate::formats::bounds::LimitNames;
use crate::formats::envelope::RequestEnvelope;
use crate::formats::operation::Operation;
use crate::formats::{self, CHAT, ClientFormat, ProviderFormat, ResponseHead, Restream, WriteTarget, WrittenRequest};
use crate::policy::pricing;
use crate::policy::routing::Target;
use crate::provider::{ProviderKey, params};
use crate::wire::dense::{is_dense, most_pieces};
use crate::wire::json::Document;

/// The request header by which a caller would rather be refused than have anything dropped.
const STRICT: &str = "x-llm-bridge-strict";

/// The response header that names what a provider was not told.
pub(super) const DROPPED: &str = "x-llm-bridge-dropped";

/// The response header that says that tokens were estimated here: the provider did not tell them.
pub(super) const ESTIMATED: &str = "x-llm-bridge-estimated";

/// How a client speaks, and what its headers say, for whoever has to know.
pub(super) struct Manner<'r> {
    pub(super) client: &'static ClientFormat,
    header: &'r dyn Fn(&str) -> Option<String>,
}

impl<'r> Manner<'r> {
    /// The manner of a client; `header` looks up one of its request's.
    pub(super) fn new(client: &'static ClientFormat, header: &'r dyn Fn(&str) -> Option<String>) -> Self {
        Self { client, header }
    }

    /// Whether it would rather be refused than have anything dropped.
    fn is_strict(&self) -> bool {
        (self.header)(STRICT).is_some_and(|word| matches!(word.as_str(), "true" | "1"))
    }

    /// Headers for providers who speak the same.
    pub(super) fn carried(&self) -> impl Iterator<Item = (String, String)> {
        self.client.carried.iter().filter_map(|(name, usual)| {
            let own = (self.header)(name).filter(|value| fits_header(value));
            let value = own.or_else(|| usual.map(str::to_owned))?;
            Some(((*name).to_owned(), value))
        })
    }

    /// Whether a request of this client is edited in place for its provider, since both speak the same, and nothing stands in `body` that only
    /// this gateway understands.
    pub(super) fn is_edited(&self, target: &Target<'_>, body: &[u8]) -> bool {
        let own = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
        target.provider.adapter == self.client.name && !self.client.own.is_some_and(own)
    }

    /// Whether it chats, in the format that has a way of its own.
    pub(super) fn chats(&self) -> bool {
        self.client.name == CHAT.name
    }
}

/// The two formats of an exchange, and what the head of its answer says.
pub(super) struct Pair<'m> {
    manner: &'m Manner<'m>,
    pub(super) upstream: &'static ProviderFormat,
    pub(super) operation: &'static Operation,
    /// Empty where the client gets the provider's bytes, and needs no other.
    pub(super) head: ResponseHead,
    /// Both speak the same, and nothing stands in the request that only the gateway understands.
    pub(super) native: bool,
    /// Where that is kept which the provider wants back and the client cannot carry.
    pub(super) safe: Option<ReasoningCache>,
}

impl<'m> Pair<'m> {
    /// The formats of an exchange; `None` if the provider speaks none that is known.
    pub(super) fn of(
        manner: &'m Manner<'m>,
        target: &Target<'_>,
        ask: &RequestEnvelope<'_>,
        head: impl FnOnce() -> ResponseHead,
        safe: impl FnOnce() -> Option<ReasoningCache>,
    ) -> Option<Self> {
        let upstream = formats::provider_format(target.provider.adapter)?;
        let native = manner.is_edited(target, ask.document.bytes());
        let needs_head = !native || matches!(manner.client.restream, Restream::Events);
        let head = if needs_head { head() } else { ResponseHead::default() };
        let safe = if native { None } else { safe() };
        Some(Self { manner, upstream, operation: ask.operation, head, native, safe })
    }

    /// The client's format.
    pub(super) fn client(&self) -> &'static ClientFormat {
        self.manner.client
    }

    /// The call that a request becomes; what of it the provider is not told goes into the receipt.
    ///
    /// # Errors
    /// 400 for what is not as the client's format wants it, or cannot be said in the provider's.
    pub(super) async fn call<H: Platform>(
        &self,
        host: &H,
        ask: &RequestEnvelope<'_>,
        target: &Target<'_>,
        key: Option<&ProviderKey>,
        receipt: &mut RequestRecord,
    ) -> Result<ProviderRequest> {
        let (document, provider) = (&ask.document, target.provider);
        let own = key.map(|key| (self.upstream.key)(key.reveal()));
        let mut headers = provider.headers.clone();
        headers.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let stream = ask.delivery.is_stream();
        let (path, body, dropped) = if self.native {
            headers.extend(self.manner.carried());
            (ask.operation.path.to_owned(), document.render().into_owned(), Vec::new())
        } else {
            let limit = receipt.permit.as_ref().and_then(|permit| permit.limit);
            let written = self.write(host, ask, target, limit).await?;
            headers.extend(written.headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
            (written.path, written.body, written.dropped)
        };
        receipt.dropped = DroppedFields::of(&dropped);
        Ok(ProviderRequest {
            url: provider.address.as_ref().map(|address| address.join(&path)).unwrap_or_default(),
            headers,
            body: Rc::new(body),
            stream,
            ends_with_client: true,
        })
    }

    async fn write<H: Platform>(
        &self,
        host: &H,
        ask: &RequestEnvelope<'_>,
        target: &Target<'_>,
        limit: Option<u64>,
    ) -> Result<WrittenRequest> {
        let mut request = ask.operation.read_conversation(sparse(&ask.document)?)?;
        if let Some(safe) = self.safe.as_ref().filter(|_| (self.upstream.recalls)(&request)) {
            safe.recall(host, &mut request).await;
        }
        let (row, card) = (target.model, pricing::card(target.provider, target.model, &target.upstream));
        // What is no limit is replaced by the ceiling.
        let under = |asked: u64, ceiling: u64| if asked == 0 { ceiling } else { asked.min(ceiling) };
        let asked = request.max_tokens.map(|asked| row.max_tokens.map_or(asked, |ceiling| under(asked, ceiling)));
        request.max_tokens = limit.or(asked);
        let max_output = [row.max_tokens, card.max_output].into_iter().flatten().min();
        let names = LimitNames::of(&row.limit_fields, card.limit_fields);
        let limit_field = (names != LimitNames::Unknown).then(|| names.own(&target.upstream));
        let written =
            (self.upstream.write)(&request, WriteTarget { model: &target.upstream, max_output, limit_field })?;
        finish(written, target, self.manner)
    }

    /// A reader of the provider's stream, and the writer of the client's.
    pub(super) fn stream(self, streaming: &Streaming, options: StreamOptions) -> (ResponseReader, ResponseWriter) {
        let client = self.manner.client;
        if self.native {
            let reader = ResponseReader::tapped(self.upstream, streaming, options);
            return (reader, ResponseWriter::passthrough(client));
        }
        let reader = ResponseReader::translating(self.upstream, options.text, self.safe);
        (reader, ResponseWriter::encoding(client, self.head))
    }
}

/// A request that can be taken apart, to be written anew: its pieces are few enough, or long.
///
/// # Errors
/// 400 if they are too many: each would take many times the memory of its text.
pub(super) fn sparse<'d, 'a>(document: &'d Document<'a>) -> Result<&'d Document<'a>> {
    let body = document.bytes();
    if !is_dense(body) {
        return Ok(document);
    }
    let message = format!(
        "The body has too many pieces to be translated for this model's provider: {} bytes may hold {} members of objects and items of lists. \
         Send fewer messages, parts or tools, or longer ones.",
        body.len(),
        most_pieces(body.len())
    );
    Err(Error::caller(400, "too_many_pieces", message))
}

/// A strict request is told as a whole, or not at all.
///
/// # Errors
/// 400 if it is strict, and the provider cannot be told all.
pub(super) fn tells_all(written: &WrittenRequest, target: &Target<'_>, manner: &Manner<'_>) -> Result<()> {
    if !written.dropped.is_empty() && (target.model.strict || manner.is_strict()) {
        let message = format!("The provider cannot be told: {}. This request is strict.", listed(&written.dropped));
        let first = written.dropped.first().map(|first| listed(std::slice::from_ref(first))).unwrap_or_default();
        return Err(Error::caller(400, "unsupported_parameter", message).at(first));
    }
    Ok(())
}

/// Makes the row's edits in a request that was written.
///
/// # Errors
/// As [`tells_all`].
pub(super) fn finish(mut written: WrittenRequest, target: &Target<'_>, manner: &Manner<'_>) -> Result<WrittenRequest> {
    tells_all(&written, target, manner)?;
    let edits = &target.model.params;
    if !edits.is_empty() {
        written.body = edited(&written.body, edits).unwrap_or(written.body);
    }
    Ok(written)
}

/// The call that a written request becomes, whose answer is read whole.
pub(super) fn posted(
    written: WrittenRequest,
    target: &Target<'_>,
    key: Option<&ProviderKey>,
    upstream: &ProviderFormat,
) -> ProviderRequest {
    let own = key.map(|key| (upstream.key)(key.reveal()));
    let mut headers = target.provider.headers.clone();
    headers.extend(own.into_iter().chain(written.headers).map(|(name, value)| (name.to_owned(), value)));
    ProviderRequest {
        url: target.provider.address.as_ref().map(|address| address.join(&written.path)).unwrap_or_default(),
        headers,
        body: Rc::new(written.body),
        stream: false,
        ends_with_client: true,
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
