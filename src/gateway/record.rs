//! What is known of one request: a fold over the facts of its life. Receipts and log events are drawn from
//! it. It never holds a key.

use super::admission::Admission;
use super::dropped_fields::DroppedFields;
use super::ended_attempt::{AttemptCharge, AttemptTarget, EndedAttempt};
pub use super::fact::{Fact, Outcome, ResponseFacts};
use super::metering::{Metering, UncountedText};
use super::planned_attempt::{ATTEMPTS, listed_attempts};
use super::plausible::PlausibleUsage;
use super::shown::Recovered;
use crate::canonical::Usage;
use crate::config::{Millis, Nanos};
use crate::error::Error;
use crate::ids::AccountId;
use crate::ledger::{LOST, Receipt};
use crate::telemetry::{
    AttemptFailed, CatalogueStale, Chunk, Event, EventKind, RequestEnd, RequestFields, RequestStart,
};
use crate::wire::dollars::dollars;

/// The most of a model's name that is kept, in characters. Callers and providers may invent names.
const MAX_NAME: usize = 200;

/// What is known of one request.
#[derive(Clone, Debug, Default)]
pub struct RequestRecord {
    /// The request's id: the caller's own, or a new one.
    request_id: String,
    /// When it arrived.
    started: Millis,
    /// Where from, as far as the platform says.
    client_ip: Option<String>,
    key_id: Option<AccountId>,
    /// Where the present attempt goes, or the last one went; `None` before that is known.
    target: Option<AttemptTarget>,
    model: Option<String>,
    stream: bool,
    status: u16,
    /// When the provider was called, once it has begun to respond.
    sent: Option<Millis>,
    first_byte: Option<Millis>,
    /// A request without an admission leaves no receipt.
    admission: Option<Admission>,
    pub(super) plausible: Option<PlausibleUsage>,
    pub(super) metering: Option<Metering>,
    /// The tokens, as the provider reported them, or estimated.
    pub(super) usage: Option<Usage>,
    /// The tokens are an estimate: the provider reported none, or not all.
    pub(super) estimated: bool,
    /// The tokens that the provider reported before it went on.
    pub(super) part: Option<Usage>,
    /// How the provider says it served the request.
    pub(super) tier: Option<String>,
    /// Tokens that the provider may have generated, and bills, without anybody reading them.
    pub(super) unread_tokens: u64,
    pub(super) cost: Option<Nanos>,
    /// What the estimate would be better for being counted.
    pub(super) uncounted: Option<UncountedText>,
    /// The attempts that failed before the present one.
    ended: Vec<EndedAttempt>,
    outcome: Outcome,
    served: Option<String>,
    finished: Millis,
    malformed: u32,
    dropped: Option<DroppedFields>,
    /// How the response went on after an attempt had left it unfinished.
    recovered: Option<Recovered>,
    /// The tags that the caller gave it, by name.
    pub(super) tags: Vec<(String, String)>,
}

impl RequestRecord {
    /// The record of a request that has just arrived.
    pub fn accepted(request_id: String, client_ip: Option<String>, now: Millis) -> Self {
        Self { request_id, client_ip, started: now, ..Self::default() }
    }

    /// Adds a fact.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Authenticated { key_id } => self.key_id = Some(key_id),
            Fact::Tagged { tags } => self.tags = tags,
            Fact::Read { model, is_stream } => (self.model, self.stream) = (Some(cut(model)), is_stream),
            Fact::Routed(target) => self.target = Some(AttemptTarget { model: cut(target.model), ..target }),
            Fact::Admitted { admission, plausible } => {
                (self.admission, self.plausible) = (Some(admission), Some(plausible));
            }
            Fact::Targeted { plausible } => self.plausible = Some(plausible),
            Fact::AttemptStarted { metering, dropped } => (self.metering, self.dropped) = (metering, dropped),
            Fact::HeadReceived { sent } => self.sent = Some(sent),
            Fact::FirstByte { at } => self.first_byte = Some(at),
            Fact::AttemptEnded(response) => self.end_attempt(response),
            Fact::AttemptFailed { class, billable, at } => self.fail_attempt(class, billable, at),
            Fact::Failed { billable, at } => self.charge_failure(billable, at),
            Fact::Recovered { how } => self.recovered = how,
            Fact::TokensCounted { prompt, output } => self.estimate(prompt, output),
            Fact::Ended { status, outcome, at } => (self.status, self.outcome, self.finished) = (status, outcome, at),
        }
    }

    fn end_attempt(&mut self, response: ResponseFacts) {
        let ResponseFacts { served, malformed, usage, unread_until } = response;
        (self.served, self.malformed) = (served.map(cut), malformed);
        if let Some(usage) = usage {
            self.charge(usage);
        }
        if let Some(until) = unread_until {
            self.charge_unread(until);
        }
    }

    /// Charges for an attempt that failed, and keeps it beside the next one.
    fn fail_attempt(&mut self, class: &'static str, billable: bool, at: Millis) {
        self.charge_failure(billable, at);
        let bill = self.bill();
        let started = self.metering.take().map_or(at, |metering| metering.called);
        let target = self.target.clone().unwrap_or_default();
        let charge = self.own_charge();
        self.ended.push(EndedAttempt { target, class, started, ended: at, charge, bill });
        (self.usage, self.estimated, self.cost) = (None, false, None);
        (self.part, self.tier, self.unread_tokens, self.uncounted) = (None, None, 0, None);
        (self.served, self.sent, self.first_byte, self.dropped) = (None, None, None, None);
    }

    /// What the present attempt took.
    fn own_charge(&self) -> AttemptCharge {
        AttemptCharge { usage: self.usage, estimated: self.estimated, cost: self.cost }
    }

    /// What all attempts took.
    fn charge_of_all(&self) -> AttemptCharge {
        // A request that has failed has no present attempt.
        let is_over = self.usage.is_none() && self.metering.is_none() && !self.ended.is_empty();
        let own = if is_over { AttemptCharge { cost: Some(0), ..AttemptCharge::default() } } else { self.own_charge() };
        self.ended.iter().fold(own, |sum, attempt| sum.plus(&attempt.charge))
    }

    /// The attempts, if the request took several.
    pub(super) fn attempts(&self) -> Vec<EndedAttempt> {
        let mut attempts = self.ended.clone();
        if let Some(metering) = self.metering.as_ref().filter(|_| !attempts.is_empty()) {
            let (target, started) = (self.target.clone().unwrap_or_default(), metering.called);
            let (charge, bill) = (self.own_charge(), self.bill());
            attempts.push(EndedAttempt { target, class: "", started, ended: self.finished, charge, bill });
        }
        attempts
    }

    /// How many attempts have failed before the present one.
    pub(super) fn failed_attempts(&self) -> usize {
        self.ended.len()
    }

    /// How the response went on after an attempt had left it unfinished, if it did.
    pub(super) fn recovered(&self) -> Option<&'static str> {
        self.recovered.map(Recovered::name)
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The id of the caller's key; empty before it is known.
    pub(super) fn key_id(&self) -> &str {
        self.key_id.as_ref().map_or("", AccountId::as_str)
    }

    /// The status that the client got.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Whether a streamed response was asked for.
    pub(super) fn is_stream(&self) -> bool {
        self.stream
    }

    /// When the request arrived.
    pub(super) fn started(&self) -> Millis {
        self.started
    }

    /// When the first bytes of the response came, if they have.
    pub(super) fn first_byte(&self) -> Option<Millis> {
        self.first_byte
    }

    /// The provider called, by its name in the configuration; empty before it is known.
    pub(super) fn provider(&self) -> &str {
        self.target.as_ref().map_or("", |target| &target.provider)
    }

    /// The model called, as its provider names it; empty before it is known.
    pub(super) fn called(&self) -> &str {
        self.target.as_ref().map_or("", |target| &target.model)
    }

    /// The model that was asked for, as the caller named it; empty before it is known.
    pub(super) fn asked(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    /// The class of the last attempt's failure, if no attempt followed it.
    pub(super) fn last_class(&self) -> Option<&'static str> {
        if self.metering.is_some() { None } else { self.ended.last().map(|attempt| attempt.class) }
    }

    /// The only attempt of a request that has ended; `None` if no provider was called.
    pub(super) fn only_attempt(&self) -> Option<EndedAttempt> {
        let started = self.metering.as_ref().map(|metering| metering.called).or(self.sent)?;
        let (target, charge) = (self.target.clone().unwrap_or_default(), self.own_charge());
        Some(EndedAttempt { target, class: "", started, ended: self.finished, charge, bill: self.bill() })
    }

    /// The response header with the targets that were tried, if the key may see them and there was a choice.
    pub(super) fn attempts_header(&self, is_under_way: bool) -> Option<(&'static str, String)> {
        self.admission.as_ref().filter(|admission| admission.show_attempts)?;
        let present = self.target.as_ref().filter(|_| is_under_way).map(|target| (target, ""));
        let ended = self.ended.iter().map(|attempt| (&attempt.target, attempt.class));
        Some((ATTEMPTS, listed_attempts(ended.chain(present))))
    }

    /// What the key's accounts granted.
    pub(super) fn admission(&self) -> Option<&Admission> {
        self.admission.as_ref()
    }

    /// Fields that the provider's format cannot hold.
    pub(super) fn dropped(&self) -> Option<&DroppedFields> {
        self.dropped.as_ref()
    }

    /// The response header `server-timing`: where the time went, in milliseconds
    /// (<https://www.w3.org/TR/server-timing/>). For responses that are not streamed.
    pub(super) fn server_timing(&self, now: Millis) -> Option<String> {
        let (sent, first_byte) = (self.sent?, self.first_byte?);
        let upstream = now.saturating_sub(sent);
        let gateway = now.saturating_sub(self.started).saturating_sub(upstream);
        let ttft = first_byte.saturating_sub(self.started);
        Some(format!("gateway;dur={gateway}, upstream;dur={upstream}, ttft;dur={ttft}"))
    }

    /// What the request cost, in dollars, if that is known and no estimate.
    pub(super) fn exact_cost(&self) -> Option<String> {
        let AttemptCharge { estimated, cost, .. } = self.charge_of_all();
        cost.filter(|_| !estimated).map(dollars)
    }

    /// The receipt for an account. `is_member`: for that of the key's parent.
    pub(super) fn receipt(&self, admission: &Admission, is_member: bool) -> Receipt {
        let AttemptCharge { usage, estimated, cost } = self.charge_of_all();
        let target = self.target.clone().unwrap_or_default();
        Receipt {
            id: admission.id.clone(),
            request_id: self.request_id.clone(),
            key_id: self.key_id.clone().unwrap_or_default(),
            provider: target.provider,
            model: target.model,
            served: self.served.clone(),
            stream: self.stream,
            status: self.status,
            outcome: self.outcome.name().to_owned(),
            started: self.started,
            ended: self.finished,
            ttft_ms: self.first_byte.map(|at| at.saturating_sub(self.started)),
            tokens: usage.map(Into::into),
            estimated,
            member: is_member,
            reservation: None,
            cost,
            attempts: self.attempts().iter().map(EndedAttempt::entry).collect(),
            recovered: self.recovered().unwrap_or_default().to_owned(),
        }
    }

    /// The receipt that stands if this request is never settled; tokens and cost are still to be estimated.
    pub(super) fn draft(&self) -> Receipt {
        let receipt = self.receipt(&Admission::default(), false);
        // The status that the client got is not known.
        Receipt { outcome: LOST.to_owned(), status: 0, estimated: true, ..receipt }
    }

    /// The event of the request's start. `conversation` is JSON.
    pub(super) fn start_event<'a>(&'a self, now: Millis, conversation: Option<&'a str>) -> Event<'a> {
        let start = RequestStart { request: self.request_fields(), messages: conversation };
        Event { at: now, kind: EventKind::RequestStart(start) }
    }

    /// The event of the request's end, whatever the end.
    pub(super) fn end_event<'a>(&'a self, error: Option<&'a Error>, response: Option<&'a str>) -> Event<'a> {
        let is_failure = error.is_some() || !matches!(self.outcome, Outcome::Complete | Outcome::ClientClosed);
        let AttemptCharge { usage, estimated, cost } = self.charge_of_all();
        let end = RequestEnd {
            request: self.request_fields(),
            status: self.status,
            outcome: self.outcome.name(),
            is_failure,
            error,
            duration: self.finished.saturating_sub(self.started),
            time_to_first_byte: self.first_byte.map(|at| at.saturating_sub(self.started)),
            model_served: self.served.as_deref(),
            input_tokens: usage.map(|usage| usage.prompt()),
            output_tokens: usage.map(|usage| usage.output),
            is_estimated: estimated,
            cost: usage.and(cost),
            failed_attempts: self.ended.len(),
            recovered: self.recovered(),
            malformed_events: self.malformed,
            dropped: self.dropped.as_ref().map(|dropped| dropped.logged.as_str()),
            response,
        };
        Event { at: self.finished, kind: EventKind::RequestEnd(end) }
    }

    /// The event of a piece of a stream.
    pub(super) fn chunk_event<'a>(&'a self, now: Millis, bytes: &'a [u8]) -> Event<'a> {
        Event { at: now, kind: EventKind::Chunk(Chunk { request: self.request_fields(), bytes }) }
    }

    /// The event of a field that the provider refused, as it names it. `count`: the isolate has learned so
    /// often from refusals.
    pub(super) fn stale_event(&self, now: Millis, field: &'static str, count: u64) -> Event<'_> {
        let stale = CatalogueStale { request: self.request_fields(), field, count };
        Event { at: now, kind: EventKind::CatalogueStale(stale) }
    }

    /// The event of an attempt that failed, by the name of its class, after which the request may go on.
    pub(super) fn attempt_event<'a>(&'a self, now: Millis, error: &'a Error, class: &'static str) -> Event<'a> {
        let model = self.target.as_ref().map_or("", |target| &target.model);
        let failed = AttemptFailed { request: self.request_fields(), model, class, error };
        Event { at: now, kind: EventKind::AttemptFailed(failed) }
    }

    fn request_fields(&self) -> RequestFields<'_> {
        RequestFields {
            request_id: &self.request_id,
            key_id: self.key_id.as_ref().map(AccountId::as_str),
            client_ip: self.client_ip.as_deref(),
            provider: self.target.as_ref().map(|target| target.provider.as_str()),
            model: self.model.as_deref(),
            stream: self.model.is_some().then_some(self.stream),
        }
    }
}

/// The beginning of a name. What is cut off is freed.
fn cut(name: String) -> String {
    if name.len() <= MAX_NAME { name } else { name.chars().take(MAX_NAME).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Logging;
    use crate::telemetry::render;

    #[test]
    fn names_are_cut_wherever_they_come_from() {
        let (long, kept) = ("é".repeat(100_000), "é".repeat(200));
        let mut record = RequestRecord::accepted("r".into(), None, 0);
        record.apply(Fact::Read { model: long.clone(), is_stream: false });
        record.apply(Fact::Routed(AttemptTarget { provider: "p".into(), model: long.clone(), key: 0 }));
        record.apply(Fact::AttemptFailed { class: "busy", billable: false, at: 1 });
        record.apply(Fact::Routed(AttemptTarget { provider: "p".into(), model: long.clone(), key: 1 }));
        record.apply(Fact::AttemptStarted { metering: Some(Metering::default()), dropped: None });
        record.apply(Fact::AttemptEnded(ResponseFacts { served: Some(long), ..ResponseFacts::default() }));
        let receipt = record.receipt(&Admission::default(), false);
        let summary = record.summary(&receipt, None);
        assert_eq!((&summary.route, &summary.model, summary.served.as_ref()), (&kept, &kept, Some(&kept)));
        assert_eq!((&receipt.model, receipt.served.as_ref()), (&kept, Some(&kept)));
        assert!(receipt.attempts.len() == 2 && receipt.attempts.iter().all(|attempt| attempt.model == kept));
        assert!(summary.attempts.len() == 2 && summary.attempts.iter().all(|attempt| attempt.model == kept));
    }

    #[test]
    fn the_end_of_a_request_is_one_flat_object() {
        let receipt = RequestRecord {
            request_id: "r\"1".into(),
            model: Some("m".into()),
            status: 200,
            started: 5,
            finished: 12,
            ..RequestRecord::default()
        };
        let line = render(&receipt.end_event(None, Some("secret answer")), &Logging::default());
        let expected = r#"{"timestamp":"1970-01-01T00:00:00.012Z","level":"info","event":"request_complete","request_id":"r\"1","model":"m","stream":false,"status":200,"outcome":"complete","duration_ms":7}"#;
        assert_eq!(line.as_deref(), Some(expected));
    }
}
