//! The delivery of one notice to one destination: when it is tried, and when it is given up.

use serde::{Deserialize, Serialize};

use super::destination::DestinationKind;
use super::reply::Attempt;
use crate::config::Millis;

/// How long a destination may take to respond. Standard Webhooks recommends 15 to 30 seconds.
pub const TIMEOUT: Millis = 15_000;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// The times between attempts, as Standard Webhooks recommends them.
const DELAYS: &[Millis] =
    &[5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// The longest wait that a destination can ask for.
const MAX_WAIT: Millis = 24 * HOUR;

/// The delivery of a notice to a destination. As JSON it is a row of the log of deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The id of the notice.
    pub notice: String,
    /// The destination.
    pub destination: DestinationKind,
    /// The number of attempts that were made.
    pub attempts: usize,
    /// What the last failed attempt failed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether it is under way.
    pub state: DeliveryState,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// The next attempt is due.
    Due {
        /// When, in milliseconds since 1970.
        at: Millis,
    },
    /// There are no more attempts.
    Ended {
        /// Since when, in milliseconds since 1970.
        at: Millis,
        /// How it ended.
        end: DeliveryEnd,
    },
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryEnd {
    /// The destination accepted the notice.
    Delivered,
    /// It refused the notice.
    Refused,
    /// It does not exist any more: nothing is to be sent to it until its address changes.
    Gone,
    /// All attempts failed.
    GivenUp,
}

impl Delivery {
    /// A delivery whose first attempt is due at once.
    pub fn new(notice: String, destination: DestinationKind, now: Millis) -> Self {
        Self { notice, destination, attempts: 0, failure: None, state: DeliveryState::Due { at: now } }
    }

    /// The delivery if there is no room for it: it is given up without an attempt.
    pub fn dropped(self, now: Millis) -> Self {
        let state = DeliveryState::Ended { at: now, end: DeliveryEnd::GivenUp };
        Self { failure: Some("too many deliveries under way".to_owned()), state, ..self }
    }

    /// When the next attempt is due; `None` if there is none.
    pub fn due(&self) -> Option<Millis> {
        match self.state {
            DeliveryState::Due { at } => Some(at),
            DeliveryState::Ended { .. } => None,
        }
    }

    /// The delivery after an attempt that ended at `now`. `random` spreads attempts, so that they do not all
    /// come at the same moment.
    pub fn after(mut self, attempt: Attempt, now: Millis, random: u8) -> Self {
        if self.due().is_none() {
            return self;
        }
        let delay = DELAYS.get(self.attempts).copied();
        self.attempts = self.attempts.saturating_add(1);
        let ended = |end| DeliveryState::Ended { at: now, end };
        (self.state, self.failure) = match attempt {
            Attempt::Accepted => (ended(DeliveryEnd::Delivered), self.failure),
            Attempt::Refused { reason } => (ended(DeliveryEnd::Refused), Some(reason)),
            Attempt::Gone => (ended(DeliveryEnd::Gone), Some("HTTP 410".to_owned())),
            Attempt::Later { after, reason } => {
                let wait = |delay| spread(delay, random).max(after.unwrap_or(0).min(MAX_WAIT));
                let due = |delay| DeliveryState::Due { at: now.saturating_add(wait(delay)) };
                (delay.map_or(ended(DeliveryEnd::GivenUp), due), Some(reason))
            }
        };
        self
    }
}

/// A delay and up to a fifth more.
fn spread(delay: Millis, random: u8) -> Millis {
    delay + delay / 5 * Millis::from(random) / 255
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(after: Option<Millis>) -> Attempt {
        Attempt::Later { after, reason: "HTTP 500".to_owned() }
    }

    fn delivery() -> Delivery {
        Delivery::new("alert_1".to_owned(), DestinationKind::Webhook, 1_000)
    }

    #[test]
    fn a_webhook_that_fails_for_an_hour_is_tried_until_it_accepts() {
        let (mut delivery, mut times) = (delivery(), Vec::new());
        while let Some(at) = delivery.due() {
            times.push(at);
            let attempt = if at < HOUR { failed(None) } else { Attempt::Accepted };
            delivery = delivery.after(attempt, at, 0);
        }
        let minutes: Vec<Millis> = times.iter().map(|at| at / MINUTE).collect();
        assert_eq!(minutes, [0, 0, 5, 35, 155]);
        assert_eq!(delivery.state, DeliveryState::Ended { at: times[4], end: DeliveryEnd::Delivered });
        assert_eq!((delivery.attempts, delivery.failure.as_deref()), (5, Some("HTTP 500")));
    }

    #[test]
    fn after_ten_attempts_it_is_given_up() {
        let mut delivery = delivery();
        let mut last = 0;
        while let Some(at) = delivery.due() {
            (last, delivery) = (at, delivery.after(failed(None), at, 255));
        }
        assert_eq!(delivery.attempts, 10);
        assert_eq!(delivery.state, DeliveryState::Ended { at: last, end: DeliveryEnd::GivenUp });
        assert!(last < 5 * 24 * HOUR, "{last}");
        assert_eq!(delivery.clone().after(Attempt::Accepted, last, 0), delivery, "what has ended stays");
    }

    #[test]
    fn a_destination_can_ask_for_a_longer_wait_but_not_for_ever() {
        let due = |after: Millis| delivery().after(failed(Some(after)), 0, 0).due();
        assert_eq!(due(1_000), Some(5_000));
        assert_eq!(due(60_000), Some(60_000));
        assert_eq!(due(u64::MAX), Some(MAX_WAIT));
    }

    #[test]
    fn refusals_are_final() {
        let refused = delivery().after(Attempt::Refused { reason: "HTTP 404".to_owned() }, 5, 0);
        assert_eq!(refused.state, DeliveryState::Ended { at: 5, end: DeliveryEnd::Refused });
        let gone = delivery().after(Attempt::Gone, 5, 0);
        assert_eq!(gone.state, DeliveryState::Ended { at: 5, end: DeliveryEnd::Gone });
    }

    #[test]
    fn attempts_are_spread() {
        assert_eq!(spread(5_000, 0), 5_000);
        assert_eq!(spread(5_000, 255), 6_000);
        assert_eq!(spread(5_000, 51), 5_200);
    }

    #[test]
    fn a_delivery_is_a_row_of_the_log() {
        let row = serde_json::to_value(delivery().after(Attempt::Gone, 5, 0)).unwrap();
        let state = json!({"state": "ended", "at": 5, "end": "gone"});
        let expected = json!({"notice": "alert_1", "destination": "webhook", "attempts": 1, "failure": "HTTP 410",
            "state": state});
        assert_eq!(row, expected);
        assert_eq!(serde_json::from_value::<Delivery>(row).unwrap().attempts, 1);
    }
}
