//! What one isolate knows, and what of it is worth telling others.

use std::cell::{Cell, OnceCell, RefCell};

use super::pool::{KeyPool, name_of, subject_of};
use crate::config::Millis;
use crate::gateway::Platform;
use crate::ledger::health::{HealthCommand, HealthEntry, HealthResponse, HealthReturn, HealthView};
use crate::policy::health::{Health, HealthChange, HealthEvidence, MAX_RECORDS, Subject, reason_of};
use crate::policy::region::data_center;

/// An isolate asks for what others know at most this often.
pub const POLL_INTERVAL: Millis = 30_000;

/// What one isolate knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) health: RefCell<Health>,
    /// One for each provider of the configuration, in the same order.
    pub(super) pools: Vec<KeyPool>,
    /// The data center where this isolate runs, once it is known.
    here: OnceCell<String>,
    /// When the shared health was last asked for.
    pub(super) polled: Cell<Option<Millis>>,
    /// The version of the shared health that has been taken over.
    pub(super) version: Cell<u64>,
    /// The gateway was deployed without the shared object.
    pub(super) is_unbound: Cell<bool>,
    /// The time of the last reset that was carried out, and of the last one of everything.
    reset: Cell<Millis>,
    pub(super) all_reset: Cell<Millis>,
    /// What was reported as out, and when.
    reported: RefCell<Vec<(Subject, Millis)>>,
}

impl Known {
    /// Everything is healthy.
    pub(super) fn new(pools: Vec<KeyPool>) -> Self {
        Self { pools, ..Self::default() }
    }

    /// Learns where this isolate runs: it stays there for its life.
    pub(super) fn learn_place<P: Platform>(&self, platform: &P) {
        if self.here.get().is_none()
            && let Some(name) = platform.data_center().as_deref().and_then(data_center)
        {
            let _ = self.here.set(name);
        }
    }

    /// The data center where this isolate runs, if it is known.
    pub(super) fn here(&self) -> Option<&str> {
        self.here.get().map(String::as_str)
    }

    /// The report of changes; `None` if there is nothing that others should know: a rest that is over before
    /// they learn of it, or a breaker that was reported a moment ago.
    pub(super) fn report(&self, changes: &[HealthChange], now: Millis) -> Option<HealthCommand> {
        let (mut out, mut back) = (Vec::new(), Vec::new());
        for change in changes {
            let Some(subject) = name_of(&self.pools, change.subject(), self.here()) else { continue };
            match change {
                HealthChange::Out(evidence) if self.is_news(evidence, now) => {
                    let HealthEvidence { reason, since, until, .. } = evidence;
                    let reason = reason.name().to_owned();
                    out.push(HealthEntry { subject, reason, since: *since, until: *until });
                }
                HealthChange::Back { subject: own, was_shared } if self.forget_report(own) || *was_shared => {
                    back.push(HealthReturn { subject, at: now });
                }
                HealthChange::Out(_) | HealthChange::Back { .. } => {}
            }
        }
        let is_empty = out.is_empty() && back.is_empty();
        if is_empty { None } else { Some(HealthCommand::Report { out, back }) }
    }

    fn is_news(&self, evidence: &HealthEvidence, now: Millis) -> bool {
        let subject = &evidence.subject;
        let is_long = evidence.until >= now.saturating_add(POLL_INTERVAL);
        let mut reported = self.reported.borrow_mut();
        let is_recent = |at: Millis| now < at.saturating_add(POLL_INTERVAL);
        let is_known = reported.iter().any(|(known, at)| known == subject && is_recent(*at));
        if is_known || !subject.has_breaker() && !is_long {
            return false;
        }
        reported.retain(|(known, _)| known != subject);
        if reported.len() >= MAX_RECORDS {
            reported.remove(0);
        }
        reported.push((subject.clone(), now));
        true
    }

    /// Whether a subject was reported as out. It no longer counts as reported.
    fn forget_report(&self, subject: &Subject) -> bool {
        let mut reported = self.reported.borrow_mut();
        let before = reported.len();
        reported.retain(|(known, _)| known != subject);
        before != reported.len()
    }

    /// Takes over what the shared object says.
    pub(super) fn take(&self, response: &str, now: Millis) {
        let Ok(HealthResponse::Known(view)) = serde_json::from_str(response) else { return };
        self.take_view(&view, now);
    }

    /// Takes over what all isolates together know.
    pub(super) fn take_view(&self, view: &HealthView, now: Millis) {
        let mut health = self.health.borrow_mut();
        for reset in view.resets.iter().filter(|reset| self.reset.get() < reset.at) {
            match &reset.subject {
                None => {
                    health.reset(None, reset.at);
                    self.all_reset.set(self.all_reset.get().max(reset.at));
                }
                Some(name) => {
                    if let Some(subject) = subject_of(&self.pools, name, self.here()) {
                        health.reset(Some(&subject), reset.at);
                    }
                }
            }
        }
        if view.resets.iter().any(|reset| self.reset.get() < reset.at) {
            // What is found again after a reset is news.
            self.reported.borrow_mut().clear();
        }
        let last = view.resets.iter().map(|reset| reset.at).max().unwrap_or(0);
        self.reset.set(self.reset.get().max(last));
        let evidence: Vec<HealthEvidence> =
            view.entries.iter().filter_map(|entry| evidence_of(&self.pools, entry, self.here())).collect();
        health.adopt(&evidence, now);
        self.version.set(view.version);
    }
}

/// What an entry means here; `None` if it is about something that this configuration lacks, or for a reason
/// that this build does not know.
fn evidence_of(pools: &[KeyPool], entry: &HealthEntry, here: Option<&str>) -> Option<HealthEvidence> {
    let HealthEntry { subject, reason, since, until } = entry;
    let subject = subject_of(pools, subject, here)?;
    Some(HealthEvidence { subject, reason: reason_of(reason)?, since: *since, until: *until })
}
