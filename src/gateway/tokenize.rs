//! Answers how many tokens a chat or a text has. It does not count itself, and calls no provider.

use super::{Body, Bridge, Caller, Host, Receipt, Request, Response, counting, permit, read_body};
use crate::adapters::openai::tally::{self, Question, Subject};
use crate::error::{Error, Result};
use crate::policy::route::Target;
use crate::policy::{route, tokens};

/// Answers a question for a count. It costs nothing and leaves no receipt, but is admitted inside the key's limits.
///
/// # Errors
/// As for a chat: 400, 401, 403, 404, 413, 429; 503 if the vocabulary cannot be loaded.
pub(super) async fn answer<H: Host>(
    bridge: &Bridge,
    host: &H,
    request: Request<'_, H>,
    caller: &Caller,
    receipt: &mut Receipt,
) -> Result<Response<H>> {
    let bytes = read_body(bridge, host, request).await?;
    let (length, read) = (bytes.len(), read(bridge, &bytes, receipt));
    // From here on, nothing is held of the body but its texts.
    let room = bytes.into_room();
    room.hold(length);
    // Nobody is told more than that the key is wrong, before it is known to be right.
    if read.is_err() {
        permit::check(bridge, host, caller).await?;
    }
    let (question, target) = read?;
    let models = vec![question.model.clone(), format!("{}/{}", target.provider.name, target.upstream)];
    let subject = counting::Subject { models, body: length as u64 };
    let leave = counting::admit(bridge, host, caller, subject).await?;
    let answer = count(host, question, &target).await;
    counting::release(host, leave).await;
    Ok(Response::json(200, Body::Bytes(answer?)))
}

fn read<'b>(bridge: &'b Bridge, body: &[u8], receipt: &mut Receipt) -> Result<(Question, Target<'b>)> {
    let question = tally::read(body)?;
    receipt.model = Some(question.model.chars().take(200).collect());
    let target = route::resolve(&bridge.config, &question.model)?;
    receipt.provider = Some(target.provider.name.clone());
    Ok((question, target))
}

async fn count<H: Host>(host: &H, question: Question, target: &Target<'_>) -> Result<Vec<u8>> {
    let choice = tokens::choose(&target.upstream);
    let (texts, besides, guessed, several) = match question.subject {
        Subject::Chat(tally) => (tally.texts, tally.besides, tally.guessed, false),
        Subject::Text(text) => (vec![text], 0, false, false),
        Subject::Texts(texts) => (texts, 0, false, true),
    };
    let (counts, exact) = counting::count(host, choice.encoding, texts).await?;
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
