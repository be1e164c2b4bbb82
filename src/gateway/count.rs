//! Answers how many tokens a prompt has, in the client's own format: the provider's count where it has one, else an estimate.

use super::attempt::{Attempt, Mode, sparse};
use super::dispatch::send;
use super::gather::gather;
use super::inference::resolve;
use super::pair::{DROPPED, ESTIMATED};
use super::platform::{Platform, ProviderRequest};
use super::request_head::RequestHead;
use super::target::{ResolvedRequest, names};
use super::{AdmittedRequest, Body, Bridge, MemoryReservation, RequestRecord, Response, count_admission, read_body};
use crate::error::{Error, Result};
use crate::formats::envelope::RequestEnvelope;
use crate::formats::operation::Operation;
use crate::formats::tally::TokenTally;
use crate::formats::{self, CountCall, ProviderFormat, WriteTarget};
use crate::policy::routing::Target;
use crate::policy::tokens;

/// Answers a question for a count. It costs nothing and leaves no receipt, but is admitted inside the key's limits.
///
/// # Errors
/// As for a chat; 503 if the vocabulary cannot be loaded.
pub async fn answer<H: Platform>(
    bridge: &Bridge,
    host: &H,
    admitted: AdmittedRequest<'_, H>,
    operation: &'static Operation,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let AdmittedRequest { request, client, caller } = admitted;
    let head = RequestHead::new(client, request.header);
    let question = head.client.write_count.ok_or_else(|| unsupported("Clients of this format do not count."))?;
    let body = read_body(bridge, host, request).await?;
    let resolved = resolve(bridge, host, &body, (client, operation), &caller, receipt).await?;
    let models = names(&resolved.envelope, &resolved.target);
    let subject = count_admission::CountSubject { models, body: body.len() as u64 };
    let leave = count_admission::admit(bridge, host, &caller, subject).await?;
    let ResolvedRequest { envelope, target, mode } = resolved;
    // While somebody is waited for, nothing is held of the client's body.
    let answer = match Counter::of(mode) {
        Some(counter) => {
            match counter.call(bridge, &Attempt::new(&envelope, &target, &head, mode, host.now()), receipt) {
                Ok(call) => {
                    drop(envelope);
                    counter.ask(bridge, host, (call, body.into_room()), (&target, question), receipt).await
                }
                Err(error) => Err(error),
            }
        }
        None => match texts(&envelope, &target) {
            Ok(tally) => {
                drop(envelope);
                estimate(host, tally, body.into_room(), &target, question).await
            }
            Err(error) => Err(error),
        },
    };
    count_admission::release(host, leave).await;
    answer
}

/// A provider that counts.
struct Counter {
    format: &'static ProviderFormat,
    count: &'static CountCall,
    /// The client gets the provider's bytes.
    passes: bool,
}

impl Counter {
    /// The counter of a request's provider; `None` if that does not count.
    fn of(mode: Mode) -> Option<Self> {
        let (Mode::Passthrough(format) | Mode::Translate(format)) = mode else { return None };
        Some(Self { format, count: format.count.as_ref()?, passes: mode.is_passthrough() })
    }

    /// The call of the provider.
    fn call(
        &self,
        bridge: &Bridge,
        attempt: &Attempt<'_, '_, '_>,
        receipt: &mut RequestRecord,
    ) -> Result<ProviderRequest> {
        let (envelope, target) = (attempt.envelope, attempt.target);
        let key = bridge.account(target.index).key(&target.provider.name)?;
        let written = if self.passes {
            attempt.pass_through()
        } else {
            let request = envelope.operation.read_conversation(sparse(&envelope.document)?)?;
            let model = WriteTarget { model: &target.upstream, max_output: None, limit_field: None };
            let written = (self.count.write)(&request, model)?;
            attempt.check_dropped(&written)?;
            written
        };
        let call;
        (call, receipt.dropped) = attempt.request(written, self.format, key);
        Ok(call)
    }

    /// Asks the provider. `room`: what is reserved for the request.
    async fn ask<H: Platform>(
        &self,
        bridge: &Bridge,
        host: &H,
        (call, room): (ProviderRequest, MemoryReservation),
        (target, question): (&Target<'_>, fn(u64) -> Vec<u8>),
        receipt: &mut RequestRecord,
    ) -> Result<Response<H>> {
        room.hold(call.body.len());
        let answer = send(bridge, host, (call, Some(room)), target, self.format.refusal, receipt).await?;
        let (bytes, buffer) = gather(bridge, host, answer, target, receipt).await?;
        let tokens = (self.count.read)(&bytes).map_err(|error| bridge.redact(target.index, error))?;
        let body = if self.passes { Body::gathered(bytes, buffer) } else { Body::Bytes(question(tokens)) };
        let mut response = Response::json(200, body);
        response.headers.extend(receipt.dropped.take().map(|dropped| (DROPPED, dropped.header)));
        Ok(response)
    }
}

/// The texts of the chat that it would be.
fn texts(ask: &RequestEnvelope<'_>, target: &Target<'_>) -> Result<TokenTally> {
    let request = ask.operation.read_conversation(sparse(&ask.document)?)?;
    formats::tally_conversation(&request, &target.upstream)
}

/// Counts texts. `room`: what is reserved for the request.
async fn estimate<H: Platform>(
    host: &H,
    tally: TokenTally,
    room: MemoryReservation,
    target: &Target<'_>,
    question: fn(u64) -> Vec<u8>,
) -> Result<Response<H>> {
    room.hold(tally.texts.iter().map(String::len).sum());
    let (counts, _) = count_admission::count(host, tokens::choose(&target.upstream).encoding, tally.texts).await?;
    let tokens = counts.iter().fold(tally.besides, |sum, count| sum.saturating_add(*count));
    let mut response = Response::json(200, Body::Bytes(question(tokens)));
    response.headers.push((ESTIMATED, "true".to_owned()));
    Ok(response)
}

fn unsupported(message: &str) -> Error {
    Error::caller(400, "unsupported_endpoint", message)
}
