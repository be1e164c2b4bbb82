//! The runtime pumps a stream to the client; a copy of it is read now and then, and listened to.

use std::pin::pin;

use futures::FutureExt as _;
use futures::future::{Either, Fuse, select};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use super::{Flow, Next, pass};
use crate::config::Millis;
use crate::edge::byte_source::VIEW;
use crate::edge::clock::{alarm, now};
use crate::edge::js;

use crate::gateway::{KEEP_ALIVE, StreamEnd, TimerEvent};

/// The copy is read this often, or more often where a clock is short; in between, bytes pass without waking anybody.
const NAP: Millis = 1_000;
/// After a whole stream, the rest of the copy is there already.
const REST: Millis = 1_000;
/// After a break, the rest of the copy comes within this time or never.
const REST_AFTER_BREAK: Millis = 20;

/// How a native flow ended.
pub(super) enum PumpEnd {
    /// With the stream.
    End(StreamEnd),
    /// We broke in, because nothing flowed for long.
    Silence,
}

impl Flow {
    /// The runtime pumps; we read a copy now and then.
    pub(super) async fn pump(&mut self) -> PumpEnd {
        let Ok((pumped, stop)) = self.split() else { return PumpEnd::End(StreamEnd::Broken) };
        let mut pumped = pumped.fuse();
        loop {
            let next = match select(&mut pumped, pin!(self.next())).await {
                Either::Left((pumped, _)) => Err(pumped),
                Either::Right((next, _)) => Ok(next),
            };
            let nap = match next {
                Err(pumped) => return PumpEnd::End(self.pumped(pumped.is_ok()).await),
                Ok(Next::Bytes(bytes)) => {
                    pass(&mut self.relay, &bytes);
                    self.relay.sent(now());
                    self.host.renew(|| Some(self.relay.said()));
                    if bytes.len() < VIEW as usize { NAP.min(self.relay.wait(now()) / 4) } else { 0 }
                }
                Ok(Next::Closed | Next::Broken) => {
                    return match self.hand_over(&mut pumped).await {
                        Some(whole) => PumpEnd::End(self.pumped(whole).await),
                        None => self.stuck(pumped),
                    };
                }
                Ok(Next::Tick(TimerEvent::Nothing)) => 0,
                Ok(Next::Tick(TimerEvent::KeepAlive)) => {
                    stop.abort();
                    let handed = self.hand_over(&mut pumped).await;
                    return if handed.is_some() { PumpEnd::Silence } else { self.stuck(pumped) };
                }
                Ok(Next::Tick(TimerEvent::Over)) => return self.stuck(pumped),
                Ok(Next::Left) => {
                    stop.abort();
                    return PumpEnd::End(self.pumped(false).await);
                }
            };
            self.fresh = nap == 0;
            if nap > 0
                && let Either::Left((whole, _)) = select(&mut pumped, alarm(nap)).await
            {
                return PumpEnd::End(self.pumped(whole.is_ok()).await);
            }
        }
    }

    /// Waits until the pump has handed over what it holds: whether it ended well, which it does not if the client has left; none if time for
    /// the whole was up before.
    async fn hand_over(&self, pumped: &mut Fuse<JsFuture>) -> Option<bool> {
        self.host.heard(self.relay.said());
        let (handed, time) = (self.host.while_there(pumped), self.host.pause(self.relay.left(now())));
        match select(pin!(handed), pin!(time)).await {
            Either::Left((pumped, _)) => Some(pumped.is_ok()),
            Either::Right(_) => None,
        }
    }

    /// Time is up while the pump still holds something.
    fn stuck(&mut self, pumped: Fuse<JsFuture>) -> PumpEnd {
        self.pumping = Some(pumped);
        PumpEnd::End(StreamEnd::TimedOut)
    }

    /// Sets the pump going, and turns to the copy.
    fn split(&mut self) -> Result<(JsFuture, AbortController), JsValue> {
        let stop = AbortController::new()?;
        let pumped = js::pipe(&self.source.split()?, &self.writable, &stop)?;
        Ok((JsFuture::from(pumped), stop))
    }

    /// The pump has come to its end: what is left of the copy is heard.
    async fn pumped(&mut self, whole: bool) -> StreamEnd {
        let patience = if whole { REST } else { REST_AFTER_BREAK };
        let end = if whole { StreamEnd::Closed } else { self.broken() };
        if end == StreamEnd::ClientLeft && self.relay.hears_out() {
            return end;
        }
        while let Either::Right((Ok(Some(bytes)), _)) = select(alarm(patience), pin!(self.source.next())).await {
            pass(&mut self.relay, &bytes);
        }
        end
    }

    /// The pump was stopped while nothing flowed; the copy, which had been read to the same place, is the stream from here on.
    pub(super) async fn pass_after_silence(&mut self) -> StreamEnd {
        let Ok(writer) = self.writable.get_writer() else { return StreamEnd::ClientLeft };
        if let Err(end) = self.send(KEEP_ALIVE, &writer).await {
            return end;
        }
        let end = self.pass(&writer, true).await;
        writer.release_lock();
        end.unwrap_or(StreamEnd::Closed)
    }
}
