//! Answers how many tokens a chat or a text has. It does not count itself, and calls no provider.

use super::{Body, Bridge, Host, Receipt, Request, Response, read_body};
use crate::adapters::openai::tally::{self, Subject};
use crate::error::{Error, Result};
use crate::policy::{route, tokens};

/// Answers a question for a count.
///
/// # Errors
/// As for a chat: 400, 404, 413; 503 if the vocabulary cannot be loaded.
pub(super) async fn answer<H: Host>(
    bridge: &Bridge,
    host: &H,
    request: Request<'_, H>,
    receipt: &mut Receipt,
) -> Result<Response<H>> {
    let body = read_body(bridge, host, request).await?;
    let question = tally::read(&body)?;
    drop(body);
    receipt.model = Some(question.model.chars().take(200).collect());
    let target = route::resolve(&bridge.config, &question.model)?;
    receipt.provider = Some(target.provider.name.clone());
    let choice = tokens::choose(&target.upstream);
    let (texts, besides, guessed, several) = match question.subject {
        Subject::Chat(tally) => (tally.texts, tally.besides, tally.guessed, false),
        Subject::Text(text) => (vec![text], 0, false, false),
        Subject::Texts(texts) => (texts, 0, false, true),
    };
    let counts = host.count(choice.encoding, texts).await.map_err(|_| unavailable())?;
    let tokens = counts.iter().fold(besides, |sum, count| sum.saturating_add(*count));
    let each = several.then_some(counts.as_slice());
    let body = tally::answer(&question.model, choice.encoding.name(), tokens, each, guessed || !choice.exact);
    Ok(Response::json(200, Body::Bytes(body)))
}

/// There is no vocabulary.
pub(super) fn unavailable() -> Error {
    let message = "The gateway's vocabulary could not be loaded: the files in build/assets belong to its deployment.";
    Error::gateway(503, "tokenizer_unavailable", message)
}
