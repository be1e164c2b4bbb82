//! A whole response: read in the provider's format and, unless the client speaks the same, written in the
//! client's, as a body or as a stream.

use super::forward::persist;
use super::metering::{Reported, ResponseUsage};
use super::platform::Platform;
use super::record::ResponseFacts;
use super::response_context::ResponseContext;
use crate::canonical::{ResponseEvent, Usage};
use crate::error::{Error, Result};
use crate::formats::summary::ResponseSummary;
use crate::formats::{ClientFormat, ProviderFormat, ResponseHead, Restream, RestreamOptions};
use crate::policy::tokens::estimate_from_bytes;

/// A whole response that has been read.
pub(super) struct WholeResponse {
    context: ResponseContext,
    /// Its events, if it is written in another format.
    events: Vec<ResponseEvent<'static>>,
    /// What is known of it. Its usage counts even where it came with an error.
    pub(super) summary: ResponseSummary,
    /// The client gets an estimate of the usage, because the provider reported none.
    pub(super) is_estimated: bool,
}

impl WholeResponse {
    /// Reads a body that came with a status of success. Reasoning state in it is stored before this returns.
    pub(super) async fn read<P: Platform>(platform: &P, mut context: ResponseContext, body: &[u8]) -> Self {
        context.head.completed = Some(platform.now() / 1000);
        if context.is_passthrough {
            let summary = (context.operation.summarize)(body);
            return Self { context, events: Vec::new(), summary, is_estimated: false };
        }
        let (mut summary, mut events) = (ResponseSummary::default(), Vec::new());
        let outcome = (context.format.whole)(body, &mut |mut event| {
            context.tools.restore(&mut event);
            if let ResponseEvent::ReasoningState { id, memory } = &event
                && context.carries_state
            {
                let sealed = context.cache.as_mut().and_then(|cache| cache.seal_for_client(id.clone(), memory));
                events.extend(sealed.map(ResponseEvent::owned));
                return;
            }
            summary.record(&event);
            if !matches!(event, ResponseEvent::ReasoningState { .. }) {
                events.push(event.owned());
            }
        });
        summary.end_body(outcome);
        let states = std::mem::take(&mut summary.reasoning_states);
        persist(platform, context.cache.as_mut().and_then(|cache| cache.seal_all(states))).await;
        let is_estimated = summary.error.is_none() && summary.usage.is_none();
        if is_estimated {
            let usage =
                Usage::estimated(estimate_from_bytes(context.prompt_length), estimate_from_bytes(summary.length));
            events.insert(0, ResponseEvent::Usage(usage));
        }
        Self { context, events, summary, is_estimated }
    }

    /// What it says of itself. One with an error is charged for the usage that it reports, if it does.
    pub(super) fn take_facts(&mut self) -> ResponseFacts {
        let summary = &mut self.summary;
        let is_charged = summary.error.is_none() || summary.usage.is_some();
        let usage = is_charged.then(|| ResponseUsage {
            reported: summary.usage.map_or(Reported::Nothing, Reported::Total),
            tier: summary.tier.take(),
            countable: std::mem::take(&mut summary.countable),
            length: summary.length,
        });
        ResponseFacts { served: summary.model.take(), usage, ..ResponseFacts::default() }
    }

    /// The body for the client; `None` if it gets the provider's.
    pub(super) fn into_body(self) -> Option<Vec<u8>> {
        let context = &self.context;
        (!context.is_passthrough).then(|| (context.client.whole)(&context.head, &self.events))
    }

    /// The response as a stream, for a provider that ignores that one was asked for. `body` is the
    /// provider's.
    ///
    /// # Errors
    /// 502 if its JSON is beyond what is read here (half a surrogate, a number without bounds, hundreds of
    /// levels).
    pub(super) fn into_stream(self, body: &[u8], options: RestreamOptions<'_>) -> Result<Vec<u8>> {
        let ResponseContext { client, format, is_passthrough, .. } = self.context;
        match client.restream {
            Restream::Events if is_passthrough => Ok(encode(client, self.context.head, &events_of(format, body))),
            Restream::Events => Ok(encode(client, self.context.head, &self.events)),
            Restream::Document(convert) => {
                let written = self.into_body();
                convert(written.as_deref().unwrap_or(body), options).ok_or_else(|| {
                    let message =
                        "The provider answered with a whole answer that cannot be told as the stream that was asked for.";
                    Error::upstream(502, "upstream_invalid_response", message)
                })
            }
        }
    }
}

fn events_of(format: &ProviderFormat, body: &[u8]) -> Vec<ResponseEvent<'static>> {
    let mut events = Vec::new();
    // The body has been read without an error before.
    let _ = (format.whole)(body, &mut |event| events.push(event.owned()));
    events
}

fn encode(client: &ClientFormat, head: ResponseHead, events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let (mut encoder, mut out) = ((client.stream)(head), Vec::new());
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(None, &mut out);
    out
}
