//! Answers how many tokens a chat or a text has. It does not count itself, and calls no provider.

use super::{AdmittedRequest, Body, Bridge, Platform, RequestRecord, Response, admission, count_admission, read_body};
use crate::error::{Error, Result};
use crate::formats::tally::{self, Subject, TallySource};
use crate::policy::routing::Target;
use crate::policy::{routing, tokens};

/// Answers a question for a count. It costs nothing and leaves no receipt, but is admitted inside the key's limits.
///
/// # Errors
/// As for a chat: 400, 401, 403, 404, 413, 429; 503 if the vocabulary cannot be loaded.
pub async fn answer<H: Platform>(
    bridge: &Bridge,
    host: &H,
    admitted: AdmittedRequest<'_, H>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let AdmittedRequest { request, caller, .. } = admitted;
    let bytes = read_body(bridge, host, request).await?;
    let (length, read) = (bytes.len(), read(bridge, &bytes, receipt));
    // From here on, nothing is held of the body but its texts.
    let room = bytes.into_room();
    room.hold(length);
    // Nobody is told more than that the key is wrong, before it is known to be right.
    if read.is_err() {
        admission::check(bridge, host, &caller).await?;
    }
    let (question, target) = read?;
    let models = vec![question.model.clone(), format!("{}/{}", target.provider.name, target.upstream)];
    let subject = count_admission::CountSubject { models, body: length as u64 };
    let leave = count_admission::admit(bridge, host, &caller, subject).await?;
    let answer = count(host, question, &target).await;
    count_admission::release(host, leave).await;
    Ok(Response::json(200, Body::Bytes(answer?)))
}

fn read<'b>(bridge: &'b Bridge, body: &[u8], receipt: &mut RequestRecord) -> Result<(TallySource, Target<'b>)> {
    let question = tally::read(body)?;
    receipt.model = Some(question.model.chars().take(200).collect());
    let target = routing::resolve(&bridge.config, &question.model)?;
    receipt.provider = Some(target.provider.name.clone());
    Ok((question, target))
}

async fn count<H: Platform>(host: &H, question: TallySource, target: &Target<'_>) -> Result<Vec<u8>> {
    let choice = tokens::choose(&target.upstream);
    let (texts, besides, guessed, several) = match question.subject {
        Subject::Chat(tally) => (tally.texts, tally.besides, tally.guessed, false),
        Subject::Text(text) => (vec![text], 0, false, false),
        Subject::Texts(texts) => (texts, 0, false, true),
    };
    let (counts, exact) = count_admission::count(host, choice.encoding, texts).await?;
    let tokens = counts.iter().fold(besides, |sum, count| sum.saturating_add(*count));
    let each = several.then_some(counts.as_slice());
    let estimated = guessed || !exact || !choice.exact;
    Ok(tally::answer(&question.model, choice.encoding.name(), tokens, each, estimated))
}

/// There is no vocabulary.
pub(super) fn unavailable() -> Error {
    let message = "The gateway's vocabulary could not be loaded: the files in build/assets belong to its deployment.";
    Error::gateway(503, "tokenizer_unavailable", message)
}
