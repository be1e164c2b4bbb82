//! Embeddings of a provider whose format is not the client's.

use std::rc::Rc;

use super::attempt::{Attempt, sparse};
use super::charge::{MeteredPrompt, Metering};
use super::drive::Drive;
use super::exchange::{PreparedCall, Reading};
use super::failure::{Failure, FailureStage};
use super::platform::Platform;
use super::record::{Fact, Reported, ResponseFacts, ResponseUsage};
use super::response::ESTIMATED;
use super::{Body, Response};
use crate::error::{Error, Result};
use crate::formats::{EmbedCall, EmbeddingContext, EmbeddingForm, ProviderFormat};
use crate::policy::routing::Target;
use crate::policy::tokens;

/// How vectors are read, and written in the client's format.
pub(super) struct EmbeddingReader {
    call: &'static EmbedCall,
    form: EmbeddingForm,
    /// The length of the texts' JSON in bytes.
    length: u64,
}

impl<P: Platform> Drive<'_, P> {
    /// Makes the call.
    ///
    /// # Errors
    /// 400 for what the provider cannot be asked; 503 without its key.
    pub(super) fn prepare_embedding(
        &mut self,
        attempt: &Attempt<'_, '_, '_>,
        format: &'static ProviderFormat,
    ) -> Result<PreparedCall> {
        let (envelope, target) = (attempt.envelope, attempt.target);
        let no_embeddings =
            || Error::caller(400, "unsupported_endpoint", "This provider has no embeddings.").at("model");
        let call = format.embed.as_ref().ok_or_else(no_embeddings)?;
        let key = self.bridge.account(target.index).key(&target.provider.name)?;
        let (written, form) = (call.write)(sparse(&envelope.document)?, &target.upstream)?;
        let (request, dropped) = attempt.request(attempt.with_edits(written)?, format, key, self.platform.now());
        let texts = envelope.document.value(envelope.operation.question_field).unwrap_or_default();
        // Tokens are counted in the client's words: the provider's format is not read for that.
        let prompt = MeteredPrompt::of(&Rc::new(envelope.document.bytes().to_vec()));
        let prompt = MeteredPrompt { length: texts.len() as u64, ..prompt };
        let reader = EmbeddingReader { call, form, length: prompt.length };
        let metering = Metering { price: attempt.card.price, prompt, called: self.platform.now() };
        self.record.apply(Fact::AttemptStarted { metering: Some(metering), dropped });
        Ok(PreparedCall { request, format, reading: Reading::Embeddings(reader) })
    }

    /// Reads the vectors.
    ///
    /// # Errors
    /// As for a whole response.
    pub(super) async fn embeddings(
        &mut self,
        target: &Target<'_>,
        reader: EmbeddingReader,
        answer: P::Answer,
    ) -> Result<Response<P>, Failure> {
        let EmbeddingReader { call, form, length } = reader;
        let (bytes, _) = self.gather(target, answer).await?;
        let estimate = tokens::estimate_from_bytes(length);
        let read = (call.whole)(&bytes, &EmbeddingContext { form, model: &target.upstream, estimate });
        let failed = |error| Failure::of(self.bridge.redact(target.index, error), FailureStage::BeforeContent);
        let (body, usage) = read.map_err(failed)?;
        let reported = usage.map_or(Reported::Nothing, Reported::Total);
        let usage = Some(ResponseUsage { reported, ..ResponseUsage::default() });
        self.record.apply(Fact::AttemptEnded(ResponseFacts { usage, ..ResponseFacts::default() }));
        let mut response = Response::json(200, Body::Bytes(body));
        if matches!(reported, Reported::Nothing) {
            response.headers.push((ESTIMATED, "true".to_owned()));
        }
        Ok(response)
    }
}
