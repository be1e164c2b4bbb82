//! What an action has changed, noted while it is carried out.

use std::cell::RefCell;

use serde::Serialize;

use super::audit::AuditOutcome;

/// What an action has changed. It is kept even if the action fails later.
#[derive(Debug, Default)]
pub struct AuditTrail {
    outcome: RefCell<AuditOutcome>,
}

impl AuditTrail {
    /// The trail of an action on the subject with this id; empty if it is not known yet, or has none.
    pub fn of(subject: &str) -> Self {
        Self { outcome: RefCell::new(AuditOutcome { subject: subject.to_owned(), ..AuditOutcome::default() }) }
    }

    /// Notes that the subject has changed. `before` and `after` are what the admin API shows of it; `()`
    /// stands for one that did not exist, or does not any more.
    pub fn changed(&self, subject: &str, before: &impl Serialize, after: &impl Serialize) {
        let mut outcome = self.outcome.borrow_mut();
        subject.clone_into(&mut outcome.subject);
        outcome.before = serde_json::to_value(before).unwrap_or_default();
        outcome.after = serde_json::to_value(after).unwrap_or_default();
    }

    /// The outcome of the action, whose response has this status.
    pub fn finish(self, status: u16) -> AuditOutcome {
        AuditOutcome { status, ..self.outcome.into_inner() }
    }
}
