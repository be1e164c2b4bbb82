//! Calls, such as embeddings, of a provider whose format is not the client's.

use std::rc::Rc;

use super::attempt::{Attempt, sparse};
use super::drive::Drive;
use super::failure::{Failure, FailureStage};
use super::metering::{MeteredPrompt, Metering, Reported, ResponseUsage};
use super::platform::Platform;
use super::prepared_call::{PreparedCall, Reading, TranslatedCall};
use super::record::{Fact, ResponseFacts};
use super::response::ESTIMATED;
use super::{Body, Response};
use crate::error::Result;
use crate::formats::operation::OperationKind;
use crate::formats::{CallResponse, ProviderCall, ProviderFormat, WriteTarget};
use crate::policy::routing::Target;
use crate::policy::tokens;

impl<P: Platform> Drive<'_, P> {
    /// Makes the call.
    ///
    /// # Errors
    /// 400 for what the provider cannot be asked; 503 without its key.
    pub(super) fn prepare_call(
        &mut self,
        attempt: &Attempt<'_, '_, '_>,
        format: &'static ProviderFormat,
        call: &ProviderCall,
    ) -> Result<PreparedCall> {
        let (envelope, target) = (attempt.envelope, attempt.target);
        let key = self.bridge.account(target.index).key(&target.provider.name, target.key)?;
        sparse(&envelope.document)?;
        let written = (call.write)(
            envelope,
            WriteTarget { model: &target.upstream, max_output: None, limit_field: None, facts: &attempt.card.facts },
        )?;
        let is_free = call.kind == OperationKind::Count;
        let request = if is_free {
            attempt.check_dropped(&written.request)?;
            written.request
        } else {
            attempt.with_edits(written.request)?
        };
        let (request, dropped) = attempt.request(request, format, key, self.platform.now());
        let question = envelope.document.value(envelope.operation.question_field).unwrap_or_default();
        let length = question.len() as u64;
        let metering = (!is_free).then(|| {
            // Tokens are counted in the client's words: the provider's format is not read for that.
            let prompt = MeteredPrompt::of(&Rc::new(envelope.document.bytes().to_vec()));
            let prompt = MeteredPrompt { length, ..prompt };
            Metering::of(&attempt.card, prompt, self.platform.now())
        });
        self.record.apply(Fact::AttemptStarted { metering, dropped });
        let reading = Reading::Call(TranslatedCall { read: written.read, length });
        Ok(PreparedCall { request, format, reading })
    }

    /// Reads the response of a call.
    ///
    /// # Errors
    /// As for a whole response.
    pub(super) async fn read_call(
        &mut self,
        target: &Target<'_>,
        call: TranslatedCall,
        answer: P::Answer,
    ) -> Result<Response<P>, Failure> {
        let TranslatedCall { read, length } = call;
        let (bytes, _) = self.gather(target, answer).await?;
        let failed = |error| self.failed(target, error, FailureStage::BeforeContent);
        let response = read(&bytes, tokens::estimate_from_bytes(length)).map_err(failed)?;
        let CallResponse { body, usage, is_estimated } = response;
        let reported = usage.map_or(Reported::Nothing, Reported::Total);
        let usage = Some(ResponseUsage { reported, ..ResponseUsage::default() });
        self.record.apply(Fact::AttemptEnded(ResponseFacts { usage, ..ResponseFacts::default() }));
        let mut response = Response::json(200, Body::Bytes(body));
        if is_estimated {
            response.headers.push((ESTIMATED, "true".to_owned()));
        }
        Ok(response)
    }
}
