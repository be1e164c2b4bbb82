//! One attempt to send a request to one target: the mode, the edits and the provider's request.

use std::borrow::Cow;
use std::rc::Rc;

use super::continuation::Continuation;
use super::credentials;
use super::dropped_fields::{DroppedFields, listed};
use super::endpoint;
use super::platform::{Egress, Platform, ProviderRequest, RequestMethod};
use super::reasoning::ReasoningCache;
use super::refusal;
use super::request_head::RequestHead;
use crate::catalogue::field::{Field, Fit, Value};
use crate::config::{FitScope, Millis, Params};
use crate::error::{Error, Result};
use crate::formats::auth::AuthScheme;
use crate::formats::bounds::{Edit, LimitNames, RequestBounds};
use crate::formats::fit;
use crate::formats::objection::Objection;
use crate::formats::operation::{OperationKind, RequestEnvelope};
use crate::formats::ordinary;
use crate::formats::{self, ClientFormat, ProviderFormat, ToolNames, WriteTarget, WrittenRequest};
use crate::policy::model_card::ModelCard;
use crate::policy::routing::Target;
use crate::provider::{ProviderKey, params};
use crate::wire::dense::is_dense;
use crate::wire::json::Document;

/// The longest body of a client that is kept until the provider has accepted the request, in bytes.
const MAX_KEPT_BYTES: usize = 1 << 20;
/// The same for counts of tokens and for clients of the provider's own format, of which many wait: nothing is
/// held of longer bodies.
const MAX_KEPT_SHORT_BYTES: usize = 64 << 10;

/// How a request gets its response from a target.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// Client and provider speak the same format: the body is edited in place, and the client gets the
    /// provider's bytes.
    Passthrough(&'static ProviderFormat),
    /// The request is written in the provider's format, and the response in the client's.
    Translate(&'static ProviderFormat),
    /// The gateway writes the response itself.
    Local,
}

impl Mode {
    /// Chooses the mode; no other function compares formats. `None` if the target does not support the
    /// operation.
    pub(super) fn choose(client: &ClientFormat, envelope: &RequestEnvelope<'_>, target: &Target<'_>) -> Option<Self> {
        let operation = envelope.operation;
        let Some(own) = formats::provider_format(target.provider.adapter) else {
            return operation.conversation.is_some().then_some(Self::Local);
        };
        let format = endpoint::newer(own, client, envelope, target).unwrap_or(own);
        // Placeholders that only this gateway understands must not reach a provider.
        let is_refitted = target.provider.fit == FitScope::Always
            && operation.kind == OperationKind::Generate
            && operation.conversation.is_some();
        let contains = |prefix: &str| memchr::memmem::find(envelope.document.bytes(), prefix.as_bytes()).is_some();
        if format.kind.name == client.name && !is_refitted && !client.placeholder_prefix.is_some_and(contains) {
            return Some(Self::Passthrough(format));
        }
        let is_supported = operation.conversation.is_some() || format.call(operation.kind).is_some();
        is_supported.then_some(Self::Translate(format))
    }

    /// Whether the body is edited in place, and not translated.
    pub(super) fn is_passthrough(self) -> bool {
        matches!(self, Self::Passthrough(_))
    }
}

/// One attempt to send a request to a target. The envelope is not changed; edits are made in a copy.
pub(super) struct Attempt<'e, 'a, 'm> {
    pub(super) envelope: &'e RequestEnvelope<'a>,
    pub(super) target: &'e Target<'e>,
    pub(super) head: &'m RequestHead<'m>,
    pub(super) mode: Mode,
    pub(super) card: ModelCard,
    /// The names of the fields in which the provider honours an output limit.
    pub(super) limit_names: LimitNames<'e>,
    /// The output limit that the key's account granted instead of a higher one, in tokens.
    granted: Option<u64>,
    /// The provider is asked for a stream, although the client wants a whole response.
    streams: bool,
    /// The body with the edits of a passthrough.
    edited: Option<Document<'a>>,
    /// What the response has to go on from.
    continuation: Option<Rc<Continuation>>,
}

impl<'e, 'a, 'm> Attempt<'e, 'a, 'm> {
    /// Prepares an attempt, with the edits of a passthrough made.
    pub(super) fn new(
        envelope: &'e RequestEnvelope<'a>,
        target: &'e Target<'e>,
        head: &'m RequestHead<'m>,
        mode: Mode,
        card: ModelCard,
    ) -> Self {
        let limit_names = LimitNames::of(&target.model.limit_fields, card.limit_fields);
        let mut attempt = Self {
            envelope,
            target,
            head,
            mode,
            card,
            limit_names,
            granted: None,
            streams: false,
            edited: None,
            continuation: None,
        };
        attempt.make_edits();
        attempt
    }

    /// The same attempt, whose response has to go on from a text.
    #[must_use]
    pub(super) fn continuing(self, continuation: Option<Rc<Continuation>>) -> Self {
        Self { continuation, ..self }
    }

    fn make_edits(&mut self) {
        if self.mode.is_passthrough() {
            let mut document = self.envelope.document.clone();
            (self.head.client.rules.edit)(&mut document, &self.edit());
            self.edited = Some(document);
        }
    }

    /// Asks the provider for a stream, if it can be assembled to the whole response that the client wants:
    /// then its silence can be told from its work. Called before a limit is granted.
    #[must_use]
    pub(super) fn into_streaming(mut self) -> Self {
        let (Mode::Passthrough(format) | Mode::Translate(format)) = self.mode else { return self };
        let envelope = self.envelope;
        self.streams = format.assemble.is_some()
            && !envelope.delivery.is_stream()
            && envelope.operation.streams
            && (self.head.client.rules.may_stream)(&envelope.document);
        if self.streams {
            self.make_edits();
        }
        self
    }

    /// Whether the provider is asked for a stream.
    pub(super) fn asks_for_stream(&self) -> bool {
        self.streams || self.envelope.delivery.is_stream() && self.envelope.operation.generates()
    }

    /// Whether the response is assembled from a stream.
    pub(super) fn is_assembled(&self) -> bool {
        self.streams
    }

    /// The same attempt, with other facts about the model.
    pub(super) fn with_card(&self, card: ModelCard) -> Self {
        let mut attempt = Self::new(self.envelope, self.target, self.head, self.mode, card);
        attempt.continuation.clone_from(&self.continuation);
        if self.streams {
            attempt = attempt.into_streaming();
        }
        if let Some(limit) = self.granted {
            attempt.grant(limit);
        }
        attempt
    }

    /// Whether the request can be written otherwise if the provider refuses a field of it: if the gateway has
    /// written the field, and the client's body is short enough to be kept.
    pub(super) fn can_be_refitted(&self) -> bool {
        let is_fitted = self.target.provider.fit != FitScope::Never;
        let is_usual = self.mode.is_passthrough() || self.envelope.operation.kind == OperationKind::Count;
        let most = if is_usual { MAX_KEPT_SHORT_BYTES } else { MAX_KEPT_BYTES };
        let is_short = self.envelope.document.bytes().len() <= most;
        is_fitted
            && is_short
            // An embedding has no field that the client did not send.
            && self.envelope.operation.kind != OperationKind::Embed
            && match self.mode {
                Mode::Translate(_) => true,
                Mode::Passthrough(_) => self.adds_usage_field(),
                Mode::Local => false,
            }
    }

    /// Whether a provider's refusal may teach the value of a field, which it does not if the operator has
    /// configured one, or if the client has sent the field.
    pub(super) fn may_learn(&self, field: Field) -> bool {
        let Target { provider, model, .. } = self.target;
        let is_configured = provider.facts.iter().chain(&model.facts).any(|fact| fact.field == field)
            || field == Field::LimitFields && !model.limit_fields.is_empty();
        !is_configured && (!self.mode.is_passthrough() || field == Field::StreamOptions)
    }

    /// Whether a refused value is one that any host could take, so that its refusal tells of the field.
    pub(super) fn has_ordinary_value(&self, objection: &Objection) -> bool {
        // A passthrough has only fields without values of the client's.
        self.mode.is_passthrough()
            || self
                .envelope
                .operation
                .read_conversation(&self.envelope.document)
                .is_ok_and(|request| ordinary::is_ordinary(objection, &request))
    }

    /// Whether the body has a field only because the gateway asks for the usage of a stream.
    fn adds_usage_field(&self) -> bool {
        let is_absent = |field: &str| self.envelope.document.value(field).is_none();
        self.head.client.rules.usage_field.is_some_and(is_absent) && self.gateway_asks_for_usage()
    }

    /// Whether the gateway asks for the usage of a stream, although the client did not.
    fn gateway_asks_for_usage(&self) -> bool {
        let options = self.envelope.options;
        let client_asks = options.include_usage == Some(true) && !options.include_cost;
        let takes_options = self.card.facts.fit(Field::StreamOptions) != Fit::Drop;
        self.asks_for_stream() && !client_asks && takes_options
    }

    /// The edits of a passthrough.
    fn edit(&self) -> Edit<'_> {
        let target = self.target;
        Edit {
            row: target.model,
            model: &target.upstream,
            model_place: self.envelope.model.place,
            limit_names: self.limit_names,
            allows_zero_limit: (self.envelope.operation.allows_zero_limit)(&self.envelope.document),
            developer_role: self.developer_role(),
            asks_for_usage: self.envelope.options.include_cost || self.gateway_asks_for_usage(),
            streams: self.envelope.operation.streams,
            seals_reasoning: self.head.client.kept.is_some_and(|rules| (rules.asks)(&self.envelope.document))
                && self.card.facts.get(Field::Thinks) == Some(Value::Flag(true)),
            prompt_only: self.envelope.operation.kind == OperationKind::Count,
            asks_for_stream: self.streams,
        }
    }

    /// The role that the host knows instead of `developer`, if it has another one.
    fn developer_role(&self) -> Option<&'static str> {
        if let Fit::Rename(role) = self.card.facts.fit(Field::DeveloperRole) { Some(role) } else { None }
    }

    /// The body, with its edits if it has any.
    pub(super) fn document(&self) -> &Document<'a> {
        self.edited.as_ref().unwrap_or(&self.envelope.document)
    }

    /// The bounds on what the request can use, as it is sent.
    pub(super) fn bounds(&self) -> RequestBounds {
        let rules = &self.head.client.rules;
        match &self.edited {
            Some(document) => {
                let allows_zero_limit = (self.envelope.operation.allows_zero_limit)(document);
                (rules.bounds)(document, &self.limit_names, allows_zero_limit)
            }
            None => (rules.translated_bounds)(&self.envelope.document, self.target.model),
        }
    }

    /// Sets the output limit that the key's account granted.
    pub(super) fn grant(&mut self, limit: u64) {
        self.granted = Some(limit);
        if let Some(document) = &mut self.edited {
            (self.head.client.rules.set_limit)(document, &self.limit_names, &self.target.upstream, limit);
        }
    }

    /// The edited body of a passthrough, with the headers that are forwarded to providers of the same format.
    pub(super) fn pass_through(&self) -> WrittenRequest {
        WrittenRequest {
            path: self.envelope.operation.path_for(&self.target.upstream, self.streams),
            headers: self.head.carried().collect(),
            body: self.document().render().into_owned(),
            dropped: Vec::new(),
            adjusted: Vec::new(),
        }
    }

    /// Translates the conversation to the provider's format, fitted to the model and its host. The provider's
    /// key also keys the hash of a user's name. Also returns the tools that were sent under other names.
    ///
    /// # Errors
    /// 400 for a request that is malformed in the client's format, or cannot be expressed in the provider's.
    pub(super) async fn translate<P: Platform>(
        &self,
        platform: &P,
        format: &ProviderFormat,
        cache: Option<&ReasoningCache>,
        key: Option<&ProviderKey>,
    ) -> Result<(WrittenRequest, ToolNames)> {
        let mut request = self.envelope.operation.read_conversation(sparse(&self.envelope.document)?)?;
        if let Some(cache) = cache
            && (format.expects_reasoning_state)(&request)
        {
            cache.recall(platform, &mut request).await;
        }
        request.stream |= self.streams;
        let row = self.target.model;
        // A limit of 0 stands for none.
        let capped = |limit: u64, ceiling: u64| if limit == 0 { ceiling } else { limit.min(ceiling) };
        let requested = request.max_tokens.map(|limit| row.max_tokens.map_or(limit, |ceiling| capped(limit, ceiling)));
        request.max_tokens = self.granted.or(requested);
        if let Some(continuation) = &self.continuation {
            continuation.ask(&mut request);
        }
        let max_output = [row.max_tokens, self.card.max_output].into_iter().flatten().min();
        let limit_field =
            (self.limit_names != LimitNames::Unknown).then(|| self.limit_names.preferred(&self.target.upstream));
        let mut facts = self.card.facts;
        facts.overlay(format.facts);
        let facts = &facts;
        let target = WriteTarget { model: &self.target.upstream, max_output, limit_field, facts };
        let secret = key.map_or("", ProviderKey::reveal).as_bytes();
        let is_fitted = self.target.provider.fit != FitScope::Never;
        let (names, lowered) = fit::prepare(format, &mut request, facts, is_fitted);
        let mut written = fit::write(format, &mut request, target, secret)?;
        written.adjusted.extend(lowered);
        Ok((self.with_edits(written)?, names))
    }

    /// Applies the row's edits to a request in the provider's format.
    ///
    /// # Errors
    /// As [`Attempt::check_dropped`].
    pub(super) fn with_edits(&self, mut written: WrittenRequest) -> Result<WrittenRequest> {
        self.check_dropped(&written)?;
        let edits = &self.target.model.params;
        if !edits.is_empty() {
            written.body = edited(&written.body, edits).unwrap_or(written.body);
        }
        Ok(written)
    }

    /// Refuses a strict request with fields that the provider's format cannot express.
    ///
    /// # Errors
    /// 400 that lists these fields.
    pub(super) fn check_dropped(&self, written: &WrittenRequest) -> Result<()> {
        let adjusted = written.adjusted.iter().map(|adjustment| Cow::Owned(adjustment.to_string()));
        let changed: Vec<Cow<'_, str>> = written.dropped.iter().cloned().chain(adjusted).collect();
        if changed.is_empty() || !(self.target.model.strict || self.head.is_strict()) {
            return Ok(());
        }
        let message = format!("The provider cannot be told: {}. This request is strict.", listed(&changed));
        let adjusted = written.adjusted.first().map(|adjustment| Cow::Borrowed(adjustment.field));
        let first = written.dropped.first().cloned().or(adjusted).map(|first| listed(&[first])).unwrap_or_default();
        Err(Error::caller(400, "unsupported_parameter", message).at(first))
    }

    /// The HTTP request for a written request, with its credentials, and the dropped fields.
    pub(super) fn request(
        &self,
        written: WrittenRequest,
        format: &ProviderFormat,
        key: Option<&ProviderKey>,
        now: Millis,
    ) -> (ProviderRequest, Option<DroppedFields>) {
        let WrittenRequest { path, headers: own, body, dropped, adjusted } = written;
        let provider = self.target.provider;
        let mut headers = provider.headers.clone();
        headers.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut request = ProviderRequest {
            method: RequestMethod::Post,
            url: provider.address.as_ref().map(|address| address.join(&path)).unwrap_or_default(),
            headers,
            body: Rc::new(body),
            stream: self.asks_for_stream(),
            ends_with_client: true,
            egress: Egress::Direct,
        };
        let scheme = AuthScheme::of(provider.adapter, format.signer, provider.host);
        credentials::apply(&mut request, scheme, key, now);
        (request, DroppedFields::of(&dropped, &adjusted))
    }
}

/// Checks that a body has few enough pieces to be parsed for translation.
///
/// # Errors
/// 400 if there are too many: a parsed piece takes many times the memory of its text.
pub(super) fn sparse<'d, 'a>(document: &'d Document<'a>) -> Result<&'d Document<'a>> {
    let body = document.bytes();
    if !is_dense(body) {
        return Ok(document);
    }
    Err(refusal::too_many_pieces(body))
}

/// A body with a row's edits; `None` if they change nothing.
fn edited(body: &[u8], edits: &Params) -> Option<Vec<u8>> {
    let mut document = Document::read(body).ok()?;
    params::apply(&mut document, edits);
    if let Cow::Owned(edited) = document.render() { Some(edited) } else { None }
}
