//! What an isolate knows of watchers: until when somebody watches, what waits to be shown, and which requests
//! are to be ended.

use super::batch::Recorded;
use super::live_event::LiveEvent;
use crate::config::Millis;

/// How many events wait at most. Further ones are counted.
const MAX_WAITING: usize = 1_000;
/// How often the operations object is asked for requests to end, while requests that are watched run.
const POLL_INTERVAL: Millis = 500;

/// How often the object is asked whether somebody watches, while a request runs that has run for long.
const LOOK_INTERVAL: Millis = 30_000;

/// What an isolate knows of watchers.
#[derive(Debug, Default)]
pub struct LiveReports {
    events: Vec<LiveEvent>,
    dropped: u64,
    until: Millis,
    ending: Vec<String>,
    /// When the object was last heard of.
    heard: Millis,
    /// When it was last asked whether somebody watches.
    looked: Millis,
    is_looking: bool,
}

impl LiveReports {
    /// Takes what the operations object said in response to a batch.
    pub fn learn(&mut self, recorded: Recorded, now: Millis) {
        (self.until, self.ending, self.heard) = (recorded.live_until, recorded.ending, now);
        self.is_looking = false;
        if !self.is_watched(now) {
            self.events.clear();
        }
    }

    /// Adds an event. One for which there is no room is counted.
    pub fn add(&mut self, event: LiveEvent) {
        if self.events.len() < MAX_WAITING {
            self.events.push(event);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Whether the object is to be asked whether somebody watches, because a request has run for long and the
    /// object was not heard of lately.
    pub fn look(&mut self, now: Millis) -> bool {
        // A clock that was set back does not stop it.
        let last = [self.heard, self.looked].into_iter().filter(|at| *at <= now).max();
        let is_due = last.is_none_or(|last| last.saturating_add(LOOK_INTERVAL) <= now);
        if is_due {
            (self.looked, self.is_looking) = (now, true);
        }
        is_due
    }

    /// Whether an admin has ended this request.
    pub fn is_ending(&self, run: &str) -> bool {
        self.ending.iter().any(|ending| ending == run)
    }

    /// Whether there is something to send, or to ask.
    pub fn is_due(&self, now: Millis) -> bool {
        !self.events.is_empty() || self.is_looking || self.poll_is_due(now)
    }

    /// Whether events wait.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether the object should be asked for requests to end, if one runs that is watched.
    pub fn poll_is_due(&self, now: Millis) -> bool {
        // A clock that was set back does not stop it.
        let is_old = now < self.heard || self.heard.saturating_add(POLL_INTERVAL) <= now;
        self.is_watched(now) && is_old
    }

    /// Takes what waits, and how many events had no room.
    pub(super) fn take(&mut self) -> (Vec<LiveEvent>, u64) {
        self.is_looking = false;
        (std::mem::take(&mut self.events), std::mem::take(&mut self.dropped))
    }

    fn is_watched(&self, now: Millis) -> bool {
        self.until > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::LiveRequest;

    fn started(run: usize) -> LiveEvent {
        LiveEvent::Started(LiveRequest { run: run.to_string(), ..LiveRequest::default() })
    }

    #[test]
    fn what_waits_is_bounded_and_what_has_no_room_is_counted() {
        let mut reports = LiveReports::default();
        (0..1_005).for_each(|run| reports.add(started(run)));
        let (events, dropped) = reports.take();
        assert_eq!((events.len(), dropped), (1_000, 5));
        assert_eq!(reports.take(), (Vec::new(), 0));
    }

    #[test]
    fn the_object_is_asked_each_half_minute_for_a_request_that_runs_for_long() {
        let mut reports = LiveReports::default();
        assert!(reports.look(70_000) && reports.is_due(70_000));
        assert_eq!(reports.take(), (Vec::new(), 0));
        assert!(!reports.is_due(70_001) && !reports.look(99_999), "whether it responds or not");
        assert!(reports.look(100_000));
        reports.learn(Recorded::default(), 100_100);
        assert!(!reports.is_due(100_100) && !reports.look(130_099) && reports.look(130_100));
        assert!(reports.look(1_000), "the clock was set back");
    }

    #[test]
    fn the_object_is_asked_twice_a_second_while_somebody_watches() {
        let mut reports = LiveReports::default();
        assert!(!reports.is_due(10_000));
        reports.learn(Recorded { live_until: 15_000, board: 1, ending: vec!["a".into()] }, 10_000);
        assert!(reports.is_ending("a") && !reports.is_ending("b"));
        assert!(!reports.is_due(10_499) && reports.is_due(10_500) && !reports.is_due(15_000));
        assert!(reports.is_due(9_000), "the clock was set back");
        reports.add(started(1));
        assert!(reports.is_due(10_001));
        reports.learn(Recorded::default(), 10_002);
        assert!(!reports.is_due(12_000) && !reports.is_ending("a"), "nobody watches");
    }
}
