//! All that is known of alerts in one place: their states, the hourly cap, and the deliveries under way. Each
//! operation returns the rows that are to be stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cap::HourlyCap;
use super::delivery::Delivery;
use super::destination::DestinationKind;
use super::notice::Notice;
use super::observation::Observation;
use super::reply::Attempt;
use super::rules::AlertRules;
use super::states::{AlertState, AlertStates, Change, Commit};
use crate::config::Millis;

/// The most deliveries under way. Destinations that are down for days must not fill the memory.
const MAX_OPEN: usize = 500;

/// The states of alerts, the hourly cap, and the deliveries under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertLedger {
    states: AlertStates,
    cap: HourlyCap,
    /// The last observations of alerts that are raised or over only when the observation has lasted.
    waiting: BTreeMap<String, Observation>,
    open: Vec<OpenDelivery>,
    /// The addresses at which a destination does not exist any more, as fingerprints.
    gone: BTreeMap<DestinationKind, String>,
}

/// A delivery that is under way, and its notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDelivery {
    /// What is sent.
    pub notice: Notice,
    /// Where and when.
    pub delivery: Delivery,
    /// Whether an attempt is under way. That is not stored: an attempt that was cut off is made again.
    #[serde(skip)]
    pub is_sending: bool,
}

/// What applies to alerts: the settings, and where notices are sent.
#[derive(Clone, Copy, Debug)]
pub struct AlertSettings<'s> {
    /// The settings.
    pub rules: &'s AlertRules,
    /// The destinations.
    pub destinations: &'s [DestinationKind],
}

/// A row that is to be stored. It replaces the row of the same name, notice and destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum AlertWrite {
    /// The state of an alert.
    State {
        /// Its name.
        name: String,
        /// The state.
        state: AlertState,
        /// The last observation, if its duration matters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waiting: Option<Observation>,
    },
    /// The hourly cap.
    Cap {
        /// Its state.
        cap: HourlyCap,
    },
    /// A delivery, under way or ended.
    Delivery(OpenDelivery),
    /// The address at which a destination does not exist any more, as a fingerprint.
    Gone {
        /// The destination.
        destination: DestinationKind,
        /// The fingerprint of the address; `None` if there is a destination again.
        address: Option<String>,
    },
    /// A state that is not stored any more.
    Forget {
        /// Its name.
        name: String,
    },
}

impl AlertLedger {
    /// Applies an observation.
    pub fn observe(&mut self, seen: &Observation, settings: AlertSettings<'_>, now: Millis) -> Vec<AlertWrite> {
        let known = self.states.get(&seen.state_name());
        let Some(change) = Change::of(known, seen, settings.rules, now) else { return Vec::new() };
        let (commit, writes) = self.commit(&change, settings, now);
        if commit != Commit::Full {
            return writes;
        }
        let mut forgotten: Vec<AlertWrite> =
            self.states.forget_resting().into_iter().map(|name| AlertWrite::Forget { name }).collect();
        forgotten.extend(self.commit(&change, settings, now).1);
        forgotten
    }

    /// Applies a change that an isolate computed, and starts the deliveries of its notice.
    pub fn commit(&mut self, change: &Change, settings: AlertSettings<'_>, now: Millis) -> (Commit, Vec<AlertWrite>) {
        let commit = self.states.commit(change);
        if commit != Commit::Done {
            return (commit, Vec::new());
        }
        let waits = change.next.due(&change.observation, settings.rules).is_some();
        let waiting = waits.then(|| change.observation.clone());
        match &waiting {
            Some(observation) => self.waiting.insert(change.name.clone(), observation.clone()),
            None => self.waiting.remove(&change.name),
        };
        let mut writes = vec![AlertWrite::State { name: change.name.clone(), state: change.next, waiting }];
        if let Some(notice) = &change.notice {
            self.report(notice, settings, now, &mut writes);
        }
        (commit, writes)
    }

    /// Sends a test to all destinations. `nonce` makes each call another event.
    pub fn test(&mut self, nonce: &str, settings: AlertSettings<'_>, now: Millis) -> Vec<AlertWrite> {
        let mut writes = Vec::new();
        self.report(&Notice::test(now, nonce), settings, now, &mut writes);
        writes
    }

    /// Does what is due besides deliveries: alerts whose observation has lasted, and the notice about what
    /// the cap withheld.
    pub fn tick(&mut self, settings: AlertSettings<'_>, now: Millis) -> Vec<AlertWrite> {
        let mut writes = Vec::new();
        if let Some(notice) = self.cap.take_withheld(now) {
            writes.push(AlertWrite::Cap { cap: self.cap });
            self.report(&notice, settings, now, &mut writes);
        }
        for (name, observation) in self.waiting.clone() {
            let known = self.states.get(&name);
            let is_due = known.and_then(|state| state.due(&observation, settings.rules)).is_some_and(|at| at <= now);
            let change = if is_due { Change::of(known, &observation, settings.rules, now) } else { None };
            if let Some(change) = change {
                writes.extend(self.commit(&change, settings, now).1);
            }
        }
        writes
    }

    /// When [`Self::tick`] or a delivery is due.
    pub fn due(&self, rules: &AlertRules) -> Option<Millis> {
        let waiting = self.waiting.iter().filter_map(|(name, seen)| self.states.get(name)?.due(seen, rules));
        let at_rest = self.open.iter().filter(|open| !open.is_sending);
        let deliveries = at_rest.filter_map(|open| open.delivery.due());
        waiting.chain(deliveries).chain(self.cap.due()).min()
    }

    /// The deliveries whose next attempt is due, in the order of their beginning.
    pub fn ready(&self, now: Millis) -> impl Iterator<Item = &OpenDelivery> {
        let is_due = move |open: &&OpenDelivery| open.delivery.due().is_some_and(|at| at <= now);
        self.open.iter().filter(|open| !open.is_sending).filter(is_due)
    }

    /// Begins attempts of the deliveries that are due, of so many at most. Until [`Self::attempted`] is
    /// called they are not due.
    pub fn begin(&mut self, now: Millis, most: usize) -> Vec<OpenDelivery> {
        let begun: Vec<OpenDelivery> = self.ready(now).take(most).cloned().collect();
        for open in self.open.iter_mut().filter(|open| begun.contains(open)) {
            open.is_sending = true;
        }
        begun
    }

    /// Records an attempt of a delivery under way. If the destination is gone, all deliveries to it end.
    pub fn attempted(&mut self, tried: &Delivery, attempt: &Attempt, now: Millis, random: u8) -> Vec<AlertWrite> {
        let is_gone = *attempt == Attempt::Gone;
        let concerns =
            |other: &Delivery| other.destination == tried.destination && (is_gone || other.notice == tried.notice);
        let mut writes = Vec::new();
        for open in self.open.iter_mut().filter(|open| concerns(&open.delivery)) {
            open.delivery = open.delivery.clone().after(attempt.clone(), now, random);
            open.is_sending = false;
            writes.push(AlertWrite::Delivery(open.clone()));
        }
        self.open.retain(|open| open.delivery.due().is_some());
        writes
    }

    /// Notes at which address a destination does not exist any more; `None`: it exists. Nothing is sent to it
    /// until its address changes.
    pub fn set_gone(&mut self, destination: DestinationKind, address: Option<String>) -> Option<AlertWrite> {
        let known = match address.clone() {
            Some(address) => self.gone.insert(destination, address),
            None => self.gone.remove(&destination),
        };
        (known != address).then_some(AlertWrite::Gone { destination, address })
    }

    /// Whether a destination does not exist any more at an address.
    pub fn is_gone(&self, destination: DestinationKind, address: &str) -> bool {
        self.gone.get(&destination).is_some_and(|gone| gone == address)
    }

    /// The states by name.
    pub fn states(&self) -> impl Iterator<Item = (&str, AlertState)> {
        self.states.iter()
    }

    /// Sets a row that was stored. Deliveries have to come in the order of their beginning.
    pub fn restore(&mut self, write: AlertWrite) {
        match write {
            AlertWrite::State { name, state, waiting } => {
                self.waiting.extend(waiting.map(|observation| (name.clone(), observation)));
                self.states.restore(name, state);
            }
            AlertWrite::Cap { cap } => self.cap = cap,
            AlertWrite::Delivery(open) if open.delivery.due().is_some() => self.open.push(open),
            AlertWrite::Delivery(_) | AlertWrite::Forget { .. } => {}
            AlertWrite::Gone { destination, address } => {
                self.set_gone(destination, address);
            }
        }
    }

    /// Starts the deliveries of a notice, unless the cap withholds it.
    fn report(&mut self, notice: &Notice, settings: AlertSettings<'_>, now: Millis, writes: &mut Vec<AlertWrite>) {
        let before = self.cap;
        let may_send = self.cap.admit(notice, now, settings.rules.per_hour);
        if self.cap != before {
            writes.push(AlertWrite::Cap { cap: self.cap });
        }
        if !may_send {
            return;
        }
        for kind in settings.destinations {
            let delivery = Delivery::new(notice.id.clone(), *kind, now);
            let open = OpenDelivery { notice: notice.clone(), delivery, is_sending: false };
            if self.open.len() < MAX_OPEN {
                self.open.push(open.clone());
                writes.push(AlertWrite::Delivery(open));
            } else {
                writes.push(AlertWrite::Delivery(OpenDelivery { delivery: open.delivery.dropped(now), ..open }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alerts::delivery::{DeliveryEnd, DeliveryState};

    const DESTINATIONS: &[DestinationKind] = &[DestinationKind::Webhook, DestinationKind::Slack];

    fn settings(rules: &AlertRules) -> AlertSettings<'_> {
        AlertSettings { rules, destinations: DESTINATIONS }
    }

    fn price(model: &str) -> Observation {
        Observation::Price { model: model.to_owned(), is_known: false }
    }

    fn target(is_down: bool) -> Observation {
        Observation::Target { name: "p/m".to_owned(), is_down, reason: None }
    }

    fn observe(ledger: &mut AlertLedger, seen: &Observation, rules: &AlertRules, now: Millis) -> Vec<AlertWrite> {
        ledger.observe(seen, settings(rules), now)
    }

    fn titles(ledger: &AlertLedger, now: Millis) -> Vec<String> {
        let to_slack = |open: &&OpenDelivery| open.delivery.destination == DestinationKind::Slack;
        ledger.ready(now).filter(to_slack).map(|open| open.notice.title.clone()).collect()
    }

    #[test]
    fn a_notice_goes_to_every_destination_once() {
        let (mut ledger, rules) = (AlertLedger::default(), AlertRules::default());
        assert_eq!(observe(&mut ledger, &price("p/m"), &rules, 5).len(), 4, "the state, the cap, two deliveries");
        assert_eq!(observe(&mut ledger, &price("p/m"), &rules, 6), []);
        assert_eq!(ledger.due(&rules), Some(5));
        let ready: Vec<Delivery> = ledger.ready(5).map(|open| open.delivery.clone()).collect();
        assert_eq!(ready.len(), 2);
        let later = Attempt::Later { after: None, reason: "HTTP 500".to_owned() };
        assert_eq!(ledger.attempted(&ready[0], &Attempt::Accepted, 6, 0).len(), 1);
        assert_eq!(ledger.attempted(&ready[1], &later, 6, 0).len(), 1);
        assert_eq!(ledger.due(&rules), Some(5_006));
        assert_eq!(ledger.ready(5_005).count(), 0);
        ledger.attempted(&ready[1], &Attempt::Accepted, 5_006, 0);
        assert_eq!(ledger.due(&rules), None);
    }

    #[test]
    fn a_delivery_is_sent_by_one_attempt_at_a_time_and_again_after_a_crash() {
        let (mut ledger, mut rows, rules) = (AlertLedger::default(), Rows::default(), AlertRules::default());
        observe(&mut ledger, &price("p/m"), &rules, 5).iter().for_each(|write| rows.write(write));
        let begun = ledger.begin(5, 1);
        assert_eq!((begun.len(), ledger.ready(5).count(), ledger.due(&rules)), (1, 1, Some(5)));
        assert_eq!((ledger.begin(5, 9).len(), ledger.begin(5, 9).len(), ledger.due(&rules)), (1, 0, None));
        assert_eq!(rows.restored().begin(5, 9).first(), begun.first(), "the same id");
        ledger.attempted(&begun[0].delivery, &Attempt::Accepted, 6, 0);
        assert_eq!(ledger.open.len(), 1);
    }

    #[test]
    fn a_destination_that_is_gone_is_known_by_its_address() {
        let mut ledger = AlertLedger::default();
        assert!(ledger.set_gone(DestinationKind::Slack, Some("a".to_owned())).is_some());
        assert!(ledger.set_gone(DestinationKind::Slack, Some("a".to_owned())).is_none());
        let gone = ["a", "b"].map(|address| ledger.is_gone(DestinationKind::Slack, address));
        assert_eq!(gone, [true, false]);
        assert!(!ledger.is_gone(DestinationKind::Webhook, "a"));
        assert!(ledger.set_gone(DestinationKind::Slack, None).is_some());
        assert!(!ledger.is_gone(DestinationKind::Slack, "a"));
    }

    #[test]
    fn a_target_that_stays_down_is_reported_without_another_request() {
        let (mut ledger, rules) = (AlertLedger::default(), AlertRules::default());
        observe(&mut ledger, &target(true), &rules, 1_000);
        assert_eq!(ledger.due(&rules), Some(61_000));
        assert_eq!(ledger.tick(settings(&rules), 60_999), []);
        assert!(!ledger.tick(settings(&rules), 61_000).is_empty());
        assert_eq!(titles(&ledger, 61_000), ["The target p/m is down."]);
        assert_eq!(ledger.tick(settings(&rules), 62_000), []);
        observe(&mut ledger, &target(false), &rules, 70_000);
        ledger.tick(settings(&rules), 190_000);
        assert_eq!(titles(&ledger, 190_000), ["The target p/m is down.", "The target p/m serves again."]);
    }

    #[test]
    fn a_target_that_is_back_at_once_is_not_reported() {
        let (mut ledger, rules) = (AlertLedger::default(), AlertRules::default());
        observe(&mut ledger, &target(true), &rules, 1_000);
        observe(&mut ledger, &target(false), &rules, 2_000);
        assert_eq!(ledger.due(&rules), None);
        assert_eq!(ledger.tick(settings(&rules), 100_000), []);
    }

    #[test]
    fn what_the_cap_withholds_is_reported_in_the_next_hour() {
        let (mut ledger, rules) = (AlertLedger::default(), AlertRules { per_hour: 1, ..AlertRules::default() });
        for model in ["p/a", "p/b", "p/c"] {
            observe(&mut ledger, &price(model), &rules, 5);
        }
        assert_eq!(titles(&ledger, 5).len(), 1);
        ledger.tick(settings(&rules), 3_600_000);
        let expected = "2 alerts were not sent, because the limit of alerts per hour was reached.";
        assert_eq!(titles(&ledger, 3_600_000)[1..], [expected]);
        ledger.test("n", settings(&rules), 3_600_000);
        assert_eq!(titles(&ledger, 3_600_000).len(), 3, "a test is sent in any case");
    }

    #[test]
    fn a_destination_that_is_gone_gets_nothing_more() {
        let (mut ledger, rules) = (AlertLedger::default(), AlertRules::default());
        observe(&mut ledger, &price("p/a"), &rules, 5);
        observe(&mut ledger, &price("p/b"), &rules, 5);
        let first = ledger.ready(5).next().unwrap().delivery.clone();
        let writes = ledger.attempted(&first, &Attempt::Gone, 6, 0);
        assert_eq!(writes.len(), 2);
        assert!(ledger.ready(6).all(|open| open.delivery.destination == DestinationKind::Slack));
    }

    #[test]
    fn destinations_that_are_down_for_days_do_not_fill_the_memory() {
        let (mut ledger, rules) = (AlertLedger::default(), AlertRules::default());
        let writes: Vec<AlertWrite> =
            (0..MAX_OPEN).flat_map(|number| ledger.test(&number.to_string(), settings(&rules), 5)).collect();
        assert_eq!((ledger.open.len(), writes.len()), (MAX_OPEN, 2 * MAX_OPEN));
        let Some(AlertWrite::Delivery(last)) = writes.last() else { panic!("a delivery was expected") };
        assert_eq!(last.delivery.state, DeliveryState::Ended { at: 5, end: DeliveryEnd::GivenUp });
    }

    /// The rows of a store.
    #[derive(Default)]
    struct Rows(Vec<(String, String)>);

    impl Rows {
        fn write(&mut self, write: &AlertWrite) {
            let name = match write {
                AlertWrite::State { name, .. } => format!("state {name}"),
                AlertWrite::Cap { .. } => "cap".to_owned(),
                AlertWrite::Delivery(open) => format!("{} {:?}", open.notice.id, open.delivery.destination),
                AlertWrite::Gone { destination, .. } => format!("gone {destination:?}"),
                AlertWrite::Forget { name } => format!("state {name}"),
            };
            let row = serde_json::to_string(write).unwrap();
            match self.0.iter_mut().find(|(other, _)| *other == name) {
                Some((_, old)) => *old = row,
                None => self.0.push((name, row)),
            }
        }

        fn restored(&self) -> AlertLedger {
            let mut ledger = AlertLedger::default();
            self.0.iter().for_each(|(_, row)| ledger.restore(serde_json::from_str(row).unwrap()));
            ledger
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_stored_is_what_is_known(commands in prop::collection::vec((0u8..6, 0u64..90_000), 0..40)) {
            let rules = AlertRules { per_hour: 2, ..AlertRules::default() };
            let (mut ledger, mut rows, mut now) = (AlertLedger::default(), Rows::default(), 0);
            for (command, passed) in commands {
                now += passed;
                let writes = match command {
                    0 => observe(&mut ledger, &target(true), &rules, now),
                    1 => observe(&mut ledger, &target(false), &rules, now),
                    2 => observe(&mut ledger, &price(&format!("p/{passed}")), &rules, now),
                    3 => ledger.tick(settings(&rules), now),
                    4 => ledger.test(&rows.0.len().to_string(), settings(&rules), now),
                    _ => {
                        let ready = ledger.ready(now).next().map(|open| open.delivery.clone());
                        let accept = |tried: Delivery| ledger.attempted(&tried, &Attempt::Accepted, now, 0);
                        ready.map(accept).unwrap_or_default()
                    }
                };
                writes.iter().for_each(|write| rows.write(write));
                prop_assert_eq!(&rows.restored(), &ledger);
            }
        }
    }
}
