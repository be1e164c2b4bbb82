//! Answers how many tokens a prompt has, in the client's own format: the provider's count where it has one,
//! else an estimate.

use super::attempt::{Attempt, Mode, sparse};
use super::count_admission::{self, CountSubject};
use super::drive::{Answer, Drive};
use super::failure::Failure;
use super::platform::Platform;
use super::prepared_call::PreparedCall;
use super::request_body::ReceivedBody;
use super::request_head::RequestHead;
use super::response::ESTIMATED;
use super::{Body, MemoryReservation, Response};
use crate::error::{Error, Result};
use crate::formats;
use crate::formats::operation::Operation;
use crate::formats::tally::TokenTally;
use crate::policy::routing::Target;
use crate::policy::tokens;

/// How a count is obtained.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once; a box would be one allocation more")]
enum PreparedCount {
    /// The provider counts.
    Ask(PreparedCall),
    /// The gateway counts these texts.
    Estimate(TokenTally),
}

/// Whether the provider counts, and not the gateway.
fn is_counted_by_provider(mode: Mode, operation: &Operation) -> bool {
    match mode {
        Mode::Passthrough(_) => true,
        Mode::Translate(format) => format.call(operation.kind).is_some(),
        Mode::Local => false,
    }
}

impl<P: Platform> Drive<'_, P> {
    /// Counts the tokens of a prompt. It costs nothing and leaves no receipt, but is admitted inside the
    /// key's limits.
    ///
    /// # Errors
    /// As for a chat; 503 if the vocabulary cannot be loaded.
    pub(super) async fn count(
        &mut self,
        head: &RequestHead<'_>,
        body: ReceivedBody,
        operation: &'static Operation,
    ) -> Result<Answer<P>, Failure> {
        let plan = self.plan(head, &body, operation).await?;
        let models = plan.names().next().unwrap_or_default();
        let (target, mode) = plan.first().map(|(target, mode)| (target.clone(), mode))?;
        let envelope = plan.envelope;
        let subject = CountSubject { models, body: body.len() as u64 };
        let admission = count_admission::admit(self.bridge, self.platform, &self.caller, subject).await?;
        let attempt = Attempt::new(&envelope, &target, head, mode, self.card(&target, &[]));
        let counted = match self.prepare_count(&attempt).await {
            Ok(PreparedCount::Ask(call)) if attempt.can_be_refitted() => {
                body.keep();
                self.ask_for_count(&attempt, call).await
            }
            // While a count is waited for, nothing is held of the client's body.
            Ok(PreparedCount::Ask(call)) => {
                drop(envelope);
                self.exchange(&target, call, body.into_room()).await
            }
            Ok(PreparedCount::Estimate(tally)) => {
                drop(envelope);
                let counted = self.estimate_count(&target, operation, tally, body.into_room()).await;
                counted.map(Answer::Whole).map_err(Failure::from)
            }
            Err(error) => Err(error.into()),
        };
        count_admission::release(self.platform, admission).await;
        let mut counted = counted?;
        if let (Answer::Whole(response), Some(dropped)) = (&mut counted, self.record.dropped()) {
            response.headers.extend(dropped.headers());
        }
        Ok(counted)
    }

    /// Has the provider count, again if it refuses a field that the gateway wrote.
    async fn ask_for_count(&mut self, attempt: &Attempt<'_, '_, '_>, call: PreparedCall) -> Result<Answer<P>, Failure> {
        let (reading, answer) = self.send_fitted(attempt, call).await?;
        self.receive(attempt.target, reading, answer).await
    }

    async fn prepare_count(&mut self, attempt: &Attempt<'_, '_, '_>) -> Result<PreparedCount> {
        let (envelope, target) = (attempt.envelope, attempt.target);
        if is_counted_by_provider(attempt.mode, envelope.operation) {
            return self.prepare(attempt).await.map(PreparedCount::Ask);
        }
        let request = envelope.operation.read_conversation(sparse(&envelope.document)?)?;
        formats::tally_conversation(&request, &target.upstream).map(PreparedCount::Estimate)
    }

    /// Counts texts. `room`: what is reserved for the request.
    async fn estimate_count(
        &self,
        target: &Target<'_>,
        operation: &Operation,
        tally: TokenTally,
        room: MemoryReservation,
    ) -> Result<Response<P>> {
        room.hold(tally.texts.iter().map(String::len).sum());
        let unsupported = || Error::caller(400, "unsupported_endpoint", "Clients of this format do not count.");
        let write = operation.write_count.ok_or_else(unsupported)?;
        let encoding = tokens::choose(&target.upstream).encoding;
        let (counts, _) = count_admission::count(self.platform, encoding, tally.texts).await?;
        let tokens = counts.iter().fold(tally.besides, |sum, count| sum.saturating_add(*count));
        let mut response = Response::json(200, Body::Bytes(write(tokens)));
        response.headers.push((ESTIMATED, "true".to_owned()));
        Ok(response)
    }
}
