//! The clocks of one stream: what is due next, and what it means. It is told the time; it holds none.

use crate::config::{Clocks, Millis};

/// A comment that says that we are still here.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// What is written anew leaves at most this often, so that it costs by the second and not by the token.
pub const FLUSH_INTERVAL: Millis = 25;

/// Watches over one stream.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    clocks: Clocks,
    keep_alive: Millis,
    started: Millis,
    /// When bytes last came.
    heard: Millis,
    /// When bytes last left.
    sent: Millis,
    /// The answer has begun.
    begun: bool,
}

/// What the time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerEvent {
    /// Nothing yet.
    Nothing,
    /// The client has heard nothing for long: time for [`KEEP_ALIVE`].
    KeepAlive,
    /// The provider's time is over.
    Over,
}

impl Deadlines {
    /// Begins to watch: the request came at `started`, the head of the answer is here `now`.
    pub fn new(clocks: Clocks, keep_alive: Millis, started: Millis, now: Millis) -> Self {
        Self { clocks, keep_alive, started, heard: now, sent: now, begun: false }
    }

    /// Bytes have come.
    pub fn heard(&mut self, now: Millis, begun: bool) {
        self.heard = now;
        self.begun = begun;
    }

    /// Bytes have left for the client.
    pub fn sent(&mut self, now: Millis) {
        self.sent = now;
    }

    /// How long what is there has to wait for more that leaves with it: nothing is kept for longer than [`FLUSH_INTERVAL`] after the last bytes left.
    pub fn rest(&self, now: Millis) -> Millis {
        self.sent.saturating_add(FLUSH_INTERVAL).saturating_sub(now)
    }

    /// For so long, nothing could come, because what had come could not leave: the provider was not silent.
    pub fn blocked(&mut self, time: Millis) {
        self.heard = self.heard.saturating_add(time);
    }

    /// What is left of the time for the whole.
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
        let first_token = if self.begun { Millis::MAX } else { after(self.started, self.clocks.first_token) };
        after(self.started, Some(self.clocks.total)).min(first_token).min(after(self.heard, self.clocks.idle))
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
        let mut watch = Deadlines::new(CLOCKS, 20, 0, 10);
        assert_eq!((watch.wait(10), watch.tick(29), watch.tick(30)), (20, TimerEvent::Nothing, TimerEvent::KeepAlive));
        assert_eq!((watch.wait(30), watch.tick(40)), (10, TimerEvent::Over));
        watch.heard(39, false);
        watch.sent(39);
        assert_eq!((watch.tick(50), watch.tick(49)), (TimerEvent::Over, TimerEvent::Nothing));
        watch.heard(49, true);
        watch.sent(49);
        assert_eq!((watch.tick(69), watch.tick(79)), (TimerEvent::KeepAlive, TimerEvent::Over));
        watch.heard(190, true);
        watch.sent(190);
        assert_eq!(watch.tick(200), TimerEvent::Over);
    }

    #[test]
    fn a_client_that_does_not_read_makes_no_provider_silent_and_no_whole_longer() {
        let mut watch = Deadlines::new(CLOCKS, 0, 0, 0);
        watch.heard(40, true);
        watch.blocked(100);
        assert_eq!((watch.tick(169), watch.tick(170)), (TimerEvent::Nothing, TimerEvent::Over));
        assert_eq!((watch.left(140), watch.left(200)), (60, 0));
        watch.blocked(100);
        assert_eq!(watch.tick(200), TimerEvent::Over);
    }

    #[test]
    fn what_comes_soon_after_the_last_waits_and_what_comes_later_does_not() {
        let mut watch = Deadlines::new(CLOCKS, 0, 0, 100);
        assert_eq!((watch.rest(101), watch.rest(124), watch.rest(125), watch.rest(190)), (24, 1, 0, 0));
        watch.sent(125);
        assert_eq!(watch.rest(130), 20);
    }

    #[test]
    fn without_clocks_only_the_whole_is_limited() {
        let mut watch = Deadlines::new(Clocks { first_token: None, idle: None, ..CLOCKS }, 0, 0, 0);
        assert_eq!((watch.wait(0), watch.tick(199), watch.tick(200)), (200, TimerEvent::Nothing, TimerEvent::Over));
    }
}
