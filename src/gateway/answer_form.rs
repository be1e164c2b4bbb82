//! The form of a response: a stream or a document, whatever was asked for and whatever it says of itself.

use super::call::{self, GatheredBody, call_failed};
use super::drive::{Answer, Drive};
use super::failure::{Failure, FailureStage};
use super::platform::{Platform, ProviderResponse as _};
use super::response_context::ResponseContext;
use super::response_facts::reported;
use crate::formats::operation::OperationKind;
use crate::formats::{AssembleOptions, Assembler};
use crate::policy::routing::Target;
use crate::wire::sse::is_stream;

impl<P: Platform> Drive<'_, P> {
    /// The response that was asked for, where a provider gave another form of it; `None` if it can stay as it
    /// is.
    ///
    /// # Errors
    /// 502 if a stream came that holds no whole response; its own error if it reports one.
    pub(super) fn mended(
        &self,
        target: &Target<'_>,
        context: &ResponseContext,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(reform) = context.reform {
            return Ok((reform.apply)(body));
        }
        if context.operation.kind != OperationKind::Generate || !is_stream(body) {
            return Ok(None);
        }
        let options =
            AssembleOptions { max_bytes: self.bridge.config.max_answer_bytes, choices: context.options.choices };
        let Some(mut assembler) = Assembler::new(context.format, options) else { return Ok(None) };
        let assembled = assembler.push(body).and_then(|()| assembler.finish());
        assembled.map(Some).map_err(|error| {
            self.failed(target, error, FailureStage::BeforeContent).with_response(reported(assembler.summary()))
        })
    }

    /// Reads a whole response that came instead of a stream, without saying so.
    pub(super) async fn read_document(
        &mut self,
        target: &Target<'_>,
        context: ResponseContext,
        document: (P::Stream, Vec<u8>),
    ) -> Result<Answer<P>, Failure> {
        let most = self.bridge.config.max_answer_bytes;
        let room = self.answer_room(target)?;
        let left = self.left(target);
        let gathered = call::gather_rest(self.platform, document, left, (most, 0), &room).await;
        match gathered.map_err(|lost| Failure::of(call_failed(lost), FailureStage::BeforeContent))? {
            GatheredBody::Whole(bytes, buffer) => self.read_whole(target, context, (bytes, buffer)).await,
            GatheredBody::Long(rest, _) => Err(self.too_long(&rest)),
        }
    }
}

/// Whether a response says that it is no stream. One that says nothing, or something odd, is taken for what
/// was asked.
pub(super) fn is_document<P: Platform>(answer: &P::Answer) -> bool {
    let kind = content_type::<P>(answer);
    ["application/json", "text/html"].iter().any(|document| kind.starts_with(document))
}

/// Whether a response says that it is a stream of events.
pub(super) fn is_event_stream<P: Platform>(answer: &P::Answer) -> bool {
    content_type::<P>(answer).starts_with("text/event-stream")
}

/// Whether a response that should be a stream may be a document without saying so. Some streams have lines of
/// JSON.
pub(super) fn may_be_document<P: Platform>(answer: &P::Answer) -> bool {
    !content_type::<P>(answer).contains("json")
}

fn content_type<P: Platform>(answer: &P::Answer) -> String {
    answer.header("content-type").unwrap_or_default().to_ascii_lowercase()
}
