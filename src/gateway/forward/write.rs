//! The body of a streamed response, and writing to its client.

use std::borrow::Cow;
use std::cell::Cell;

use super::{events, long, script};
use crate::config::Millis;
use crate::gateway::echo::EchoScript;
use crate::gateway::long_body::LongBodyRelay;
use crate::gateway::platform::{Broken, CallError, Platform};
use crate::gateway::relay::{StreamEnd, StreamRelay};
use crate::gateway::settle::settle;
use crate::gateway::wait::{note_received, while_client_stays, within};

/// The body of a streamed response. Nothing of it flows before the platform has made the response: then there is somebody who takes it.
pub struct StreamBody<P: Platform>(Source<P>);

enum Source<P: Platform> {
    /// A provider's events, and what was already read of them.
    Events { stream: P::Stream, beginning: Vec<u8>, relay: StreamRelay },
    /// A long whole response, and what was already read of it.
    Long { stream: P::Stream, beginning: Vec<u8>, relay: LongBodyRelay },
    /// The gateway's own events.
    Script { script: EchoScript, relay: StreamRelay },
}

impl<P: Platform> StreamBody<P> {
    /// A provider's events. `beginning`: what was already read of them.
    pub(in crate::gateway) fn events(stream: P::Stream, beginning: Vec<u8>, relay: StreamRelay) -> Self {
        Self(Source::Events { stream, beginning, relay })
    }

    /// A long whole response. `beginning`: what was already read of it.
    pub(in crate::gateway) fn long(stream: P::Stream, beginning: Vec<u8>, relay: LongBodyRelay) -> Self {
        Self(Source::Long { stream, beginning, relay })
    }

    /// The gateway's own events.
    pub(in crate::gateway) fn script(script: EchoScript, relay: StreamRelay) -> Self {
        Self(Source::Script { script, relay })
    }

    /// Whether it consists of server-sent events; if not, of the bytes of a whole response.
    pub fn is_events(&self) -> bool {
        !matches!(self.0, Source::Long { .. })
    }

    /// Its length in bytes, if it is known.
    pub fn length(&self, platform: &P) -> Option<usize> {
        match &self.0 {
            Source::Long { stream, .. } => platform.length(stream),
            Source::Events { .. } | Source::Script { .. } => None,
        }
    }

    /// Writes it to its end, and settles the request.
    pub async fn write(self, platform: P, sink: P::Sink) {
        match self.0 {
            Source::Events { stream, beginning, relay } => {
                events::Forward::new(platform, stream, sink, relay).run(beginning).await;
            }
            Source::Long { stream, beginning, relay } => long::forward(&platform, stream, beginning, relay, sink).await,
            Source::Script { script, relay } => script::play(&platform, script, relay, sink).await,
        }
    }

    /// Ends a response that could not be made: the provider's call is aborted, and the request settled.
    pub fn abandon(self, platform: &P) {
        match self.0 {
            Source::Events { stream, relay, .. } => {
                platform.abort(&stream);
                abandon(platform, relay);
            }
            Source::Script { relay, .. } => abandon(platform, relay),
            Source::Long { stream, relay, .. } => {
                platform.abort(&stream);
                settle(platform, relay.close(StreamEnd::Broken, false, platform.now()));
            }
        }
    }
}

fn abandon<P: Platform>(platform: &P, mut relay: StreamRelay) {
    relay.finish(StreamEnd::Broken);
    settle(platform, relay.close(StreamEnd::Broken, platform.now()));
}

/// Writes to the client, as long as it stays.
pub(super) async fn write<P: Platform>(platform: &P, sink: &mut P::Sink, bytes: &[u8]) -> Result<(), Broken> {
    while_client_stays(platform, platform.write(sink, bytes, &Cell::new(0))).await
}

/// Writes to the client, which may take no more than `left` milliseconds. `received`: how much of the response has come, in bytes.
pub(super) async fn write_within<P: Platform>(
    platform: &P,
    sink: &mut P::Sink,
    bytes: &[u8],
    (left, received): (Millis, u64),
) -> Result<(), StreamEnd> {
    note_received(platform, received);
    match within(platform, left, write(platform, sink, bytes)).await {
        Ok(()) => Ok(()),
        Err(CallError::TimedOut) => Err(StreamEnd::TimedOut),
        Err(_) => Err(StreamEnd::ClientLeft),
    }
}

/// Writes the last bytes and ends the response.
pub(super) async fn write_end<P: Platform>(platform: &P, sink: &mut P::Sink, bytes: &[u8]) {
    let _ = write(platform, sink, bytes).await;
    let _ = while_client_stays(platform, platform.close(sink)).await;
}

/// Takes bytes of a provider's stream: gives those that may pass, and logs them if pieces of streams are logged.
pub(super) fn take<'b, P: Platform>(platform: &P, relay: &mut StreamRelay, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    let now = platform.now();
    let passed = relay.pass(bytes, now);
    relay.chunk_event(bytes, now).iter().for_each(|event| platform.log(event));
    passed
}
