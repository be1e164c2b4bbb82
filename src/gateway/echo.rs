//! Responses that the gateway gives itself, for the `echo` provider.

use std::rc::Rc;

use super::attempt::{Attempt, sparse};
use super::deadlines::Deadlines;
use super::dispatch::{head, meter, unknown_format};
use super::platform::Platform;
use super::reader::{ResponseReader, StreamOptions};
use super::record::RequestRecord;
use super::relay::StreamRelay;
use super::writer::ResponseWriter;
use super::{Body, Bridge, Response, StreamBody};
use crate::canonical::ResponseEvent;
use crate::config::{Millis, Streaming};
use crate::error::Result;
use crate::formats::{self, ClientFormat, ResponseHead, UsageReport, echo};

/// Pieces of a response that the gateway gives itself, each with the pause before it, in milliseconds.
pub type EchoScript = std::vec::IntoIter<(Millis, Vec<u8>)>;

/// Answers without a provider.
///
/// # Errors
/// 400 for what the client's format does not allow.
pub(super) fn respond<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    attempt: &Attempt<'_, '_, '_>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let (ask, target, client) = (attempt.envelope, attempt.target, attempt.head.client);
    let (model, fingerprint) = (target.upstream.clone().into_owned(), Some(echo::FINGERPRINT));
    let head = ResponseHead { model, fingerprint, ..head(host, ask) };
    let steps = echo::answer(&ask.operation.read_conversation(sparse(&ask.document)?)?, &target.model.echo);
    receipt.meter = Some(meter(target, &Rc::default(), host.now()));
    if let Some(usage) =
        steps.iter().find_map(|(_, event)| if let ResponseEvent::Usage(usage) = event { Some(*usage) } else { None })
    {
        receipt.charge(Some(usage), None, &[], 0);
    }
    if !ask.delivery.is_stream() {
        let events: Vec<ResponseEvent<'_>> = steps.into_iter().map(|(_, event)| event).collect();
        return Ok(Response::json(200, Body::Bytes((client.whole)(&head, &events))));
    }
    receipt.status = 200;
    let frames = frames(client, head, &steps, &receipt.told_cost());
    let watch = Deadlines::new(target.model.clocks, 0, receipt.started, host.now());
    // What is streamed is read as if a provider sent it.
    let format = formats::provider_format(client.name).ok_or_else(unknown_format)?;
    let text = bridge.config.logging.fields.shows("response");
    let options = StreamOptions { usage: Some(true), cost: false, choices: 1, text };
    let reader = ResponseReader::tapped(format, &Streaming::default(), options);
    let channel = (reader, ResponseWriter::passthrough(client));
    let relay = StreamRelay::new(Rc::clone(bridge), target.index, watch, channel, receipt.clone());
    Ok(Response::event_stream(Body::Stream(StreamBody::script(frames.into_iter(), relay))))
}

/// An answer of the gateway's own as a stream: each piece with the pause before it, the end in one piece.
fn frames(
    client: &ClientFormat,
    head: ResponseHead,
    steps: &[(Millis, ResponseEvent<'_>)],
    cost: &str,
) -> Vec<(Millis, Vec<u8>)> {
    let mut stream = (client.stream)(head);
    let (mut frames, mut last) = (Vec::with_capacity(steps.len()), Vec::new());
    for (pause, event) in steps {
        if matches!(event, ResponseEvent::Finish { .. } | ResponseEvent::Usage(_) | ResponseEvent::End) {
            stream.event(event, &mut last);
            continue;
        }
        let mut frame = Vec::new();
        stream.event(event, &mut frame);
        frames.push((*pause, frame));
    }
    stream.finish(None, &mut last);
    if let Some(json) = stream.kept_usage() {
        (client.insert_cost)(UsageReport { json, cost, is_complete: true }, &mut last);
    }
    frames.push((0, last));
    frames
}
