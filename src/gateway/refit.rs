//! Sends a request, and once more if the provider refuses a field that the gateway wrote: the catalogue is
//! stale then, or knows nothing of the model.
//!
//! What helped is kept for other requests, so a caller must not be able to teach what is not true. A provider
//! may repeat a caller's text in its message, or refuse a value rather than the field. Therefore:
//! - A lesson is a fact about one of the fields that the catalogue knows, with a value that it knows; no text
//!   of a message is kept. Most lessons leave something out. The others send a limit under its other name,
//!   reasoning in another form, or reasoning back to a host that demands it. A number that a message names as
//!   the longest response counts for the one request: kept, it would cut the responses of others short.
//! - The value that was refused has to be an ordinary one ([`crate::formats::ordinary`]).
//! - The provider has to accept the request, or to demand something else, once the lesson is followed. Text
//!   that a provider repeats from elsewhere in the request fails again.
//! - A lesson holds for one model at one provider, in one isolate, for an hour. What it costs a request is
//!   named in the headers of the response.

use super::attempt::Attempt;
use super::drive::Drive;
use super::failure::{Failure, FailureStage};
use super::memory;
use super::platform::Platform;
use super::prepared_call::{PreparedCall, Reading};
use crate::catalogue::Fact;
use crate::catalogue::field::Field;
use crate::error::Error;
use crate::formats::{objection, refit};
use crate::policy::model_card::ModelCard;
use crate::policy::routing::Target;

/// What a refusal teaches.
struct Lesson {
    /// The field, as the provider names it.
    field: &'static str,
    /// The facts with which the request is written again.
    facts: Vec<Fact>,
}

impl<P: Platform> Drive<'_, P> {
    /// The known facts about a target's model, with those that refusals have taught.
    pub(super) fn card(&self, target: &Target<'_>, taught: &[Fact]) -> ModelCard {
        let now = self.platform.now();
        let mut learned = self.bridge.learned.of(target.index, &target.upstream, now);
        learned.extend_from_slice(taught);
        let listed = self.bridge.listed.of(target);
        ModelCard::with_learned(target.provider, target.model, listed, now, &learned)
    }

    /// Sends a call and waits for the head of a successful response. If the provider refuses a field that the
    /// gateway wrote, the request is written again as the refusal demands, and sent once more.
    ///
    /// # Errors
    /// As [`Drive::send`]: of the last try.
    pub(super) async fn send_fitted(
        &mut self,
        attempt: &Attempt<'_, '_, '_>,
        prepared: PreparedCall,
    ) -> Result<(Reading, P::Answer), Failure> {
        match self.send_prepared(attempt.target, prepared).await {
            Ok(answered) => Ok(answered),
            Err(failure) => match lesson(attempt, &failure.error) {
                // It is rare: the future of a usual request stays small.
                Some(lesson) => Box::pin(self.send_again(attempt, failure, &lesson)).await,
                None => Err(failure),
            },
        }
    }

    /// Sends the request as a refusal demands. What the refusal taught is kept if it helped: if the provider
    /// accepts the request, or demands something else.
    async fn send_again(
        &mut self,
        attempt: &Attempt<'_, '_, '_>,
        refused: Failure,
        lesson: &Lesson,
    ) -> Result<(Reading, P::Answer), Failure> {
        let target = attempt.target;
        let second = attempt.with_card(self.card(target, &lesson.facts));
        // A strict request must not lose the field.
        let Ok(prepared) = self.prepare(&second).await else { return Err(refused) };
        let answered = self.send_prepared(target, prepared).await;
        let has_helped = match &answered {
            Ok(_) => true,
            Err(failure) => self::lesson(&second, &failure.error).is_some(),
        };
        if has_helped {
            let now = self.platform.now();
            let mut kept = lesson.facts.clone();
            kept.retain(|fact| fact.field != Field::MaxOutput);
            let count = self.bridge.learned.learn(target.index, &target.upstream, &kept, now);
            self.platform.log(&self.record.stale_event(now, lesson.field, count));
        }
        answered
    }

    async fn send_prepared(
        &mut self,
        target: &Target<'_>,
        prepared: PreparedCall,
    ) -> Result<(Reading, P::Answer), Failure> {
        let PreparedCall { request, format, reading } = prepared;
        let room = self.bridge.waiting_room(self.platform.now());
        let room = room.ok_or_else(|| Failure::of(memory::full(), FailureStage::BeforeSend))?;
        let answer = self.send(target, request, format, room).await?;
        Ok((reading, answer))
    }
}

/// What a provider's refusal teaches, if the request can be written as it demands. What the operator has
/// configured stays.
fn lesson(attempt: &Attempt<'_, '_, '_>, error: &Error) -> Option<Lesson> {
    if !error.is_reported() || !matches!(error.status(), 400 | 422) {
        return None;
    }
    let objection = objection::read(error.message(), error.param())?;
    if !attempt.has_ordinary_value(&objection) {
        return None;
    }
    let mut facts = refit::facts(&objection, &attempt.card.facts);
    facts.retain(|fact| attempt.may_learn(fact.field));
    (!facts.is_empty()).then_some(Lesson { field: objection.name.text, facts })
}
