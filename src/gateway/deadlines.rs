//! The deadlines of one stream, without a clock: what is due next, and what it means.

use crate::config::{Clocks, Millis};

/// Translated events leave at most this often, in milliseconds, so that a stream costs by the second and not
/// by the token.
pub const FLUSH_INTERVAL: Millis = 25;

/// The deadlines of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    clocks: Clocks,
    keep_alive: Millis,
    started: Millis,
    /// When the provider was asked, as far as that is not when the request came.
    asked: Millis,
    /// When bytes last came.
    received: Millis,
    /// When bytes last left.
    sent: Millis,
    /// The response has begun.
    begun: bool,
}

/// What the time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerEvent {
    /// Nothing yet.
    Nothing,
    /// Nothing has been sent to the client for long: time for
    /// [`Framing::keep_alive`](crate::formats::Framing::keep_alive).
    KeepAlive,
    /// A deadline of the provider has passed.
    Over,
}

impl Deadlines {
    /// The request came at `started`, the head of the response `now`.
    pub fn new(clocks: Clocks, keep_alive: Millis, started: Millis, now: Millis) -> Self {
        Self { clocks, keep_alive, started, asked: started, received: now, sent: now, begun: false }
    }

    /// The provider was asked at this time, after others had been. The first content is expected from then
    /// on.
    #[must_use]
    pub fn asked_at(self, asked: Millis) -> Self {
        Self { asked, ..self }
    }

    /// Bytes have come.
    pub fn received(&mut self, now: Millis, begun: bool) {
        self.received = now;
        self.begun = begun;
    }

    /// Whether the provider may not be silent for long.
    pub fn has_idle_limit(&self) -> bool {
        self.clocks.idle.is_some()
    }

    /// Whether content has come.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Bytes have left for the client.
    pub fn sent(&mut self, now: Millis) {
        self.sent = now;
    }

    /// How long bytes may wait for more that leaves with them: nothing waits longer than [`FLUSH_INTERVAL`]
    /// after the last bytes left.
    pub fn flush_delay(&self, now: Millis) -> Millis {
        self.sent.saturating_add(FLUSH_INTERVAL).saturating_sub(now)
    }

    /// For so long, nothing was read because the client did not take what had come: the provider was not
    /// silent.
    pub fn blocked(&mut self, time: Millis) {
        self.received = self.received.saturating_add(time);
    }

    /// The time left for the whole response.
    pub fn left(&self, now: Millis) -> Millis {
        self.started.saturating_add(self.clocks.total).saturating_sub(now)
    }

    /// How long until the next [`Deadlines::tick`].
    pub fn wait(&self, now: Millis) -> Millis {
        self.over().min(self.keep_alive_due()).saturating_sub(now)
    }

    /// What the time means now.
    pub fn tick(&mut self, now: Millis) -> TimerEvent {
        if now >= self.over() {
            return TimerEvent::Over;
        }
        if now >= self.keep_alive_due() {
            self.sent = now;
            return TimerEvent::KeepAlive;
        }
        TimerEvent::Nothing
    }

    fn over(&self) -> Millis {
        let after = |from: Millis, clock: Option<Millis>| clock.map_or(Millis::MAX, |clock| from.saturating_add(clock));
        let first_token = if self.begun { Millis::MAX } else { after(self.asked, self.clocks.first_token) };
        after(self.started, Some(self.clocks.total)).min(first_token).min(after(self.received, self.clocks.idle))
    }

    fn keep_alive_due(&self) -> Millis {
        if self.keep_alive == 0 { Millis::MAX } else { self.sent.saturating_add(self.keep_alive) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCKS: Clocks = Clocks { connect: None, first_token: Some(50), idle: Some(30), total: 200 };

    #[test]
    fn the_nearest_clock_is_due() {
        let mut deadlines = Deadlines::new(CLOCKS, 20, 0, 10);
        assert_eq!(
            (deadlines.wait(10), deadlines.tick(29), deadlines.tick(30)),
            (20, TimerEvent::Nothing, TimerEvent::KeepAlive)
        );
        assert_eq!((deadlines.wait(30), deadlines.tick(40)), (10, TimerEvent::Over));
        deadlines.received(39, false);
        deadlines.sent(39);
        assert_eq!((deadlines.tick(50), deadlines.tick(49)), (TimerEvent::Over, TimerEvent::Nothing));
        deadlines.received(49, true);
        deadlines.sent(49);
        assert_eq!((deadlines.tick(69), deadlines.tick(79)), (TimerEvent::KeepAlive, TimerEvent::Over));
        deadlines.received(190, true);
        deadlines.sent(190);
        assert_eq!(deadlines.tick(200), TimerEvent::Over);
    }

    #[test]
    fn a_client_that_does_not_read_makes_no_provider_silent_and_no_whole_longer() {
        let mut deadlines = Deadlines::new(CLOCKS, 0, 0, 0);
        deadlines.received(40, true);
        deadlines.blocked(100);
        assert_eq!((deadlines.tick(169), deadlines.tick(170)), (TimerEvent::Nothing, TimerEvent::Over));
        assert_eq!((deadlines.left(140), deadlines.left(200)), (60, 0));
        deadlines.blocked(100);
        assert_eq!(deadlines.tick(200), TimerEvent::Over);
    }

    #[test]
    fn what_comes_soon_after_the_last_waits_and_what_comes_later_does_not() {
        let mut deadlines = Deadlines::new(CLOCKS, 0, 0, 100);
        assert_eq!(
            (
                deadlines.flush_delay(101),
                deadlines.flush_delay(124),
                deadlines.flush_delay(125),
                deadlines.flush_delay(190)
            ),
            (24, 1, 0, 0)
        );
        deadlines.sent(125);
        assert_eq!(deadlines.flush_delay(130), 20);
    }

    #[test]
    fn without_clocks_only_the_whole_is_limited() {
        let mut deadlines = Deadlines::new(Clocks { first_token: None, idle: None, ..CLOCKS }, 0, 0, 0);
        assert_eq!(
            (deadlines.wait(0), deadlines.tick(199), deadlines.tick(200)),
            (200, TimerEvent::Nothing, TimerEvent::Over)
        );
    }
}
