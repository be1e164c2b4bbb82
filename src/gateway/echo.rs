//! Responses that the gateway gives itself, for the `echo` provider.

use std::rc::Rc;

use super::deadlines::Deadlines;
use super::dispatch::meter;
use super::pair::{Manner, sparse};
use super::platform::Platform;
use super::record::RequestRecord;
use super::relay::{StreamOptions, StreamRelay};
use super::translate::Translate;
use super::{Body, Bridge, Response};
use crate::canonical::ResponseEvent;
use crate::config::Millis;
use crate::error::Result;
use crate::formats::envelope::RequestEnvelope;
use crate::formats::openai::{inbound, response, stream};
use crate::formats::{self, ResponseHead, StreamEncoder, echo};
use crate::policy::routing::Target;

/// Pieces of a response that the gateway gives itself, each with the pause before it, in milliseconds.
pub type EchoScript = std::vec::IntoIter<(Millis, Vec<u8>)>;

/// Answers without a provider.
///
/// # Errors
/// 400 for what the client's format does not allow.
pub(super) fn respond<H: Platform>(
    bridge: &Rc<Bridge>,
    host: &H,
    (ask, head): (&RequestEnvelope<'_>, ResponseHead),
    target: &Target<'_>,
    manner: &Manner<'_>,
    receipt: &mut RequestRecord,
) -> Result<Response<H>> {
    let steps = echo::answer(&ask.operation.read_conversation(sparse(&ask.document)?)?, &target.model.demo);
    let chats = manner.chats();
    receipt.meter = Some(meter(target, &Rc::default(), host.now()));
    if let Some(usage) =
        steps.iter().find_map(|(_, event)| if let ResponseEvent::Usage(usage) = event { Some(*usage) } else { None })
    {
        receipt.charge(Some(usage), None, &[], 0);
    }
    if !ask.delivery.is_stream() {
        let events: Vec<ResponseEvent<'_>> = steps.into_iter().map(|(_, event)| event).collect();
        let body = if chats {
            response::write(&head, Some(echo::FINGERPRINT), &events)
        } else {
            (manner.client.whole)(&head, &events)
        };
        return Ok(Response::json(200, Body::Bytes(body)));
    }
    receipt.status = 200;
    let encode: Box<dyn StreamEncoder> = if chats {
        Box::new(stream::Encoder::new(head, Some(echo::FINGERPRINT)))
    } else {
        (manner.client.stream)(head)
    };
    let frames = frames(encode, &steps, &receipt.told_cost());
    let watch = Deadlines::new(target.model.clocks, 0, receipt.started, host.now());
    let wanted = StreamOptions { usage: Some(true), cost: false, choices: 1 };
    let relay = match formats::provider_format(manner.client.name).filter(|_| !chats) {
        // Our own words are listened to as if a provider said them.
        Some(own) => {
            let encode = (manner.client.stream)(ResponseHead::default());
            let listen = Translate::new((own.stream)(), encode, true, false);
            StreamRelay::listening(Rc::clone(bridge), target.index, watch, (listen, None), receipt.clone())
        }
        None => StreamRelay::new(Rc::clone(bridge), target.index, watch, wanted, receipt.clone()),
    };
    Ok(Response::event_stream(Body::Told(frames.into_iter(), relay)))
}

/// An answer of the gateway's own as a stream: each piece with the pause before it, the end in one piece.
fn frames(
    mut stream: Box<dyn StreamEncoder>,
    steps: &[(Millis, ResponseEvent<'_>)],
    cost: &str,
) -> Vec<(Millis, Vec<u8>)> {
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
    inbound::tell_cost(stream.kept_usage(), cost, true, &mut last);
    frames.push((0, last));
    frames
}
