//! The configured time zone. The runtime is asked for its offsets once in some days.

use std::cell::RefCell;

use super::js;
use super::log::report_failure;
use crate::config::Millis;
use crate::telemetry::RuntimeFailure;
use crate::wire::date::DAY;
use crate::wire::zone::Zone;

/// How far the offsets reach back and ahead. A request that was lost when its account was last used counts in
/// the day in which it was lost; budgets need the month that follows their use.
const BEHIND: Millis = 400 * DAY;
const AHEAD: Millis = 40 * DAY;
/// For how long they are used.
const USED: Millis = 5 * DAY;

/// The offsets of a zone around some time.
#[derive(Clone)]
pub(super) struct KnownZone {
    pub(super) zone: Zone,
    /// Until then, they are to be used.
    pub(super) until: Millis,
}

thread_local! {
    /// Of the zone of this isolate's configuration.
    static KNOWN: RefCell<Option<KnownZone>> = const { RefCell::new(None) };
}

/// The offsets of the configured zone around a time; those of UTC if the runtime does not know it.
pub(super) fn zone_at(name: &str, now: Millis) -> KnownZone {
    if name == "UTC" {
        return KnownZone { zone: Zone::utc(), until: Millis::MAX };
    }
    let is_current = |known: &KnownZone| (known.until.saturating_sub(USED)..known.until).contains(&now);
    KNOWN.with_borrow_mut(|known| match known.take().filter(is_current) {
        Some(current) => known.insert(current).clone(),
        None => known.insert(ask(name, now)).clone(),
    })
}

fn ask(name: &str, now: Millis) -> KnownZone {
    let offsets = js::zone_offsets(name, now.saturating_sub(BEHIND), now.saturating_add(AHEAD));
    let zone = offsets.as_deref().and_then(Zone::read);
    if zone.is_none() {
        let failure = format!("the runtime does not know the time zone `{name}`: days and budgets are in UTC");
        report_failure(RuntimeFailure::ObjectFailed(&failure));
    }
    KnownZone { zone: zone.unwrap_or_default(), until: now.saturating_add(USED) }
}
