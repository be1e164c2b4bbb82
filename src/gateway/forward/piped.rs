//! The platform pipes a stream to the client; the gateway reads a copy of it now and then.

use std::pin::pin;

use futures::future::{Either, select};

use super::events::{Forward, Next};
use super::write::push;
use crate::config::Millis;
use crate::gateway::deadlines::TimerEvent;
use crate::gateway::platform::{Piece as _, Platform};
use crate::gateway::relay::StreamEnd;
use crate::gateway::wait::{check_in, note_received, sleep, while_client_stays};

/// The copy is read this often, or more often where a deadline is short, in milliseconds; in between, bytes
/// pass without waking the gateway.
const POLL_INTERVAL: Millis = 1_000;
/// After a stream that ended well, the rest of the copy is there already, in milliseconds.
const REST: Millis = 1_000;
/// After a break, the rest of the copy comes within this time or never.
const REST_AFTER_BREAK: Millis = 20;

/// How a pipe ended.
enum PipeEnd {
    /// With the stream.
    End(StreamEnd),
    /// The gateway stopped it, because nothing flowed for long.
    Silence,
}

impl<P: Platform> Forward<'_, P> {
    /// Has the platform pipe the rest of the stream.
    pub(super) async fn forward_piped(&mut self) -> StreamEnd {
        match self.pipe().await {
            PipeEnd::End(end) => end,
            PipeEnd::Silence => self.forward_after_silence().await,
        }
    }

    async fn pipe(&mut self) -> PipeEnd {
        let Ok(mut pipe) = self.platform.pipe(&mut self.stream, &mut self.sink) else {
            return PipeEnd::End(StreamEnd::Broken);
        };
        loop {
            let next = match select(&mut pipe, pin!(self.next())).await {
                Either::Left((piped, _)) => Err(piped),
                Either::Right((next, _)) => Ok(next),
            };
            let pause = match next {
                Err(piped) => return self.piped(piped.is_ok()).await,
                Ok(Next::Bytes(bytes)) => self.sample(&bytes),
                Ok(Next::Timer(TimerEvent::Nothing)) => 0,
                Ok(next) => return self.end_pipe(pipe, &next).await,
            };
            self.is_read = pause == 0;
            if pause > 0
                && let Either::Left((piped, _)) = select(&mut pipe, self.platform.timer(pause)).await
            {
                return self.piped(piped.is_ok()).await;
            }
        }
    }

    /// Reads a piece of the copy. Gives the time until the next look, in milliseconds.
    fn sample(&mut self, bytes: &[u8]) -> Millis {
        push(self.platform, self.record, &mut self.relay, bytes);
        self.relay.sent(self.platform.now());
        check_in(self.platform, || Some(self.relay.received()));
        if self.platform.may_have_more(&self.stream) {
            return 0;
        }
        POLL_INTERVAL.min(self.relay.wait(self.platform.now()) / 4)
    }

    async fn end_pipe(&mut self, mut pipe: P::Pipe, why: &Next) -> PipeEnd {
        match why {
            Next::Closed | Next::Broken => match self.drain(&mut pipe).await {
                Some(is_whole) => self.piped(is_whole).await,
                None => self.stuck(pipe),
            },
            Next::Timer(TimerEvent::KeepAlive) => {
                self.platform.stop(&pipe);
                if self.drain(&mut pipe).await.is_some() { PipeEnd::Silence } else { self.stuck(pipe) }
            }
            Next::ClientLeft => {
                self.platform.stop(&pipe);
                self.piped(false).await
            }
            Next::Timer(TimerEvent::Over | TimerEvent::Nothing) | Next::Bytes(_) => self.stuck(pipe),
        }
    }

    /// Waits until a pipe has written what it holds: whether it ended well, which it does not if the client
    /// has disconnected; nothing if the time of the whole is up before.
    async fn drain(&self, pipe: &mut P::Pipe) -> Option<bool> {
        note_received(self.platform, self.relay.received());
        let left = self.relay.left(self.platform.now());
        let drained = while_client_stays(self.platform, pipe);
        match select(pin!(drained), pin!(sleep(self.platform, left))).await {
            Either::Left((drained, _)) => Some(drained.is_ok()),
            Either::Right(_) => None,
        }
    }

    /// Time is up while the pipe still holds something.
    fn stuck(&mut self, pipe: P::Pipe) -> PipeEnd {
        self.stuck = Some(pipe);
        PipeEnd::End(StreamEnd::TimedOut)
    }

    /// The pipe has ended: reads the rest of the copy.
    async fn piped(&mut self, is_whole: bool) -> PipeEnd {
        let patience = if is_whole { REST } else { REST_AFTER_BREAK };
        if !is_whole && self.broken() == StreamEnd::ClientLeft && self.relay.outlives_client() {
            return PipeEnd::End(StreamEnd::ClientLeft);
        }
        while let Some(bytes) = self.rest(patience).await {
            push(self.platform, self.record, &mut self.relay, &bytes);
        }
        // Only the copy says why it broke.
        PipeEnd::End(if is_whole { StreamEnd::Closed } else { self.broken() })
    }

    async fn rest(&mut self, patience: Millis) -> Option<Vec<u8>> {
        let timer = self.platform.timer(patience);
        let read = match select(timer, pin!(self.platform.next(&mut self.stream))).await {
            Either::Right((read, _)) => read,
            Either::Left(_) => return None,
        };
        match read {
            Ok(piece) => piece.map(|piece| piece.to_vec()),
            Err(error) => {
                self.note_broken(error);
                None
            }
        }
    }

    /// The pipe was stopped while nothing flowed; the copy, which has been read to the same place, is the
    /// stream from here on.
    async fn forward_after_silence(&mut self) -> StreamEnd {
        if let Err(end) = self.keep_alive().await {
            return end;
        }
        self.forward_pieces(true).await.unwrap_or(StreamEnd::Closed)
    }
}
