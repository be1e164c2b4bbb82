//! Writes a whole response for a client.
//! Source: the OpenAI API reference, "The response object".

use super::super::stream::Encoder;
use crate::canonical::ResponseEvent;
use crate::formats::client_format::ResponseHead;
use crate::formats::stream::StreamEncoder;

/// Writes a whole response: what its stream would end with.
pub(crate) fn write(head: &ResponseHead, events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let (mut encoder, mut ignored) = (Encoder::new(head.clone()), Vec::new());
    for event in events {
        encoder.event(event, &mut ignored);
        ignored.clear();
    }
    encoder.into_response().into_bytes()
}
