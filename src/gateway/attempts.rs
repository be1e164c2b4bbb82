//! Carries out a request that has a choice: of several targets, or of several keys. An attempt that fails
//! before content is followed by another one, until one serves, or none can help.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures::future::{Either, select};

use super::attempt::{Attempt, Mode};
use super::continuation::Continuation;
use super::conversation::ConversationKeys;
use super::drive::{Answer, Drive};
use super::ended_attempt::AttemptTarget;
use super::failure::{Failure, FailureStage};
use super::forward::{write_end, write_within};
use super::live::{is_ended, report_start};
use super::plan::Plan;
use super::planned_attempt::{Outlook, PlannedAttempt};
use super::platform::{CallError, Platform, StreamHead};
use super::record::{Fact, Outcome};
use super::recovery::another_form;
use super::relay::StreamEnd;
use super::request_body::ReceivedBody;
use super::request_head::RequestHead;
use super::response::Body;
use super::settle::{Ending, settle};
use super::shown::Recovered;
use super::tries::{Tries, TryRules};
use super::wait::{client_left, sleep};
use super::{admit, call_failed, estimate, memory};
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::formats::ResponseHead;
use crate::formats::summary::ResponseSummary;
use crate::policy::choose::{Choice, Next};
use crate::policy::failure::{Cause, FailureClass};
use crate::policy::health::{AttemptFailure, Place, RunningAttempt};
use crate::policy::routing::Target;
use crate::policy::waiting::Wait;

impl<'r, P: Platform> Drive<'r, P> {
    /// Whether a request has a choice of targets or of keys.
    pub(super) fn has_choice(&self, plan: &Plan<'_, '_>) -> bool {
        let [only] = plan.route.candidates.as_slice() else { return true };
        plan.route.name.is_some() || plan.route.attempts(self.bridge.account(only.target.index).keys().len()) > 1
    }

    /// Carries out a request that has a choice.
    pub(super) async fn run_plan(
        &mut self,
        head: &RequestHead<'_>,
        mut plan: Plan<'r, '_>,
        body: &ReceivedBody,
    ) -> Result<Answer<P>, Failure> {
        body.keep();
        self.plan_recovery(head, &mut plan).await?;
        let plan = &plan;
        self.bridge.health.refresh(self.platform);
        let conversation = ConversationKeys::of(&plan.route, head, &plan.envelope, &self.record, random(self.platform));
        let ranks = self.admit_plan(head, plan, conversation).await?;
        let mut tries = Tries::new(TryRules { ranks, ..self.try_rules(head, plan, conversation) });
        let answered = self.try_targets(head, plan, &mut tries).await;
        if answered.is_err() {
            self.record.apply(Fact::Recovered { how: None });
        }
        answered.map_err(|failure| failure.unwrap_or_else(|| tries.into_failure(self.bridge, plan)))
    }

    /// Has the request admitted: its dearest target is reserved for. Returns the ranks of the candidates, if
    /// the route's strategy has ranks.
    async fn admit_plan(
        &mut self,
        head: &RequestHead<'_>,
        plan: &Plan<'r, '_>,
        conversation: ConversationKeys,
    ) -> Result<Vec<Option<u64>>> {
        let mut attempts = Vec::with_capacity(plan.modes.len());
        for (candidate, mode) in plan.route.candidates.iter().zip(&plan.modes) {
            let Some(mode) = *mode else { continue };
            let target = &candidate.target;
            attempts.push(Attempt::new(&plan.envelope, target, head, mode, self.card(target, &[])));
        }
        let ranks = self.ranks(plan, &attempts, conversation);
        let draft = || self.record.draft();
        let admitted =
            estimate::admit_plan(self.bridge, self.platform, &self.caller, (plan, &mut attempts), draft).await?;
        self.record.apply(admitted);
        let messages = plan.envelope.document.value(plan.envelope.operation.question_field);
        self.platform.log(&self.record.start_event(self.platform.now(), messages));
        report_start(self.platform, &self.record);
        Ok(ranks)
    }

    /// Tries target after target.
    ///
    /// # Errors
    /// The failure of the plan, or none if it is among those that were tried.
    async fn try_targets(
        &mut self,
        head: &RequestHead<'_>,
        plan: &Plan<'r, '_>,
        tries: &mut Tries,
    ) -> Result<Answer<P>, Option<Failure>> {
        loop {
            let now = self.platform.now();
            let choice = match tries.next(self.bridge, plan, now, random(self.platform)) {
                Next::Try(choice) => choice,
                Next::Wait(_) if tries.leaves_waiting_to_client() => return Err(None),
                Next::Wait(time) => {
                    let providers = plan.route.candidates.iter().map(|candidate| candidate.target.provider);
                    let keep_alive = providers.map(|provider| provider.streaming.keep_alive).min().unwrap_or_default();
                    self.pause(time, keep_alive).await.map_err(Some)?;
                    continue;
                }
                Next::Stop(_) => return Err(None),
            };
            // The first failure is told if what may come on top cannot be paid.
            self.raise(tries.billable()).await.map_err(|_| None)?;
            let Some((target, mode)) = self.target_of(plan, choice) else { return Err(None) };
            self.begin_attempt(&target, tries.outlook(self.bridge, plan));
            let failure = match self.attempt(head, plan, (&target, mode)).await {
                Ok(answer) => {
                    self.report_success(&target);
                    self.note_served(plan, tries.rules(), &target, &answer);
                    match self.forward_resumable(answer).await {
                        Ok(answer) => return Ok(answer),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            let failure = self.stage_unfinished(failure);
            let is_over = self.platform.client_left() || is_ended(self.platform);
            if !is_over {
                self.note_failed(plan, tries.rules(), &target, &failure);
            }
            let failure = self.end_attempt(&target, failure, is_over);
            if is_over {
                return Err(Some(failure));
            }
            if failure.stage == FailureStage::Held && tries.rules().resumes.is_none() {
                self.record.apply(Fact::Recovered { how: Some(Recovered::Buffered) });
            }
            tries.add(choice.candidate, choice.key, failure, self.platform.now());
        }
    }

    /// The target of a choice, with its key and the time limits of the route.
    fn target_of(&self, plan: &Plan<'r, '_>, choice: Choice) -> Option<(Target<'r>, Mode)> {
        let target = &plan.route.candidates.get(choice.candidate)?.target;
        let mode = (*plan.modes.get(choice.candidate)?)?;
        let clocks = plan.route.clocks(target, self.card(target, &[]).thinks);
        Some((Target { key: choice.key, clocks, ..target.clone() }, mode))
    }

    /// Sends the request to one target, whose response may have to go on from a text.
    pub(super) async fn send_attempt(
        &mut self,
        head: &RequestHead<'_>,
        plan: &Plan<'r, '_>,
        (target, mode): (&Target<'r>, Mode),
        continuation: Option<Rc<Continuation>>,
    ) -> Result<Answer<P>, Failure> {
        let attempt = Attempt::new(&plan.envelope, target, head, mode, self.card(target, &[]));
        let mut attempt = attempt.continuing(continuation);
        if self.attempt.as_ref().is_some_and(|attempt| attempt.outlook.may_go_on) {
            attempt = attempt.into_streaming();
        }
        let admission = self.record.admission().cloned().unwrap_or_default();
        if let Some(limit) = admission.limit {
            attempt.grant(limit);
        }
        self.record.apply(Fact::Targeted { plausible: estimate::plausible(&attempt, &admission) });
        if matches!(mode, Mode::Local) {
            if self.unfinished.is_some() {
                return Err(unsupported(another_form()));
            }
            let response = self.prepare_locally(&attempt).map_err(unsupported)?;
            return Ok(self.answer_locally(response).await);
        }
        let prepared = self.prepare(&attempt).await.map_err(unsupported)?;
        if attempt.can_be_refitted() {
            let (reading, answer) = self.send_fitted(&attempt, prepared).await?;
            return self.receive(target, reading, answer).await;
        }
        let room = self.bridge.waiting_room(self.platform.now());
        let room = room.ok_or_else(|| Failure::of(memory::full(), FailureStage::BeforeSend))?;
        self.exchange(target, prepared, room).await
    }

    /// Notes that an attempt begins.
    fn begin_attempt(&mut self, target: &Target<'r>, outlook: Outlook) {
        let now = self.platform.now();
        let RunningAttempt { place, is_probe, .. } = self.bridge.health.begin(target, target.key, now);
        let (provider, model) = (target.provider.name.clone(), target.upstream.clone().into_owned());
        let going = AttemptTarget { provider, model, key: target.key };
        self.record.apply(Fact::Routed(going.clone()));
        let account = place.account;
        self.attempt = Some(PlannedAttempt { began: now, outlook, is_probe: Some(is_probe), account, target: going });
    }

    /// The attempt under way, for the health of its target; `None` once its outcome has been reported.
    fn running<'t>(&mut self, target: &'t Target<'_>) -> Option<RunningAttempt<'t>> {
        let attempt = self.attempt.as_mut()?;
        let is_probe = attempt.is_probe.take()?;
        let (key, account, region) = (target.key, attempt.account, target.region());
        let place = Place { provider: target.index, model: &target.upstream, key, account, region };
        Some(RunningAttempt { place, began: attempt.began, is_probe })
    }

    /// Notes that the attempt under way brought content.
    pub(super) fn report_success(&mut self, target: &Target<'_>) {
        if let Some(running) = self.running(target) {
            self.bridge.health.succeeded(self.platform, running);
        }
    }

    /// Notes that an attempt failed, and charges for it. `is_over`: the client has left, or an admin has
    /// ended the request.
    fn end_attempt(&mut self, target: &Target<'_>, mut failure: Failure, is_over: bool) -> Failure {
        let Cause { class, scope, wait } = failure.cause;
        if let Some(running) = self.running(target) {
            if is_over {
                self.bridge.health.abandoned(running);
            } else {
                let failed = AttemptFailure { class, scope, wait: wait.map(Wait::until_next_try) };
                self.bridge.health.failed(self.platform, running, failed);
            }
        }
        if let Some(facts) = failure.response.take() {
            self.record.apply(Fact::AttemptEnded(*facts));
        }
        failure.billable |= may_have_worked(&failure) || is_over && failure.stage != FailureStage::BeforeSend;
        // What came of a response that was held has been charged, with what was generated unread.
        let is_charged = failure.stage == FailureStage::Held;
        self.record.apply(Fact::AttemptFailed {
            class: class.name(),
            billable: failure.billable && !is_charged,
            at: self.platform.now(),
        });
        failure.billable |= is_charged;
        self.platform.log(&self.record.attempt_event(self.platform.now(), &failure.error, class.name()));
        failure
    }

    /// The failure that a response without anything for the client is, if another attempt may follow: a usual
    /// end without content, or a refusal by a content policy if the route goes on after one.
    pub(super) fn without_output(&self, summary: &ResponseSummary) -> Option<Failure> {
        let attempt = self.attempt.as_ref().filter(|attempt| attempt.outlook.may_go_on)?;
        let (class, message) = if summary.is_hollow() {
            (FailureClass::Hollow, "The provider's answer holds nothing.")
        } else if summary.is_withheld() && attempt.outlook.continues_after_policy {
            (FailureClass::Policy, "The provider withheld its answer because of its content policy.")
        } else {
            return None;
        };
        let error = Error::upstream(502, "upstream_invalid_response", message);
        let failure = Failure::of(error, FailureStage::BeforeContent);
        // The provider has generated it.
        Some(Failure { cause: Cause::of(class), billable: true, ..failure })
    }

    /// Raises what is reserved, if `billable` attempts may have to be paid besides the next one.
    async fn raise(&self, billable: u64) -> Result<()> {
        let Some(admission) = self.record.admission() else { return Ok(()) };
        match admission.reserved {
            Some(reserved) if billable > 0 => {
                admit::raise(self.platform, admission, reserved.saturating_mul(billable.saturating_add(1))).await
            }
            _ => Ok(()),
        }
    }

    /// Waits before the next attempt, while the client stays. `keep_alive`: after which time without anything
    /// a client that waits for a stream gets a sign of life.
    async fn pause(&mut self, time: Millis, keep_alive: Millis) -> Result<(), Failure> {
        let platform = self.platform;
        let waiting = async move {
            let (slept, left) = (pin!(sleep(platform, time)), pin!(client_left(platform)));
            match select(slept, left).await {
                Either::Left(_) if is_ended(platform) => {
                    Err(Failure::of(call_failed(CallError::Ended), FailureStage::BeforeSend))
                }
                Either::Left(_) => Ok(()),
                Either::Right(_) => Err(Failure::of(call_failed(CallError::ClientLeft), FailureStage::BeforeSend)),
            }
        };
        self.while_client_waits(keep_alive, time, waiting).await
    }

    /// Sends a sign of life to a client that has got nothing for long, although nothing is known yet of the
    /// response: if its head has not left, it does now.
    ///
    /// # Errors
    /// The client has left.
    pub(super) async fn keep_client_waiting(&mut self, left: Millis) -> Result<(), Failure> {
        let gone = || Failure::of(call_failed(CallError::ClientLeft), FailureStage::AwaitingHead);
        let mut sink = self.begin(StreamHead::events(self.client.framing)).map_err(|_| gone())?;
        let written = write_within(self.platform, &mut sink, self.client.framing.keep_alive, left, 0).await;
        self.begun = Some(sink);
        match written {
            Ok(()) | Err(StreamEnd::TimedOut | StreamEnd::Ended) => Ok(()),
            Err(_) => Err(gone()),
        }
    }

    /// Waits for a future; meanwhile, a client that waits for a stream gets a sign of life every `interval`
    /// milliseconds, if another attempt may follow.
    pub(super) async fn while_client_waits<T>(
        &mut self,
        interval: Millis,
        left: Millis,
        wait: impl Future<Output = T>,
    ) -> T {
        let is_planned = self.attempt.as_ref().is_some_and(|attempt| attempt.outlook.may_go_on) || self.begun.is_some();
        if !is_planned || interval == 0 || !self.record.is_stream() {
            return wait.await;
        }
        let mut wait = pin!(wait);
        loop {
            match select(&mut wait, self.platform.timer(interval)).await {
                Either::Left((done, _)) => return done,
                // What waits finds out itself that the client has left.
                Either::Right(_) => drop(self.keep_client_waiting(left).await),
            }
        }
    }

    /// Ends a response whose head has left before its target was known.
    pub(super) async fn finish_begun(&mut self, answered: Result<Answer<P>, Failure>, mut sink: P::Sink) {
        let (bytes, outcome, error) = match answered {
            Ok(Answer::Opened(_) | Answer::Streamed) => return,
            Ok(Answer::Whole(response)) => match response.body {
                Body::Bytes(bytes) | Body::Buffer(_, bytes) => (bytes, Outcome::Complete, None),
                Body::Empty | Body::Socket(..) => (Vec::new(), Outcome::Complete, None),
            },
            Err(failure) => {
                let outcome = match failure.cause.class {
                    _ if self.platform.client_left() => Outcome::ClientClosed,
                    _ if is_ended(self.platform) => Outcome::EndedByAdmin,
                    FailureClass::Timeout => Outcome::TimedOut,
                    _ => Outcome::UpstreamError,
                };
                (self.end_with(&failure.error), outcome, Some(failure.error))
            }
        };
        // Settled before the last bytes: a client may take them late, or never.
        let ending = Ending { status: 200, outcome, error, text: None };
        settle(self.platform, std::mem::take(&mut self.record), ending);
        write_end(self.platform, &mut sink, &bytes).await;
    }

    /// An error as the only event of a stream.
    pub(super) fn error_as_stream(&self, error: &Error) -> Vec<u8> {
        let (mut encoder, mut out) = ((self.client.stream)(ResponseHead::default()), Vec::new());
        encoder.finish(Some(error), &mut out);
        out
    }
}

/// Whether a provider may have generated something that nobody read: it answered with nothing, or it or what
/// stands before it says that time was up. Source: `docs/routing.md`, "Money".
fn may_have_worked(failure: &Failure) -> bool {
    match failure.cause.class {
        FailureClass::Hollow => failure.stage == FailureStage::BeforeContent,
        FailureClass::Timeout => matches!(failure.error.status(), 504 | 524),
        _ => false,
    }
}

/// The failure of a request that one target's format cannot hold. Another one's may.
fn unsupported(error: Error) -> Failure {
    let is_unsupported = error.code().is_some_and(|code| code.starts_with("unsupported"));
    let failure = Failure::from(error);
    let cause = if is_unsupported { Cause::of(FailureClass::Unsupported) } else { failure.cause };
    Failure { cause, ..failure }
}

fn random<P: Platform>(platform: &P) -> u64 {
    u64::try_from(platform.random_u128() >> 64).unwrap_or_default()
}
