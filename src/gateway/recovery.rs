//! What follows when a stream breaks off after its content has been sent: another attempt goes on with it.

use std::rc::Rc;

use super::admit;
use super::attempt::{Mode, sparse};
use super::continuation::{self, Continuation};
use super::drive::{Answer, Drive};
use super::failure::{Failure, FailureStage};
use super::plan::Plan;
use super::planned_attempt::Resumes;
use super::platform::Platform;
use super::record::Fact;
use super::relay::StreamRelay;
use super::request_head::RequestHead;
use super::shown::Shown;
use super::writer::ResponseWriter;
use crate::catalogue::field::Field;
use crate::config::Recover;
use crate::error::{Error, Result};
use crate::policy::failure::FailureClass;
use crate::policy::routing::Target;

impl<'r, P: Platform> Drive<'r, P> {
    /// Decides how the request recovers. A stream that another attempt may go on with is written by the
    /// gateway, whatever format its provider speaks.
    ///
    /// # Errors
    /// 400 if the request asks for a recovery that is not known; 401 or 503 instead, if the key is not good
    /// or its account cannot be reached.
    pub(super) async fn plan_recovery(&self, head: &RequestHead<'_>, plan: &mut Plan<'r, '_>) -> Result<()> {
        let asked = head.recover();
        if asked.is_err() {
            admit::check(self.bridge, self.platform, &self.caller).await?;
        }
        let recover = asked?.unwrap_or(plan.route.recover);
        plan.route.recover = match recover {
            Recover::Off | Recover::Buffer => recover,
            Recover::Restart | Recover::Continue if self.may_resume(plan) => resumed(plan, recover),
            Recover::Restart | Recover::Continue => Recover::Off,
        };
        if matches!(plan.route.recover, Recover::Restart | Recover::Continue) {
            for mode in plan.modes.iter_mut().flatten() {
                if let Mode::Passthrough(format) = *mode {
                    *mode = Mode::Translate(format);
                }
            }
        }
        Ok(())
    }

    /// Whether another attempt may go on with the response: it is a stream that the gateway can write, and
    /// nothing happens at a provider but that it generates.
    fn may_resume(&self, plan: &Plan<'r, '_>) -> bool {
        let (envelope, rules) = (&plan.envelope, &self.client.rules);
        let document = &envelope.document;
        let adds_to_prompt =
            plan.first().is_ok_and(|(target, _)| (rules.translated_bounds)(document, target.model).adds_to_prompt);
        envelope.delivery.is_stream()
            && envelope.operation.generates()
            && envelope.operation.conversation.is_some()
            && !(rules.has_effects)(document)
            && !adds_to_prompt
            && !self.client.kept.is_some_and(|kept| (kept.asks)(document))
            && sparse(document).is_ok()
    }

    /// The writer of a response: the one that an attempt has left, or a new one.
    pub(super) fn writer(&mut self, new: ResponseWriter) -> ResponseWriter {
        if let Some(writer) = self.unfinished.take() {
            return *writer;
        }
        let resumes = self.attempt.as_ref().and_then(|attempt| attempt.outlook.resumes);
        match resumes {
            Some(resumes) => new.showing(Shown::new(resumes == Resumes::Text)),
            None => new,
        }
    }

    /// Sends the request to one target. One that refuses to be given the beginning of its response is asked
    /// to go on from it instead.
    pub(super) async fn attempt(
        &mut self,
        head: &RequestHead<'_>,
        plan: &Plan<'r, '_>,
        (target, mode): (&Target<'r>, Mode),
    ) -> Result<Answer<P>, Failure> {
        let continuation = self.continuation(plan, target, true);
        let is_given = continuation.as_ref().is_some_and(|continuation| continuation.is_given());
        match self.send_attempt(head, plan, (target, mode), continuation).await {
            Err(failure) if is_given && is_objection(&failure) => {
                let asked = self.continuation(plan, target, false);
                Box::pin(self.send_attempt(head, plan, (target, mode), asked)).await
            }
            answered => answered,
        }
    }

    /// What the response of the next attempt has to go on from, if text has been sent. `may_give`: the target
    /// may be given it as the beginning of its own response.
    fn continuation(&mut self, plan: &Plan<'r, '_>, target: &Target<'_>, may_give: bool) -> Option<Rc<Continuation>> {
        let text = self.unfinished.as_ref()?.shown()?.text()?.to_owned();
        let word = self.card(target, &[]).facts.word(Field::Prefill).filter(|_| may_give);
        let given = word.and_then(|word| {
            let envelope = &plan.envelope;
            let request = envelope.operation.read_conversation(&envelope.document).ok()?;
            Continuation::given(&text, word, &request)
        });
        let continuation = given.unwrap_or_else(|| Continuation::asked(&text, plan.route.continue_with));
        self.unfinished.as_mut()?.shown_mut()?.expect(continuation.seam());
        Some(Rc::new(continuation))
    }

    /// Keeps the writer of a response that an earlier attempt has begun, if the present one fails as well.
    pub(super) fn keep_writer(&mut self, relay: StreamRelay) {
        let writer = relay.into_writer();
        if writer.shown().is_some_and(Shown::has_begun) {
            self.unfinished = Some(Box::new(writer));
        }
    }

    /// Forwards a stream that another attempt may go on with.
    ///
    /// # Errors
    /// It broke off.
    pub(super) async fn forward_resumable(&mut self, answer: Answer<P>) -> Result<Answer<P>, Failure> {
        match answer {
            Answer::Opened(opened) if opened.relay.is_resumable() => {
                self.forward_stream(opened).await.map_or(Ok(Answer::Streamed), Err)
            }
            answer => Ok(answer),
        }
    }

    /// Says of a failure whether another attempt may follow it, where the client has got something already.
    pub(super) fn stage_unfinished(&self, failure: Failure) -> Failure {
        let shown = self.unfinished.as_ref().and_then(|writer| writer.shown());
        if shown.is_none_or(Shown::may_go_on) {
            failure
        } else {
            Failure { stage: FailureStage::AfterContent, ..failure }
        }
    }

    /// Ends a stream with an error, behind what has been sent of it.
    pub(super) fn end_with(&mut self, error: &Error) -> Vec<u8> {
        let Some(mut writer) = self.unfinished.take() else { return self.error_as_stream(error) };
        self.record.apply(Fact::Recovered { how: writer.recovered() });
        let mut out = Vec::new();
        writer.finish(Some(error), &mut out);
        out
    }
}

/// What of a recovery can be had for a conversation: none for one that cannot be translated, which may pass
/// unchanged nevertheless.
fn resumed(plan: &Plan<'_, '_>, wanted: Recover) -> Recover {
    let envelope = &plan.envelope;
    match envelope.operation.read_conversation(&envelope.document) {
        Ok(request) if continuation::may_continue(&request) => wanted,
        Ok(_) => Recover::Restart,
        Err(_) => Recover::Off,
    }
}

/// Whether a provider refused a request, for what stands in it.
fn is_objection(failure: &Failure) -> bool {
    failure.stage == FailureStage::AwaitingHead
        && matches!(failure.cause.class, FailureClass::Caller | FailureClass::Unsupported)
}

/// The error of a target whose response cannot go on with a stream.
pub(super) fn another_form() -> Error {
    let message = "The provider answered with a whole answer, which cannot go on with the stream that was begun.";
    Error::upstream(502, "upstream_invalid_response", message)
}
