//! Answers how many tokens a prompt has, in the client's own format: the provider's count where it has one, else an estimate.

use super::attempt::{Attempt, Mode, sparse};
use super::count_admission::{self, CountSubject};
use super::drive::Drive;
use super::dropped_fields::DROPPED;
use super::failure::{Failure, FailureStage};
use super::plan::{Plan, names};
use super::platform::{Platform, ProviderRequest};
use super::record::Fact;
use super::request_body::ReceivedBody;
use super::request_head::RequestHead;
use super::response::ESTIMATED;
use super::{Body, MemoryReservation, Response};
use crate::error::{Error, Result};
use crate::formats::operation::Operation;
use crate::formats::tally::TokenTally;
use crate::formats::{self, CountCall, ProviderFormat, WriteTarget};
use crate::policy::routing::Target;
use crate::policy::tokens;

/// How a count is obtained.
enum PreparedCount {
    /// The provider counts.
    Ask(Counter, ProviderRequest),
    /// The gateway counts these texts.
    Estimate(TokenTally),
}

/// A provider that counts.
struct Counter {
    format: &'static ProviderFormat,
    call: &'static CountCall,
    /// The client gets the provider's bytes.
    passes: bool,
}

impl Counter {
    /// The counter of a request's provider; `None` if that does not count.
    fn of(mode: Mode) -> Option<Self> {
        let (Mode::Passthrough(format) | Mode::Translate(format)) = mode else { return None };
        Some(Self { format, call: format.count.as_ref()?, passes: mode.is_passthrough() })
    }
}

impl<P: Platform> Drive<'_, P> {
    /// Counts the tokens of a prompt. It costs nothing and leaves no receipt, but is admitted inside the key's limits.
    ///
    /// # Errors
    /// As for a chat; 503 if the vocabulary cannot be loaded.
    pub(super) async fn count(
        &mut self,
        head: &RequestHead<'_>,
        body: ReceivedBody,
        operation: &'static Operation,
    ) -> Result<Response<P>, Failure> {
        if self.client.write_count.is_none() {
            let message = "Clients of this format do not count.";
            return Err(Error::caller(400, "unsupported_endpoint", message).into());
        }
        let Plan { envelope, target, mode } = self.plan(&body, operation).await?;
        let subject = CountSubject { models: names(&envelope, &target), body: body.len() as u64 };
        let admission = count_admission::admit(self.bridge, self.platform, &self.caller, subject).await?;
        let prepared = self.prepare_count(&Attempt::new(&envelope, &target, head, mode, self.platform.now()));
        // While a count is waited for, nothing is held of the client's body.
        drop(envelope);
        let room = body.into_room();
        let counted = match prepared {
            Ok(PreparedCount::Ask(counter, request)) => self.ask_provider(&target, counter, request, room).await,
            Ok(PreparedCount::Estimate(tally)) => {
                self.estimate_count(&target, tally, room).await.map_err(Failure::from)
            }
            Err(error) => Err(error.into()),
        };
        count_admission::release(self.platform, admission).await;
        counted
    }

    fn prepare_count(&mut self, attempt: &Attempt<'_, '_, '_>) -> Result<PreparedCount> {
        let (envelope, target) = (attempt.envelope, attempt.target);
        let Some(counter) = Counter::of(attempt.mode) else {
            let request = envelope.operation.read_conversation(sparse(&envelope.document)?)?;
            return formats::tally_conversation(&request, &target.upstream).map(PreparedCount::Estimate);
        };
        let key = self.bridge.account(target.index).key(&target.provider.name)?;
        let written = if counter.passes {
            attempt.pass_through()
        } else {
            let request = envelope.operation.read_conversation(sparse(&envelope.document)?)?;
            let model = WriteTarget { model: &target.upstream, max_output: None, limit_field: None };
            let written = (counter.call.write)(&request, model)?;
            attempt.check_dropped(&written)?;
            written
        };
        let (request, dropped) = attempt.request(written, counter.format, key, self.platform.now());
        self.record.apply(Fact::AttemptStarted { metering: None, dropped });
        Ok(PreparedCount::Ask(counter, request))
    }

    /// Asks the provider. `room`: what is reserved for the request.
    async fn ask_provider(
        &mut self,
        target: &Target<'_>,
        counter: Counter,
        request: ProviderRequest,
        room: MemoryReservation,
    ) -> Result<Response<P>, Failure> {
        let answer = self.send(target, request, counter.format, room).await?;
        let (bytes, buffer) = self.gather(target, answer).await?;
        let failed = |error| Failure::of(self.bridge.redact(target.index, error), FailureStage::BeforeContent);
        let tokens = (counter.call.read)(&bytes).map_err(failed)?;
        let body = if counter.passes { Body::gathered(bytes, buffer) } else { self.write_count(tokens) };
        let mut response = Response::json(200, body);
        response.headers.extend(self.record.dropped().map(|dropped| (DROPPED, dropped.header.clone())));
        Ok(response)
    }

    /// Counts texts. `room`: what is reserved for the request.
    async fn estimate_count(
        &self,
        target: &Target<'_>,
        tally: TokenTally,
        room: MemoryReservation,
    ) -> Result<Response<P>> {
        room.hold(tally.texts.iter().map(String::len).sum());
        let encoding = tokens::choose(&target.upstream).encoding;
        let (counts, _) = count_admission::count(self.platform, encoding, tally.texts).await?;
        let tokens = counts.iter().fold(tally.besides, |sum, count| sum.saturating_add(*count));
        let mut response = Response::json(200, self.write_count(tokens));
        response.headers.push((ESTIMATED, "true".to_owned()));
        Ok(response)
    }

    fn write_count(&self, tokens: u64) -> Body<P> {
        self.client.write_count.map_or(Body::Empty, |write| Body::Bytes(write(tokens)))
    }
}
