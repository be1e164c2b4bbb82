//! Carries out a call of a model: reads and plans the request, has it admitted, sends an attempt to its
//! target, forwards the response, and settles the bill. [`Drive`] holds the request's record, and is all that
//! appends facts to it.
//!
//! # Dropping
//!
//! The platform may drop a request at any await, for example when the isolate is evicted. What is left then:
//!
//! | while waiting for | record and receipt | reservation | provider's call |
//! |---|---|---|---|
//! | the client's body | none | none | not made |
//! | the key's accounts | none, or a draft | a lease, which ends by itself | not made |
//! | the reasoning store | a draft | a lease | not made |
//! | the head, or the body, of the response | a draft | a lease | aborted by the platform |
//! | a write to the client | a draft | a lease | aborted by the platform |
//! | the last bytes to the client, or a token count | sent, or a draft | settled, or a lease | over |
//!
//! A draft is the receipt that came with the admission: when its lease ends, the account keeps it as `lost`,
//! with an estimate of the usage. An account without limits has no lease, and keeps no draft.

use std::rc::Rc;

use super::admission::{Admission, Caller};
use super::admit;
use super::attempt::{Attempt, Mode};
use super::bridge::Bridge;
use super::cost_estimate::CostEstimate;
use super::dropped_fields::DroppedFields;
use super::ended_attempt::AttemptTarget;
use super::estimate;
use super::failure::Failure;
use super::kept::{self, KeptQuestion, KeptStore};
use super::live::{is_ended, report_start};
use super::memory::MemoryReservation;
use super::plan::{Plan, find_route};
use super::planned_attempt::PlannedAttempt;
use super::platform::Platform;
use super::record::{Fact, Outcome, RequestRecord};
use super::relay::StreamRelay;
use super::request::{AdmittedRequest, Request};
use super::request_body::{ReceivedBody, read_body};
use super::request_head::RequestHead;
use super::response::{Body, Response};
use super::settle::{Ending, settle};
use super::tracing::{ActiveTrace, TracedHead};
use super::writer::{RECOVERED, ResponseWriter};
use crate::config::OnDisconnect;
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::operation::{Operation, OperationKind, RequestParts};
use crate::ledger::RateLimitStatus;
use crate::policy::routing::Target;

/// The response header with the cost in dollars.
const COST: &str = "x-llm-bridge-cost";

/// A request that is being carried out.
pub(super) struct Drive<'r, P: Platform> {
    pub(super) bridge: &'r Rc<Bridge>,
    pub(super) platform: &'r P,
    pub(super) client: &'static ClientFormat,
    /// The name in the request's path; empty if the path has none.
    pub(super) path_name: &'r str,
    pub(super) caller: Caller,
    /// Headers that every response to this request has.
    pub(super) common_headers: &'r [(&'static str, String)],
    pub(super) record: RequestRecord,
    /// Of a request that has a choice of targets: the attempt under way.
    pub(super) attempt: Option<PlannedAttempt>,
    /// Where the body of a response is written whose head has left before its target was known.
    pub(super) begun: Option<P::Sink>,
    /// Writes a response that an attempt has left unfinished.
    pub(super) unfinished: Option<Box<ResponseWriter>>,
    /// The client's own part of a request that refers to earlier ones.
    pub(super) asked: Option<KeptQuestion>,
    /// The rate limits of the operator's account in the last response, if its provider's row has
    /// `expose_limits`.
    pub(super) stated_limits: Vec<(&'static str, String)>,
}

/// A provider's stream whose content has begun to come.
pub(super) struct OpenedStream<P: Platform> {
    pub(super) relay: StreamRelay,
    pub(super) stream: P::Stream,
    /// What the client gets of what has been read.
    pub(super) beginning: Vec<u8>,
    /// What is reserved for it, if it is long.
    pub(super) room: Option<MemoryReservation>,
}

/// How a request was answered.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once; a box would be one allocation more")]
pub(super) enum Answer<P: Platform> {
    /// With a whole response, which is still to be sent.
    Whole(Response<P>),
    /// With a stream, which is still to be forwarded.
    Opened(OpenedStream<P>),
    /// With a stream, which has been sent and settled.
    Streamed,
}

/// Carries out a call of a model. Returns the response, unless it was streamed: then the platform has sent it
/// ([`Platform::begin_response`]) by the time this is done.
pub async fn call_model<P: Platform>(
    bridge: &Rc<Bridge>,
    platform: &P,
    admitted: AdmittedRequest<'_, P>,
    operation: &'static Operation,
    record: RequestRecord,
) -> Option<Response<P>> {
    begin_trace(bridge, platform, &admitted.request, operation);
    let (mut drive, request) = Drive::new(bridge, platform, admitted, record);
    let head = RequestHead::new(drive.client, request.header);
    let body = match read_body(bridge, platform, request).await {
        Ok(body) => body,
        Err(error) => return Some(drive.fail(error.into())),
    };
    let body = match drive.resolve(body).await {
        Ok(body) => body,
        Err(error) => return Some(drive.fail(error.into())),
    };
    // In boxes: a stream is forwarded for long, and by then the memory of these futures is free again.
    match operation.kind {
        // A count leaves no receipt.
        OperationKind::Count => match Box::pin(drive.count(&head, body, operation)).await {
            Ok(Answer::Whole(response)) => Some(response),
            answered => drive.deliver(answered).await,
        },
        OperationKind::Generate | OperationKind::Embed => {
            // The client's body is gone when this is done.
            let answered = Box::pin(drive.run(&head, body, operation)).await;
            drive.deliver(answered).await
        }
    }
}

/// Begins the trace of a call that is billed, if anything is made of traces.
fn begin_trace<P: Platform>(bridge: &Bridge, platform: &P, request: &Request<'_, P>, operation: &'static Operation) {
    let Some(rules) = bridge.trace_rules.as_ref().filter(|_| operation.kind != OperationKind::Count) else { return };
    let Request { path, scheme, header, .. } = *request;
    let random = [platform.random_u128(), platform.random_u128()];
    let trace = ActiveTrace::begin(rules, &TracedHead { path, scheme, header, operation }, random);
    let _ = platform.state().trace.set(Box::new(trace));
}

impl<'r, P: Platform> Drive<'r, P> {
    /// Carries out a call that is billed.
    async fn run(
        &mut self,
        head: &RequestHead<'_>,
        body: ReceivedBody,
        operation: &'static Operation,
    ) -> Result<Answer<P>, Failure> {
        let plan = self.plan(head, &body, operation).await?;
        if self.has_choice(&plan) {
            // The future of a request without a choice stays small.
            return Box::pin(self.run_plan(head, plan, &body)).await;
        }
        let (target, mode) = plan.first().map(|(target, mode)| (target.clone(), mode))?;
        let target = Target { clocks: plan.route.clocks(&target, false), ..target };
        let models = plan.names().next().unwrap_or_default();
        let Plan { envelope, .. } = plan;
        let mut attempt = Attempt::new(&envelope, &target, head, mode, self.card(&target, &[]));
        self.admit(&mut attempt, models).await?;
        let messages = attempt.document().value(operation.question_field);
        self.platform.log(&self.record.start_event(self.platform.now(), messages));
        report_start(self.platform, &self.record);
        if matches!(mode, Mode::Local) {
            let response = self.prepare_locally(&attempt)?;
            drop(envelope);
            drop(body);
            return Ok(self.answer_locally(response).await);
        }
        let prepared = self.prepare(&attempt).await?;
        if attempt.can_be_refitted() {
            body.keep();
            let (reading, answer) = self.send_fitted(&attempt, prepared).await?;
            drop(envelope);
            drop(body);
            return self.receive(&target, reading, answer).await;
        }
        // From here on, nothing is held of the client's body but what goes to the provider.
        drop(envelope);
        self.exchange(&target, prepared, body.into_room()).await
    }

    /// The state at the beginning of a request, and the request itself.
    pub(super) fn new(
        bridge: &'r Rc<Bridge>,
        platform: &'r P,
        admitted: AdmittedRequest<'r, P>,
        record: RequestRecord,
    ) -> (Self, Request<'r, P>) {
        let AdmittedRequest { request, client, path_name, caller, common_headers } = admitted;
        let drive = Self {
            bridge,
            platform,
            client,
            path_name,
            caller,
            common_headers,
            record,
            attempt: None,
            begun: None,
            unfinished: None,
            asked: None,
            stated_limits: Vec::new(),
        };
        (drive, request)
    }

    /// Puts what a request refers to in place of the references.
    ///
    /// # Errors
    /// 404 for what is not kept, 400 for too much of it; 401 or 503 from the caller's account.
    async fn resolve(&mut self, body: ReceivedBody) -> Result<ReceivedBody> {
        let vault = self.bridge.config.vault;
        let Some(rules) = self.client.kept.filter(|_| vault.enabled && kept::may_refer(&body)) else { return Ok(body) };
        admit::check(self.bridge, self.platform, &self.caller).await?;
        let account = self.caller.key_id.as_str();
        let store = KeptStore { bridge: self.bridge, platform: self.platform, account };
        let Some((resolved, asked)) = kept::resolve(store, rules, &body).await? else { return Ok(body) };
        self.asked = Some(asked);
        body.replaced(resolved, self.bridge.config.max_body_bytes)
    }

    /// Gives the client its response: returns it if it is whole, and forwards it if it is a stream.
    async fn deliver(&mut self, answered: Result<Answer<P>, Failure>) -> Option<Response<P>> {
        let answered = match answered {
            // Nothing follows it: such a stream is forwarded where another attempt can be made.
            Ok(Answer::Opened(opened)) => {
                let unfinished = self.forward_stream(opened).await;
                unfinished.map_or(Ok(Answer::Streamed), Err)
            }
            answered => answered,
        };
        if let Some(sink) = self.begun.take() {
            self.finish_begun(answered, sink).await;
            return None;
        }
        match answered {
            Ok(Answer::Whole(response)) => Some(self.complete(response)),
            Ok(Answer::Opened(_) | Answer::Streamed) => None,
            Err(failure) => Some(self.fail(failure)),
        }
    }

    /// Reads the request and finds its target.
    ///
    /// # Errors
    /// 400 for a body that is not as the operation wants it, and for what the provider does not support; 404
    /// for an unknown model. 401 or 503 instead, if the key is not good or its account cannot be reached: a
    /// caller learns of a fault only once its key is known to be good.
    pub(super) async fn plan<'a>(
        &mut self,
        head: &RequestHead<'_>,
        body: &'a [u8],
        operation: &'static Operation,
    ) -> Result<Plan<'r, 'a>> {
        let plan = self.find_target(head, body, operation);
        if plan.is_err() {
            admit::check(self.bridge, self.platform, &self.caller).await?;
        }
        plan
    }

    fn find_target<'a>(
        &mut self,
        head: &RequestHead<'_>,
        body: &'a [u8],
        operation: &'static Operation,
    ) -> Result<Plan<'r, 'a>> {
        let declared = &self.bridge.config.reporting.tags;
        // Asking for a header takes time, so it is not asked for without need.
        if !declared.is_empty()
            && let Some(header) = head.tags()
        {
            self.record.apply(Fact::Tagged { tags: declared.read(&header)? });
        }
        let envelope = operation.read(RequestParts { path_name: self.path_name, body })?;
        let (model, is_stream) = (envelope.model.name.to_string(), envelope.delivery.is_stream());
        self.record.apply(Fact::Read { model, is_stream });
        let route = find_route(&self.bridge.config, head, &envelope, self.platform.now())?;
        if let Some(first) = route.candidates.first() {
            let (provider, model) = (first.target.provider.name.clone(), first.target.upstream.to_string());
            self.record.apply(Fact::Routed(AttemptTarget { provider, model, key: 0 }));
        }
        Plan::new(self.client, envelope, route)
    }

    /// Has the request admitted by the key's accounts, which reserve the most that it can take.
    /// `models`: the names of which the key has to allow one.
    async fn admit(&mut self, attempt: &mut Attempt<'_, '_, '_>, models: Vec<String>) -> Result<()> {
        let complete = |estimate| CostEstimate { models, draft: Some(self.record.draft()), ..estimate };
        let admitted = estimate::admit(self.bridge, self.platform, &self.caller, attempt, complete).await?;
        self.record.apply(admitted);
        Ok(())
    }

    /// Whether the response is read to its end although the client has disconnected: the key's setting counts
    /// before the provider's.
    pub(super) fn outlives_client(&self, target: &Target<'_>) -> bool {
        let own = self.record.admission().and_then(|admission| admission.on_disconnect);
        own.unwrap_or(target.provider.streaming.on_disconnect) == OnDisconnect::Finish
    }

    /// The headers that tell what is left of the key's limits, or else those of the operator's account, and
    /// what the provider's format could not hold.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = self.record.admission().map(Admission::headers).unwrap_or_default();
        if self.tells_stated_limits(0) {
            headers.extend(self.stated_limits.iter().cloned());
        }
        headers.extend(self.record.dropped().into_iter().flat_map(DroppedFields::headers));
        if let Some(attempt) = &self.attempt {
            headers.push(attempt.header());
            headers.extend(self.record.attempts_header(true));
            headers.extend(self.record.recovered().map(|how| (RECOVERED, how.to_owned())));
        }
        headers
    }

    /// Whether callers may be told the limits that the provider stated: only if the gateway states no limits
    /// of its own, and few attempts failed, because each provider states others. `failed`: the most attempts
    /// that may have failed.
    fn tells_stated_limits(&self, failed: usize) -> bool {
        let own = self.record.admission().map(|admission| admission.rate_limits).unwrap_or_default();
        own == RateLimitStatus::default() && self.record.failed_attempts() <= failed
    }

    /// Settles a request whose whole response is ready to be sent, and adds the headers that tell what it
    /// took.
    fn complete(&mut self, mut response: Response<P>) -> Response<P> {
        let timing = self.record.server_timing(self.platform.now());
        response.headers.extend(timing.map(|timing| ("server-timing", timing)));
        // An estimate may still change.
        response.headers.extend(self.record.exact_cost().map(|cost| (COST, cost)));
        response.headers.extend(self.headers());
        let outcome = if self.platform.client_left() { Outcome::ClientClosed } else { Outcome::Complete };
        let is_logged = self.bridge.config.logging.fields.shows("response");
        let text = if is_logged { response.text().map(str::to_owned) } else { None };
        let ending = Ending { status: response.status, outcome, error: None, text };
        settle(self.platform, std::mem::take(&mut self.record), ending);
        response
    }

    /// Settles a request that failed before its response began, and makes the error's response.
    pub(super) fn fail(&mut self, failure: Failure) -> Response<P> {
        let Failure { error, billable, response, .. } = failure;
        if let Some(facts) = response {
            self.record.apply(Fact::AttemptEnded(*facts));
        }
        let limits = self.record.admission().map(Admission::headers).unwrap_or_default();
        let attempts = self.attempt.as_ref().and_then(|_| self.record.attempts_header(false));
        let stated = if self.tells_stated_limits(1) { std::mem::take(&mut self.stated_limits) } else { Vec::new() };
        let error = limits
            .into_iter()
            .chain(attempts)
            .chain(stated)
            .fold(error, |error, (name, value)| error.with_header(name, value));
        let rendered = if self.record.is_stream() && (self.client.fails_in_stream)(&error) {
            Response::event_stream(self.client.framing, Body::Bytes(self.error_as_stream(&error)))
        } else {
            Response::error(&error, self.client, self.record.request_id())
        };
        settle_failure(self.platform, std::mem::take(&mut self.record), error, billable);
        rendered
    }
}

/// Settles a request that failed before its response began. `billable`: a provider may bill for it.
pub fn settle_failure<P: Platform>(platform: &P, mut record: RequestRecord, error: Error, billable: bool) {
    let (has_left, is_ended) = (platform.client_left(), is_ended(platform));
    record.apply(Fact::Failed { billable: billable || has_left || is_ended, at: platform.now() });
    let outcome = match (has_left, is_ended) {
        (true, _) => Outcome::ClientClosed,
        (false, true) => Outcome::EndedByAdmin,
        (false, false) => Outcome::Refused,
    };
    let status = error.status();
    let error = if has_left { None } else { Some(error) };
    settle(platform, record, Ending { status, outcome, error, text: None });
}
