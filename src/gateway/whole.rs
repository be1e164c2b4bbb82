//! A whole response: read in the provider's format and, unless the client speaks the same, written in the client's, as a body or as a stream.

use super::pair::Pair;
use super::platform::Platform;
use crate::canonical::ResponseEvent;
use crate::error::{Error, Result};
use crate::formats::summary::ResponseSummary;
use crate::formats::{ClientFormat, ProviderFormat, ResponseHead, Restream, RestreamOptions};

/// A whole response that has been read.
pub(super) struct WholeResponse<'m> {
    pair: Pair<'m>,
    /// Its events, if it is written in another format.
    events: Vec<ResponseEvent<'static>>,
    /// What is known of it. Its usage counts even where it came with an error.
    pub(super) summary: ResponseSummary,
}

impl<'m> WholeResponse<'m> {
    /// Reads a body that came with a status of success. Reasoning state in it is stored before this returns.
    pub(super) async fn read<H: Platform>(host: &H, mut pair: Pair<'m>, body: &[u8]) -> Self {
        if pair.native {
            let summary = (pair.operation.summarize)(body);
            return Self { pair, events: Vec::new(), summary };
        }
        let (mut summary, mut events) = (ResponseSummary::default(), Vec::new());
        let outcome = (pair.upstream.whole)(body, &mut |event| {
            summary.record(&event);
            events.push(event.owned());
        });
        summary.end_body(outcome);
        let states = std::mem::take(&mut summary.reasoning_states);
        if let Some(unstored) = pair.safe.as_mut().and_then(|cache| cache.keep(states)) {
            unstored.keep(host).await;
        }
        Self { pair, events, summary }
    }

    /// The body for the client; `None` if it gets the provider's.
    pub(super) fn into_body(self) -> Option<Vec<u8>> {
        let pair = &self.pair;
        (!pair.native).then(|| (pair.client().whole)(&pair.head, &self.events))
    }

    /// The response as a stream, for a provider that ignores that one was asked for. `body` is the provider's.
    ///
    /// # Errors
    /// 502 if its JSON is beyond what is read here (half a surrogate, a number without bounds, hundreds of levels).
    pub(super) fn into_stream(self, body: &[u8], options: RestreamOptions<'_>) -> Result<Vec<u8>> {
        let Pair { upstream, native, .. } = self.pair;
        let client = self.pair.client();
        match client.restream {
            Restream::Events if native => Ok(encode(client, self.pair.head, &events_of(upstream, body))),
            Restream::Events => Ok(encode(client, self.pair.head, &self.events)),
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
