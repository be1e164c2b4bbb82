//! Alerts: it watches what batches report, stores what the ledger of alerts says, and hands out the notices
//! that are due. The object sends them.

use worker::{Result, SqlStorage};

use super::alert_store::AlertStore;
use super::part::Part;
use crate::alerts::{
    AlertCommand, AlertLedger, AlertReport, AlertResponse, AlertRules, AlertSettings, AlertWrite, Attempt, Delivery,
    Destination, DestinationKind, Message, Notice, Observation, Reply, RequestWatch, message,
};
use crate::config::Millis;
use crate::edge::clock::now;
use crate::edge::{js, webhook};
use crate::gateway::Opened;
use crate::operations::Batch;

/// The name of this object's own store in alerts, and how many bytes the platform lets an object store.
const STORE: &str = "operations";
const CAPACITY: u64 = 10_000_000_000;
/// How many notices are sent at the same time.
const MAX_SENDING: usize = 6;

/// The alerts.
pub(super) struct Alerts {
    sql: SqlStorage,
    store: AlertStore,
    rules: AlertRules,
    destinations: Vec<Destination>,
    ledger: AlertLedger,
    watch: RequestWatch,
}

/// A notice that is to be sent.
pub(super) struct Outgoing {
    /// The address; `None` if the destination is not configured any more.
    url: Option<String>,
    message: Message,
    delivery: Delivery,
}

impl Outgoing {
    /// Sends it once.
    pub(super) async fn send(&self) -> Reply {
        match &self.url {
            Some(url) => webhook::send(url, &self.message, now()).await,
            None => Reply::Unreachable,
        }
    }
}

impl Alerts {
    pub(super) fn open(sql: &SqlStorage, bridge: &Opened) -> Result<Self> {
        let store = AlertStore::new(sql.clone());
        let mut ledger = AlertLedger::default();
        store.writes()?.into_iter().for_each(|write| ledger.restore(write));
        let (rules, destinations) = match bridge {
            Ok(bridge) => (bridge.alert_rules().clone(), bridge.alert_destinations().usable.clone()),
            Err(_) => Default::default(),
        };
        let watch = store.watch()?;
        Ok(Self { sql: sql.clone(), store, rules, destinations, ledger, watch })
    }

    /// Does what is due, and begins the sending of notices.
    pub(super) fn begin(&mut self, now: Millis) -> Result<Vec<Outgoing>> {
        let existing = self.existing();
        self.with_ledger(&existing, |ledger, settings| ledger.tick(settings, now))?;
        let begun = self.ledger.begin(now, MAX_SENDING);
        Ok(begun.into_iter().map(|open| self.outgoing(&open.notice, open.delivery, now)).collect())
    }

    /// Records the reply to a notice.
    pub(super) fn sent(&mut self, outgoing: &Outgoing, reply: &Reply, now: Millis) -> Result<()> {
        let kind = outgoing.delivery.destination;
        let attempt = match outgoing.url {
            Some(_) => Attempt::of(kind, reply),
            None => Attempt::Refused { reason: "the destination is not configured any more".to_owned() },
        };
        let random = js::random().first().copied().unwrap_or_default();
        let mut writes = self.ledger.attempted(&outgoing.delivery, &attempt, now, random);
        let address = self.destination(kind).map(Destination::fingerprint);
        writes.extend(match attempt {
            Attempt::Gone => self.ledger.set_gone(kind, address),
            Attempt::Accepted => self.ledger.set_gone(kind, None),
            Attempt::Later { .. } | Attempt::Refused { .. } => None,
        });
        self.store.write(&writes)
    }

    fn outgoing(&self, notice: &Notice, delivery: Delivery, now: Millis) -> Outgoing {
        let destination = self.destination(delivery.destination);
        let empty = Message { headers: Vec::new(), body: String::new() };
        let message = destination.map_or(empty, |destination| message(notice, destination, now));
        Outgoing { url: destination.map(|destination| destination.url.clone()), message, delivery }
    }

    fn destination(&self, kind: DestinationKind) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.kind == kind)
    }

    /// The destinations that exist, as far as is known.
    fn existing(&self) -> Vec<DestinationKind> {
        let exists = |destination: &&Destination| !self.ledger.is_gone(destination.kind, &destination.fingerprint());
        self.destinations.iter().filter(exists).map(|destination| destination.kind).collect()
    }

    /// Asks the ledger, and stores what has changed.
    fn with_ledger(
        &mut self,
        destinations: &[DestinationKind],
        ask: impl FnOnce(&mut AlertLedger, AlertSettings<'_>) -> Vec<AlertWrite>,
    ) -> Result<()> {
        let writes = ask(&mut self.ledger, AlertSettings { rules: &self.rules, destinations });
        self.store.write(&writes)
    }

    /// A test goes to all destinations, also to those that are gone: they may be back.
    fn test(&mut self, now: Millis) -> Result<AlertResponse> {
        let destinations: Vec<DestinationKind> = self.destinations.iter().map(|destination| destination.kind).collect();
        let nonce: String = js::random().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        self.with_ledger(&destinations, |ledger, settings| ledger.test(&nonce, settings, now))?;
        Ok(AlertResponse::Tested { notice: Notice::test(now, &nonce).id, destinations })
    }

    fn report(&self, deliveries: u64) -> Result<AlertResponse> {
        let (raised, has_more) = self.ledger.raised();
        let existing = self.existing();
        let gone = self.destinations.iter().map(|destination| destination.kind);
        let gone = gone.filter(|kind| !existing.contains(kind)).collect();
        let deliveries = self.store.deliveries(deliveries)?;
        Ok(AlertResponse::Report(AlertReport { raised, has_more, deliveries, gone }))
    }
}

impl Part for Alerts {
    fn record(&mut self, batch: &Batch, now: Millis) -> Result<()> {
        self.watch.add(&batch.summaries);
        let mut seen = self.watch.observations(&batch.summaries, &self.rules, now);
        seen.extend(batch.observations.iter().cloned());
        let used = self.sql.database_size() as u64;
        seen.push(Observation::Store { name: STORE.to_owned(), used, capacity: CAPACITY });
        let existing = self.existing();
        self.with_ledger(&existing, |ledger, settings| {
            seen.iter().flat_map(|seen| ledger.observe(seen, settings, now)).collect()
        })
    }

    fn handle(&mut self, command: &str, now: Millis) -> Result<String> {
        let response = match serde_json::from_str(command) {
            Ok(AlertCommand::Read { deliveries }) => self.report(deliveries)?,
            Ok(AlertCommand::Test) => self.test(now)?,
            Err(_) => AlertResponse::Malformed,
        };
        Ok(serde_json::to_string(&response)?)
    }

    fn replay(&mut self, batch: &Batch, _received: Millis) -> Result<()> {
        self.watch.add(&batch.summaries);
        Ok(())
    }

    fn fold(&mut self, _now: Millis) -> Result<()> {
        self.store.fold(&self.watch)
    }

    fn wake_at(&self) -> Option<Millis> {
        self.ledger.due(&self.rules)
    }
}
