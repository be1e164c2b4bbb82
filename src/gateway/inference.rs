//! A call of a model, from its body to its response.

use std::rc::Rc;

use super::admission::{self, Caller};
use super::attempt::Attempt;
use super::bridge::Bridge;
use super::dispatch::{self, Lane, Prepared};
use super::failure::Failure;
use super::pair;
use super::platform::Platform;
use super::record::{Outcome, RequestRecord};
use super::request::AdmittedRequest;
use super::request_body::read_body;
use super::request_head::RequestHead;
use super::response::Response;
use super::settle::FinalCharge;
use super::target::{ResolvedRequest, resolve_target};
use super::{count, embed, estimate};
use crate::error::{Error, Result};
use crate::formats::ClientFormat;
use crate::formats::operation::{Operation, OperationKind};
use crate::wire::dollars::dollars;

/// Handles a call of a model.
///
/// # Errors
/// 400, 401, 403, 404, 413, 429; 502, 503 or 504 if the provider gives no answer; or the provider's own refusal.
pub async fn call_model<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    admitted: AdmittedRequest<'_, H>,
    operation: &'static Operation,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    match operation.kind {
        OperationKind::Generate | OperationKind::Embed => {
            run_inference(bridge, host, admitted, operation, receipt).await
        }
        OperationKind::Count => count::answer(bridge, host, admitted, operation, receipt).await,
    }
}

/// A call that is billed.
async fn run_inference<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    admitted: AdmittedRequest<'_, H>,
    task: &'static Operation,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let AdmittedRequest { request, client, caller } = admitted;
    let head = RequestHead::new(client, request.header);
    let body = read_body(bridge, host, request).await?;
    let resolved = resolve(bridge, host, &body, (client, task), &caller, receipt).await?;
    let ResolvedRequest { envelope, target, mode } = resolved;
    let mut attempt = Attempt::new(&envelope, &target, &head, mode, host.now());
    let permit = estimate::admit((bridge, host), &caller, &mut attempt, receipt).await?;
    let headers = permit.headers();
    receipt.permit = Some(permit);
    host.log(&receipt.start_event(host.now(), attempt.document().value(task.question_field)));
    let prepared = dispatch::begin(bridge, host, attempt, receipt).await;
    drop(envelope);
    let answer = match prepared {
        // From here on, nothing is held of the client's body but what goes to the provider.
        Ok(Prepared::Call(exchange)) => {
            let lane = Lane { bridge, host, target: &target };
            dispatch::answer(lane, exchange, body.into_room(), receipt).await
        }
        Ok(Prepared::Embedding(exchange)) => {
            embed::answer(bridge, host, exchange, body.into_room(), &target, receipt).await
        }
        Ok(Prepared::Answered(response)) => Ok(response),
        Err(error) => Err(error),
    };
    let mut response = answer.map_err(|error| with_headers(error, &headers))?;
    let dropped = receipt.dropped.as_ref().map(|dropped| dropped.header.clone());
    if !response.is_stream() {
        receipt.status = response.status;
        if host.client_left() {
            receipt.outcome = Outcome::ClientClosed;
        }
        response.headers.extend(receipt.server_timing(host.now()).map(|timing| ("server-timing", timing)));
        // An estimate may yet become a better one.
        let cost = receipt.cost.filter(|_| !receipt.estimated);
        response.headers.extend(cost.map(|cost| ("x-llm-bridge-cost", dollars(cost))));
        settle(bridge, host, receipt, None, response.text());
    }
    response.headers.extend(headers);
    // A receipt that has been settled has gone; what was dropped is told all the same.
    response.headers.extend(dropped.map(|dropped| (pair::DROPPED, dropped)));
    Ok(response)
}

/// Reads a request and finds its target. A caller learns of a fault only once its key is known to be good.
///
/// # Errors
/// As [`resolve_target`]; 401 or 503 instead, if the key is not good or its account cannot be reached.
pub(super) async fn resolve<'b, 'a, H: Platform>(
    bridge: &'b Bridge,
    host: &H,
    body: &'a [u8],
    (client, operation): (&ClientFormat, &'static Operation),
    caller: &Caller,
    receipt: &mut RequestRecord,
) -> Result<ResolvedRequest<'b, 'a>> {
    let resolved = resolve_target(bridge, body, client, operation, receipt);
    if resolved.is_err() {
        admission::check(bridge, host, caller).await?;
    }
    resolved
}

fn with_headers(error: Error, headers: &[(&'static str, String)]) -> Error {
    headers.iter().fold(error, |error, (name, value)| error.with_header(name, value.clone()))
}

/// Settles a request that failed before its response began. One that is refused costs nothing, unless its provider may bill for it.
pub fn settle_failure<H: Platform>(bridge: &Rc<Bridge>, host: &H, receipt: &mut RequestRecord, error: &Error) {
    receipt.status = error.status();
    let left = host.client_left();
    receipt.outcome = if left { Outcome::ClientClosed } else { Outcome::Refused };
    let may_be_billed = left || Failure::of(error, receipt.failure_stage()).billable;
    match receipt.usage {
        None if may_be_billed => receipt.charge(None, None, &[], 0),
        None => receipt.cost = Some(0),
        Some(_) => {}
    }
    if may_be_billed {
        receipt.charge_unheard(host.now());
    }
    settle(bridge, host, receipt, Some(error.clone()).filter(|_| !left), None);
}

fn settle<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    receipt: &mut RequestRecord,
    error: Option<Error>,
    answer: Option<&str>,
) {
    receipt.finished = host.now();
    let text = answer.filter(|_| bridge.config.logging.fields.shows("response")).map(str::to_owned);
    let closed = RequestRecord { request_id: receipt.request_id.clone(), ..std::mem::take(receipt) };
    receipt.request_id.clone_from(&closed.request_id);
    super::settle::settle(host, FinalCharge::new(closed, error, text));
}
