//! The state of the shared health.

use super::command::{
    HealthCommand, HealthEntry, HealthReset, HealthResponse, HealthReturn, HealthSubject, HealthView,
};
use crate::config::Millis;

/// The most entries that are kept. When there are more, the one that ends first is forgotten.
pub const MAX_ENTRIES: usize = 256;
/// An entry that nobody takes back is kept so long after its end: until then, the first request of each
/// isolate is a probe.
const GRACE: Millis = 600_000;
/// The longest that something can be out, in milliseconds: a day, and its jitter.
const MAX_OUT: Millis = 86_400_000 + 3_600_000;
/// The latest resets are kept for isolates that have not read them, this many and so long.
const MAX_RESETS: usize = 32;
const RESET_LIFETIME: Millis = 600_000;
/// The longest name of a provider or a model, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// What all isolates together know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedHealth {
    view: HealthView,
}

impl SharedHealth {
    /// The state that was stored. One that cannot be read is empty: isolates find out again what is out.
    pub fn open(stored: Option<&str>) -> Self {
        Self { view: stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default() }
    }

    /// Carries out a command. Returns its response, and what is to be stored if something has changed.
    pub fn handle(&mut self, command: HealthCommand, now: Millis) -> (HealthResponse, Option<String>) {
        let mut has_changed = self.expire(now);
        let known = match command {
            HealthCommand::Report { out, back } => {
                for entry in out {
                    has_changed |= self.put(entry, now);
                }
                for returned in &back {
                    has_changed |= self.take_back(returned);
                }
                0
            }
            HealthCommand::Read { version } => version,
            HealthCommand::Reset(subject) => {
                self.reset(subject, now);
                has_changed = true;
                0
            }
        };
        if has_changed {
            // Also greater than any version before the object's last restart.
            self.view.version = self.view.version.saturating_add(1).max(now);
        }
        let stored = if has_changed { serde_json::to_string(&self.view).ok() } else { None };
        let is_known = known != 0 && known == self.view.version;
        let response = if is_known { HealthResponse::Unchanged } else { HealthResponse::Known(self.view.clone()) };
        (response, stored)
    }

    /// Forgets what is over. Returns whether there was something.
    fn expire(&mut self, now: Millis) -> bool {
        let before = (self.view.entries.len(), self.view.resets.len());
        self.view.entries.retain(|entry| now < entry.until.saturating_add(GRACE));
        self.view.resets.retain(|reset| now < reset.at.saturating_add(RESET_LIFETIME));
        before != (self.view.entries.len(), self.view.resets.len())
    }

    fn put(&mut self, entry: HealthEntry, now: Millis) -> bool {
        let HealthSubject { kind: _, provider, model, key, data_center } = &entry.subject;
        let names = [Some(provider), model.as_ref(), key.as_ref(), data_center.as_ref()];
        if names.into_iter().flatten().any(|name| name.len() > MAX_NAME_BYTES) {
            return false;
        }
        // Clocks of other machines may be ahead.
        let since = entry.since.min(now);
        let entry = HealthEntry { since, until: entry.until.min(now.saturating_add(MAX_OUT)), ..entry };
        let is_reset = self.view.resets.iter().any(|reset| reset.covers(&entry.subject) && since <= reset.at);
        let known = self.view.entries.iter_mut().find(|known| known.subject == entry.subject);
        match known {
            _ if is_reset => return false,
            Some(known) if entry.since < known.since || entry == *known => return false,
            Some(known) => *known = entry,
            None => self.view.entries.push(entry),
        }
        if self.view.entries.len() > MAX_ENTRIES {
            let first = self.view.entries.iter().enumerate().min_by_key(|(_, entry)| entry.until);
            if let Some(index) = first.map(|(index, _)| index) {
                self.view.entries.remove(index);
            }
        }
        true
    }

    /// Removes an entry, if it is not newer than the success.
    fn take_back(&mut self, returned: &HealthReturn) -> bool {
        let before = self.view.entries.len();
        self.view.entries.retain(|entry| entry.subject != returned.subject || returned.at < entry.since);
        before != self.view.entries.len()
    }

    fn reset(&mut self, subject: Option<HealthSubject>, now: Millis) {
        let reset = HealthReset { subject, at: now };
        self.view.entries.retain(|entry| !reset.covers(&entry.subject));
        self.view.resets.retain(|known| known.subject != reset.subject);
        self.view.resets.push(reset);
        if self.view.resets.len() > MAX_RESETS {
            self.view.resets.remove(0);
        }
    }
}

impl HealthReset {
    /// Whether it is about a subject.
    pub fn covers(&self, subject: &HealthSubject) -> bool {
        self.subject.as_ref().is_none_or(|own| own == subject)
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::SubjectKind;
    use super::*;

    const NOW: Millis = 1_000_000_000;

    fn target(model: &str) -> HealthSubject {
        let (provider, model) = ("p".into(), Some(model.into()));
        HealthSubject { kind: SubjectKind::Target, provider, model, key: None, data_center: None }
    }

    fn out(model: &str, since: Millis) -> HealthEntry {
        HealthEntry { subject: target(model), reason: "overload".into(), since, until: since + 5_000 }
    }

    fn report(entry: HealthEntry) -> HealthCommand {
        HealthCommand::Report { out: vec![entry], back: Vec::new() }
    }

    fn back(model: &str, at: Millis) -> HealthCommand {
        HealthCommand::Report { out: Vec::new(), back: vec![HealthReturn { subject: target(model), at }] }
    }

    fn view(health: &mut SharedHealth, now: Millis) -> HealthView {
        match health.handle(HealthCommand::Read { version: 0 }, now).0 {
            HealthResponse::Known(view) => view,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_changes_are_stored_and_read() {
        let mut health = SharedHealth::default();
        let (response, stored) = health.handle(report(out("m", NOW)), NOW);
        let HealthResponse::Known(view) = response else { panic!("{response:?}") };
        assert_eq!(view.entries, [out("m", NOW)]);
        assert_eq!(SharedHealth::open(stored.as_deref()), health);
        let version = view.version;
        assert_eq!(health.handle(HealthCommand::Read { version }, NOW + 1), (HealthResponse::Unchanged, None));
        assert_eq!(health.handle(report(out("m", NOW)), NOW + 1).1, None, "the same again");
        assert!(health.handle(report(out("m", NOW + 1)), NOW + 1).1.is_some());
        assert!(matches!(health.handle(HealthCommand::Read { version }, NOW + 1).0, HealthResponse::Known(_)));
    }

    #[test]
    fn the_later_finding_counts() {
        let mut health = SharedHealth::default();
        health.handle(report(out("m", NOW)), NOW);
        health.handle(report(out("m", NOW - 1)), NOW);
        assert_eq!(view(&mut health, NOW).entries, [out("m", NOW)]);
        health.handle(back("m", NOW - 1), NOW);
        assert_eq!(view(&mut health, NOW).entries.len(), 1, "it failed after that success");
        health.handle(back("m", NOW), NOW);
        assert_eq!(view(&mut health, NOW).entries, []);
    }

    #[test]
    fn a_reset_holds_against_reports_of_what_was_found_before() {
        let mut health = SharedHealth::default();
        health.handle(report(out("m", NOW)), NOW);
        health.handle(report(out("n", NOW)), NOW);
        health.handle(HealthCommand::Reset(Some(target("m"))), NOW + 10);
        assert_eq!(view(&mut health, NOW + 10).entries, [out("n", NOW)]);
        health.handle(report(out("m", NOW + 9)), NOW + 11);
        assert_eq!(view(&mut health, NOW + 11).entries, [out("n", NOW)]);
        health.handle(report(out("m", NOW + 11)), NOW + 11);
        assert_eq!(view(&mut health, NOW + 11).entries.len(), 2);
        health.handle(HealthCommand::Reset(None), NOW + 12);
        let view = view(&mut health, NOW + 12);
        assert_eq!(view.entries, []);
        assert_eq!(view.resets.len(), 2);
    }

    #[test]
    fn what_nobody_takes_back_is_forgotten() {
        let mut health = SharedHealth::default();
        health.handle(report(out("m", NOW)), NOW);
        let end = NOW + 5_000 + GRACE;
        assert_eq!(view(&mut health, end - 1).entries.len(), 1);
        assert_eq!(view(&mut health, end).entries.len(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut health = SharedHealth::default();
        for number in 0..MAX_ENTRIES as u64 + 10 {
            health.handle(report(out(&number.to_string(), NOW + number)), NOW + number);
        }
        let entries = view(&mut health, NOW + 1_000).entries;
        assert_eq!(entries.len(), MAX_ENTRIES);
        assert_eq!(entries.first().map(|entry| entry.since), Some(NOW + 10));
        assert_eq!(health.handle(report(out(&"m".repeat(201), NOW)), NOW).1, None);
        for _ in 0..2 * MAX_RESETS {
            health.handle(HealthCommand::Reset(Some(target("x"))), NOW);
        }
        assert_eq!(view(&mut health, NOW).resets.len(), 1);
    }

    #[test]
    fn a_wrong_clock_does_not_keep_anything_out_for_ever() {
        let mut health = SharedHealth::default();
        let entry = HealthEntry { since: NOW * 2, until: Millis::MAX, ..out("m", NOW) };
        health.handle(report(entry), NOW);
        let entries = view(&mut health, NOW).entries;
        assert_eq!((entries[0].since, entries[0].until), (NOW, NOW + MAX_OUT));
    }

    #[test]
    fn what_cannot_be_read_is_empty() {
        assert_eq!(SharedHealth::open(Some("{")), SharedHealth::default());
        assert_eq!(SharedHealth::open(None), SharedHealth::default());
    }

    #[test]
    fn commands_keep_their_spelling() {
        let command = report(HealthEntry {
            subject: HealthSubject {
                kind: SubjectKind::KeyModel,
                provider: "p".into(),
                model: Some("m".into()),
                key: Some("ab".into()),
                data_center: None,
            },
            ..out("m", 1)
        });
        let text = r#"{"Report":{"out":[{"subject":{"kind":"key_model","provider":"p","model":"m","key":"ab"},"reason":"overload","since":1,"until":5001}],"back":[]}}"#;
        assert_eq!(serde_json::to_string(&command).unwrap(), text);
        assert_eq!(serde_json::from_str::<HealthCommand>(text).unwrap(), command);
        let place = r#"{"Reset":{"kind":"place","provider":"p","data_center":"HKG"}}"#;
        let read = serde_json::from_str::<HealthCommand>(place).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), place);
    }
}
