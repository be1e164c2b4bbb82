//! Answers how many tokens a chat or a text has, without a call of a provider.

use std::rc::Rc;

use super::count_admission::{self, CountSubject};
use super::drive::Drive;
use super::ended_attempt::AttemptTarget;
use super::platform::Platform;
use super::record::{Fact, RequestRecord};
use super::request::AdmittedRequest;
use super::request_body::{ReceivedBody, read_body};
use super::{Body, Bridge, Response, admit};
use crate::error::Result;
use crate::formats::tally::{self, Subject, TokenizeRequest};
use crate::policy::routing::Target;
use crate::policy::{routing, tokens};

/// Counts the tokens of a chat or a text. It costs nothing and leaves no receipt, but is admitted inside the
/// key's limits.
///
/// A failure is answered as for a chat: 400, 401, 403, 404, 413, 429; 503 if the vocabulary cannot be loaded.
pub async fn tokenize<P: Platform>(
    bridge: &Rc<Bridge>,
    platform: &P,
    admitted: AdmittedRequest<'_, P>,
    record: RequestRecord,
) -> Response<P> {
    let (mut drive, request) = Drive::new(bridge, platform, admitted, record);
    let counted = match read_body(bridge, platform, request).await {
        Ok(body) => drive.tokenize(body).await,
        Err(error) => Err(error),
    };
    counted.unwrap_or_else(|error| drive.fail(error.into()))
}

impl<'r, P: Platform> Drive<'r, P> {
    async fn tokenize(&mut self, body: ReceivedBody) -> Result<Response<P>> {
        let (length, read) = (body.len(), self.read_source(&body));
        // From here on, nothing is held of the body but its texts.
        let room = body.into_room();
        room.hold(length);
        // A caller learns of a fault only once its key is known to be good.
        if read.is_err() {
            admit::check(self.bridge, self.platform, &self.caller).await?;
        }
        let (source, target) = read?;
        let models = vec![source.model.clone(), format!("{}/{}", target.provider.name, target.upstream)];
        let subject = CountSubject { models, body: length as u64 };
        let admission = count_admission::admit(self.bridge, self.platform, &self.caller, subject).await?;
        let counted = count(self.platform, source, &target).await;
        count_admission::release(self.platform, admission).await;
        Ok(Response::json(200, Body::Bytes(counted?)))
    }

    fn read_source(&mut self, body: &[u8]) -> Result<(TokenizeRequest, Target<'r>)> {
        let source = tally::read(body)?;
        let model = source.model.chars().take(200).collect();
        self.record.apply(Fact::Read { model, is_stream: false });
        let target = routing::resolve_target(&self.bridge.config, &source.model)?;
        self.record
            .apply(Fact::Routed(AttemptTarget { provider: target.provider.name.clone(), ..AttemptTarget::default() }));
        Ok((source, target))
    }
}

async fn count<P: Platform>(platform: &P, source: TokenizeRequest, target: &Target<'_>) -> Result<Vec<u8>> {
    let choice = tokens::choose(&target.upstream);
    let (texts, besides, is_guessed, are_several) = match source.subject {
        Subject::Chat(tally) => (tally.texts, tally.besides, tally.is_estimated, false),
        Subject::Text(text) => (vec![text], 0, false, false),
        Subject::Texts(texts) => (texts, 0, false, true),
    };
    let (counts, is_exact) = count_admission::count(platform, choice.encoding, texts).await?;
    let tokens = counts.iter().fold(besides, |sum, count| sum.saturating_add(*count));
    let each = are_several.then_some(counts.as_slice());
    let is_estimate = is_guessed || !is_exact || !choice.exact;
    Ok(tally::write_count(&source.model, choice.encoding.name(), tokens, each, is_estimate))
}
