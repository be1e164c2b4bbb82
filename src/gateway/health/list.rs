//! Lists what is out, for operators.

use super::known::Known;
use super::pool::{name_of, subject_of};
use crate::config::Millis;
use crate::ledger::health::{HealthSubject, HealthView, SubjectKind};
use crate::policy::health::{Availability, HealthEvidence, Subject};

/// Something that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// By which it is reset.
    pub id: String,
    /// The provider's name.
    pub provider: String,
    /// The provider's name for the model; `None` for all models.
    pub model: Option<String>,
    /// The indexes of the keys, in the order of the configuration; `None` for all keys.
    pub keys: Option<Vec<usize>>,
    /// Its state.
    pub state: OutState,
    /// The class of the failure.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since: Millis,
    /// Until when.
    pub until: Millis,
    /// Who knows it.
    pub known: KnownWhere,
}

/// How something is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutState {
    /// Its breaker is open.
    Open,
    /// Its breaker was open, or it has rested, and the next request is the probe.
    HalfOpen,
    /// It rests.
    Resting,
}

/// Who knows that something is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownWhere {
    /// All isolates, or they will within half a minute.
    Everywhere,
    /// The isolate that was asked.
    Here,
}

impl Known {
    /// What is out: everywhere, and in this isolate.
    pub(super) fn list(&self, view: &HealthView, now: Millis) -> Vec<StateRow> {
        let mut rows = Vec::new();
        for entry in &view.entries {
            let subject = subject_of(&self.pools, &entry.subject, self.here());
            let is_open = matches!(entry.subject.kind, SubjectKind::Host | SubjectKind::Target);
            rows.push(StateRow {
                id: id_of(&entry.subject),
                provider: entry.subject.provider.clone(),
                model: entry.subject.model.clone(),
                keys: match entry.subject.kind {
                    SubjectKind::Place => None,
                    _ => subject.map_or(Some(Vec::new()), |subject| self.keys_of(&subject)),
                },
                state: out_state(is_open, entry.until, now),
                reason: entry.reason.clone(),
                since: entry.since,
                until: entry.until,
                known: KnownWhere::Everywhere,
            });
        }
        for record in self.health.borrow().records() {
            let Some(evidence) = record.evidence().filter(|_| record.availability(now) != Availability::Ready) else {
                continue;
            };
            rows.extend(self.own_row(evidence, view, now));
        }
        rows
    }

    /// The row of what this isolate has found and not told the others.
    fn own_row(&self, evidence: HealthEvidence, view: &HealthView, now: Millis) -> Option<StateRow> {
        let HealthEvidence { subject, reason, since, until } = evidence;
        let name = name_of(&self.pools, &subject, self.here());
        let is_listed = |name: &HealthSubject| view.entries.iter().any(|entry| entry.subject == *name);
        if name.as_ref().is_some_and(is_listed) {
            return None;
        }
        let pool = self.pools.get(subject.provider())?;
        Some(StateRow {
            id: self.id_of_subject(&subject)?,
            provider: pool.provider.clone(),
            model: name.and_then(|name| name.model),
            keys: self.keys_of(&subject),
            state: out_state(subject.has_breaker(), until, now),
            reason: reason.name().to_owned(),
            since,
            until,
            known: KnownWhere::Here,
        })
    }

    /// Forgets the row with this id, or all.
    pub(super) fn reset(&self, id: Option<&str>, now: Millis) {
        let mut health = self.health.borrow_mut();
        let Some(id) = id else {
            self.all_reset.set(now);
            return health.reset(None, now);
        };
        let subjects: Vec<Subject> = health.records().iter().map(|record| record.subject.clone()).collect();
        for subject in subjects.iter().filter(|subject| self.id_of_subject(subject).as_deref() == Some(id)) {
            health.reset(Some(subject), now);
        }
    }

    /// The name of the row with this id. A host as seen from here has none.
    pub(super) fn name_of_row(&self, id: &str, view: &HealthView) -> Option<HealthSubject> {
        let shared = view.entries.iter().map(|entry| &entry.subject).find(|name| id_of(name) == id).cloned();
        shared.or_else(|| {
            let health = self.health.borrow();
            let mut names =
                health.records().iter().filter_map(|record| name_of(&self.pools, &record.subject, self.here()));
            names.find(|name| id_of(name) == id)
        })
    }

    fn id_of_subject(&self, subject: &Subject) -> Option<String> {
        match name_of(&self.pools, subject, self.here()) {
            Some(name) => Some(id_of(&name)),
            None => self.pools.get(subject.provider()).map(|pool| format!("here:{}", pool.provider)),
        }
    }

    /// The indexes of the keys that a subject is about; `None` for all.
    fn keys_of(&self, subject: &Subject) -> Option<Vec<usize>> {
        match subject {
            Subject::Host { .. } | Subject::Target { .. } | Subject::Here { .. } => None,
            Subject::KeyModel { key, .. } | Subject::Key { key, .. } => Some(vec![*key]),
            Subject::Account { provider, account } => {
                let keys = self.pools.get(*provider).map(|pool| pool.keys.as_slice()).unwrap_or_default();
                let of_account = keys.iter().enumerate().filter(|(_, key)| key.account == *account);
                Some(of_account.map(|(index, _)| index).collect())
            }
        }
    }
}

fn out_state(is_open: bool, until: Millis, now: Millis) -> OutState {
    match is_open {
        _ if until <= now => OutState::HalfOpen,
        true => OutState::Open,
        false => OutState::Resting,
    }
}

/// A text that names a subject.
fn id_of(subject: &HealthSubject) -> String {
    let kind = match subject.kind {
        SubjectKind::Host => "host",
        SubjectKind::Target => "target",
        SubjectKind::KeyModel => "key_model",
        SubjectKind::Key => "key",
        SubjectKind::Account => "account",
        SubjectKind::Place => "place",
    };
    let parts = [subject.key.as_deref(), subject.model.as_deref(), subject.data_center.as_deref()];
    parts.into_iter().flatten().fold(format!("{kind}:{}", subject.provider), |id, part| format!("{id}:{part}"))
}
