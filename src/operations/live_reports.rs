//! What an isolate knows of watchers: until when somebody watches, what waits to be shown, and which requests
//! are to be ended.

use super::batch::Recorded;
use super::live_event::LiveEvent;
use crate::config::Millis;

/// How many events wait at most. Further ones are counted.
const MAX_WAITING: usize = 1_000;
/// How often the operations object is asked for requests to end, while requests that are watched run.
const POLL_INTERVAL: Millis = 500;

/// What an isolate knows of watchers.
#[derive(Debug, Default)]
pub struct LiveReports {
    events: Vec<LiveEvent>,
    dropped: u64,
    until: Millis,
    ending: Vec<String>,
    /// When the object was last heard of.
    heard: Millis,
}

impl LiveReports {
    /// Takes what the operations object said in response to a batch.
    pub fn learn(&mut self, recorded: Recorded, now: Millis) {
        (self.until, self.ending, self.heard) = (recorded.live_until, recorded.ending, now);
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

    /// Whether an admin has ended this request.
    pub fn is_ending(&self, run: &str) -> bool {
        self.ending.iter().any(|ending| ending == run)
    }

    /// Whether there is something to send, or to ask.
    pub fn is_due(&self, now: Millis) -> bool {
        !self.events.is_empty() || self.poll_is_due(now)
    }

    /// Whether the object should be asked for requests to end, if one runs that is watched.
    pub fn poll_is_due(&self, now: Millis) -> bool {
        self.is_watched(now) && self.heard.saturating_add(POLL_INTERVAL) <= now
    }

    /// Takes what waits, and how many events had no room.
    pub(super) fn take(&mut self) -> (Vec<LiveEvent>, u64) {
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
    fn the_object_is_asked_twice_a_second_while_somebody_watches() {
        let mut reports = LiveReports::default();
        assert!(!reports.is_due(10_000));
        reports.learn(Recorded { live_until: 15_000, ending: vec!["a".into()] }, 10_000);
        assert!(reports.is_ending("a") && !reports.is_ending("b"));
        assert!(!reports.is_due(10_499) && reports.is_due(10_500) && !reports.is_due(15_000));
        reports.add(started(1));
        assert!(reports.is_due(10_001));
        reports.learn(Recorded::default(), 10_002);
        assert!(!reports.is_due(12_000) && !reports.is_ending("a"), "nobody watches");
    }
}
