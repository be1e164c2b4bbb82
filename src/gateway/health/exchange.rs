//! Tells the shared object what has changed, and asks it what others know: always in the background, never on
//! the way of a request.

use std::rc::Rc;

use super::known::{Known, POLL_INTERVAL};
use crate::alerts::Observation;
use crate::gateway::object;
use crate::gateway::platform::{ObjectAddress, ObjectError, Platform};
use crate::ledger::health::{HealthCommand, HealthEntry, SubjectKind};
use crate::policy::health::HealthChange;

/// Reports changes, if others should know of them. The response brings what others know.
pub(super) fn tell<P: Platform>(known: &Rc<Known>, platform: &P, changes: &[HealthChange]) {
    if changes.is_empty() {
        return;
    }
    known.learn_place(platform);
    if let Some(report) = known.report(changes, platform.now()) {
        observe(platform, &report);
        send(known, platform, report);
    }
}

/// Observes which breakers have opened, for alerts. That a target serves again is seen by its requests.
fn observe<P: Platform>(platform: &P, report: &HealthCommand) {
    let HealthCommand::Report { out, .. } = report else { return };
    for HealthEntry { subject, reason, .. } in out {
        let name = match (subject.kind, &subject.model) {
            (SubjectKind::Host, _) => subject.provider.clone(),
            (SubjectKind::Target, Some(model)) => format!("{}/{model}", subject.provider),
            _ => continue,
        };
        platform.observe(Observation::Target { name, is_down: true, reason: Some(reason.clone()) });
    }
}

/// Asks what others know, at most once in [`POLL_INTERVAL`].
pub(super) fn poll<P: Platform>(known: &Rc<Known>, platform: &P) {
    let now = platform.now();
    if known.polled.get().is_some_and(|polled| now < polled.saturating_add(POLL_INTERVAL)) {
        return;
    }
    known.polled.set(Some(now));
    known.learn_place(platform);
    send(known, platform, HealthCommand::Read { version: known.version.get() });
}

fn send<P: Platform>(known: &Rc<Known>, platform: &P, command: HealthCommand) {
    if known.is_unbound.get() {
        return;
    }
    let (known, asking) = (Rc::clone(known), platform.clone());
    platform.keep(async move {
        let command = serde_json::to_string(&command).unwrap_or_default();
        match object::ask_soon(&asking, ObjectAddress::Health, command).await {
            Ok(response) => known.take(&response, asking.now()),
            Err(ObjectError::Unbound) => known.is_unbound.set(true),
            // What has changed here is reported again when it changes again.
            Err(ObjectError::Unreachable) => {}
        }
    });
}
