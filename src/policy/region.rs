//! The objects from which calls leave a region: which of them takes a call, and which are left alone.

use std::fmt;

use crate::config::{Millis, RegionSettings};

/// The calls of one object that wait for a head at a time. The platform lets six wait, and what the gateway
/// asks itself is one of them
/// (<https://developers.cloudflare.com/workers/platform/limits/#simultaneous-open-connections>).
pub const MAX_WAITING: usize = 5;
/// The objects of a region.
const MAX_OBJECTS: usize = 64;
/// The objects of a region that may be in places to be avoided before no more are made.
const MAX_MISPLACED: usize = 8;
/// The objects of a region that a provider may refuse before it is not asked from there.
const MAX_REFUSED: usize = 2;
/// How long an object is left alone that says that it is full.
const FULL_REST: Millis = 500;
/// How long an object is left alone that is in a place to be avoided: it stays there for its life, unless the
/// platform moves it.
const MISPLACED_REST: Millis = 3_600_000;
/// How long a provider that refuses a place is not asked from there.
const REFUSED_REST: Millis = 600_000;

/// The objects of one region, as one isolate knows them.
#[derive(Clone, Debug, Default)]
pub struct RegionObjects {
    /// By their numbers.
    objects: Vec<RegionObject>,
}

#[derive(Clone, Debug, Default)]
struct RegionObject {
    /// The calls of this isolate.
    waiting: WaitingCalls,
    full_until: Millis,
    misplaced_until: Millis,
    /// The providers that have refused its place, by their indices, and until when that counts.
    refused: Vec<(usize, Millis)>,
}

/// Calls of one object that wait for a head.
#[derive(Clone, Debug, Default)]
pub struct WaitingCalls {
    /// Their ids, and when they wait no longer: the runtime may end a request without a word.
    calls: Vec<(u64, Millis)>,
    next_id: u64,
}

/// A call that waits for a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingCall {
    /// The number of the object that makes it.
    pub object: usize,
    id: u64,
}

impl WaitingCalls {
    /// Adds a call, which waits no longer than `until`. Returns its id; `None` if there are too many.
    pub fn begin(&mut self, now: Millis, until: Millis) -> Option<u64> {
        self.calls.retain(|(_, until)| now < *until);
        if self.calls.len() >= MAX_WAITING {
            return None;
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.calls.push((id, until));
        Some(id)
    }

    /// A call waits no longer.
    pub fn end(&mut self, id: u64) {
        self.calls.retain(|(other, _)| *other != id);
    }
}

/// Why no object takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoObject {
    /// All are busy.
    Busy,
    /// Too many are in places to be avoided.
    Misplaced,
    /// The provider refuses the region.
    Refused,
}

impl RegionObjects {
    /// The object that makes a call of a provider: the first that can, so that as few as possible are active.
    /// `until`: when the call waits no longer for its head.
    ///
    /// # Errors
    /// None can.
    pub fn take(&mut self, provider: usize, now: Millis, until: Millis) -> Result<WaitingCall, NoObject> {
        let counted = |is: &dyn Fn(&RegionObject) -> bool| self.objects.iter().filter(|object| is(object)).count();
        if counted(&|object| object.is_refused_by(provider, now)) >= MAX_REFUSED {
            return Err(NoObject::Refused);
        }
        if counted(&|object| now < object.misplaced_until) >= MAX_MISPLACED {
            return Err(NoObject::Misplaced);
        }
        for number in 0..MAX_OBJECTS {
            if number == self.objects.len() {
                self.objects.push(RegionObject::default());
            }
            let object = self.objects.get_mut(number).filter(|object| object.is_usable(provider, now));
            if let Some(id) = object.and_then(|object| object.waiting.begin(now, until)) {
                return Ok(WaitingCall { object: number, id });
            }
        }
        Err(NoObject::Busy)
    }

    /// A call waits no longer.
    pub fn release(&mut self, call: WaitingCall) {
        self.change(call.object, |object| object.waiting.end(call.id));
    }

    /// An object has said that it is full: other isolates use it too.
    pub fn note_full(&mut self, object: usize, now: Millis) {
        self.change(object, |object| object.full_until = now.saturating_add(FULL_REST));
    }

    /// An object has said that it is in a place to be avoided.
    pub fn note_misplaced(&mut self, object: usize, now: Millis) {
        self.change(object, |object| object.misplaced_until = now.saturating_add(MISPLACED_REST));
    }

    /// Forgets which places providers have refused.
    pub fn forget_refusals(&mut self) {
        self.objects.iter_mut().for_each(|object| object.refused.clear());
    }

    /// A provider has refused the place of an object.
    pub fn note_refused(&mut self, object: usize, provider: usize, now: Millis) {
        self.change(object, |object| {
            object.refused.retain(|(other, _)| *other != provider);
            object.refused.push((provider, now.saturating_add(REFUSED_REST)));
        });
    }

    fn change(&mut self, object: usize, change: impl FnOnce(&mut RegionObject)) {
        if let Some(object) = self.objects.get_mut(object) {
            change(object);
        }
    }
}

impl RegionObject {
    fn is_usable(&self, provider: usize, now: Millis) -> bool {
        now >= self.full_until && now >= self.misplaced_until && !self.is_refused_by(provider, now)
    }

    fn is_refused_by(&self, provider: usize, now: Millis) -> bool {
        self.refused.iter().any(|(other, until)| *other == provider && now < *until)
    }
}

/// Where something runs, as a trace says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    country: [u8; 2],
    data_center: [u8; 3],
}

impl Place {
    /// Reads a trace: lines of `key=value`, of which `loc` is the country and `colo` the data center. `None`
    /// if it has neither.
    pub fn of_trace(trace: &str) -> Option<Self> {
        let value = |key: &str| trace.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::trim);
        let (country, data_center) = (value("loc").and_then(letters), value("colo").and_then(letters));
        let is_known = country.is_some() || data_center.is_some();
        is_known.then(|| Self { country: country.unwrap_or(*b"XX"), data_center: data_center.unwrap_or(*b"XXX") })
    }

    /// Reads what [`Place`] is displayed as.
    pub fn read(text: &str) -> Option<Self> {
        let (country, data_center) = text.split_once(' ')?;
        Some(Self { country: letters(country)?, data_center: letters(data_center)? })
    }

    /// Whether nothing is to be called from there.
    pub fn is_avoided(&self, settings: &RegionSettings) -> bool {
        let is_here = |place: &String| place.as_bytes() == self.country || place.as_bytes() == self.data_center;
        settings.avoid.iter().any(is_here)
    }

    /// The country by its two letters; `XX` if it is not known.
    pub fn country(&self) -> &str {
        str::from_utf8(&self.country).unwrap_or_default()
    }

    /// The data center of the platform by its three letters; `XXX` if it is not known.
    pub fn data_center(&self) -> &str {
        str::from_utf8(&self.data_center).unwrap_or_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.country(), self.data_center())
    }
}

/// The data center of the platform with this name, if it looks like one: three letters or digits.
pub fn data_center(name: &str) -> Option<String> {
    letters::<3>(name).map(|_| name.to_owned())
}

/// The response header in which an object of a region says what became of a call.
pub const OUTCOME: &str = "x-llm-bridge-region";

/// What became of a call that an object of a region was asked to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The response is the provider's. The object is there, if it knows.
    Answered(Option<Place>),
    /// Nothing was sent: too many calls wait.
    Full,
    /// Nothing was sent: the object is in a place to be avoided.
    Avoided(Place),
    /// The provider could not be reached, or broke the connection.
    Broken,
}

impl CallOutcome {
    /// Reads what an object has said; `None` for the word of another build.
    pub fn read(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("answered", place)) => Some(Self::Answered(Place::read(place))),
            Some(("avoided", place)) => Place::read(place).map(Self::Avoided),
            None if text == "answered" => Some(Self::Answered(None)),
            None if text == "full" => Some(Self::Full),
            None if text == "broken" => Some(Self::Broken),
            _ => None,
        }
    }
}

impl fmt::Display for CallOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(Some(place)) => write!(f, "answered {place}"),
            Self::Answered(None) => f.write_str("answered"),
            Self::Avoided(place) => write!(f, "avoided {place}"),
            Self::Full => f.write_str("full"),
            Self::Broken => f.write_str("broken"),
        }
    }
}

/// So many letters or digits, in upper case.
fn letters<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_code = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    text.as_bytes().try_into().ok().filter(|_| is_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Millis = 60_000;

    fn numbers(objects: &mut RegionObjects, calls: usize) -> Vec<usize> {
        (0..calls).map(|_| objects.take(0, 0, LATER).unwrap().object).collect()
    }

    #[test]
    fn five_calls_wait_at_an_object_before_the_next_is_used() {
        let mut objects = RegionObjects::default();
        assert_eq!(numbers(&mut objects, 11), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn the_first_object_with_room_is_used_again() {
        let mut objects = RegionObjects::default();
        let calls: Vec<_> = (0..6).map(|_| objects.take(0, 0, LATER).unwrap()).collect();
        objects.release(calls[2]);
        objects.release(calls[2]);
        assert_eq!(numbers(&mut objects, 2), [0, 1]);
    }

    #[test]
    fn a_call_that_nobody_ends_waits_no_longer_than_it_may() {
        let mut objects = RegionObjects::default();
        numbers(&mut objects, 5);
        assert_eq!(objects.take(0, LATER - 1, LATER).unwrap().object, 1);
        assert_eq!(objects.take(0, LATER, 2 * LATER).unwrap().object, 0);
    }

    #[test]
    fn a_region_has_so_many_objects() {
        let mut objects = RegionObjects::default();
        numbers(&mut objects, MAX_OBJECTS * MAX_WAITING);
        assert_eq!(objects.take(0, 0, LATER), Err(NoObject::Busy));
    }

    #[test]
    fn a_full_object_is_left_alone_for_a_moment() {
        let mut objects = RegionObjects::default();
        let call = objects.take(0, 0, LATER).unwrap();
        objects.release(call);
        objects.note_full(0, 0);
        assert_eq!(objects.take(0, FULL_REST - 1, LATER).unwrap().object, 1);
        assert_eq!(objects.take(0, FULL_REST, LATER).unwrap().object, 0);
    }

    #[test]
    fn misplaced_objects_are_abandoned_and_no_more_than_some_are_made() {
        let mut objects = RegionObjects::default();
        for number in 0..MAX_MISPLACED {
            assert_eq!(objects.take(0, 0, LATER).unwrap().object, number);
            objects.note_misplaced(number, 0);
        }
        assert_eq!(objects.take(0, MISPLACED_REST - 1, LATER), Err(NoObject::Misplaced));
        assert_eq!(objects.take(0, MISPLACED_REST, LATER).unwrap().object, 0);
    }

    #[test]
    fn a_refusal_concerns_one_provider_at_one_object_for_a_time() {
        let mut objects = RegionObjects::default();
        objects.take(0, 0, 0).unwrap();
        objects.note_refused(0, 0, 0);
        assert_eq!(objects.take(1, 0, 0).unwrap().object, 0);
        assert_eq!(objects.take(0, 0, 0).unwrap().object, 1);
        objects.note_refused(1, 0, 0);
        assert_eq!(objects.take(0, REFUSED_REST - 1, 0), Err(NoObject::Refused));
        assert_eq!(objects.take(1, 0, 0).unwrap().object, 0);
        assert_eq!(objects.take(0, REFUSED_REST, 0).unwrap().object, 0);
    }

    #[test]
    fn an_object_says_what_became_of_a_call() {
        let place = Place::read("HK HKG");
        let all = [CallOutcome::Full, CallOutcome::Broken, CallOutcome::Answered(None), CallOutcome::Answered(place)];
        for outcome in all.into_iter().chain(place.map(CallOutcome::Avoided)) {
            assert_eq!(CallOutcome::read(&outcome.to_string()), Some(outcome));
        }
        for other in ["", "fuller", "avoided", "avoided here", "busy HK HKG"] {
            assert_eq!(CallOutcome::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_trace_says_where_it_was_asked() {
        let trace = "fl=1\nh=example.com\nip=::1\ncolo=HKG\nsliver=none\nloc=US\ntls=TLSv1.3\r\n";
        let place = Place::of_trace(trace).unwrap();
        assert_eq!((place.country(), place.data_center()), ("US", "HKG"));
        assert!(place.is_avoided(&RegionSettings::default()));
        assert_eq!(Place::read(&place.to_string()), Some(place));
        assert_eq!(data_center("HKG").as_deref(), Some("HKG"));
        assert!(["", "HK", "hkg", "HKG:x"].into_iter().all(|name| data_center(name).is_none()));
        assert_eq!(Place::of_trace("colo=FRA").unwrap().to_string(), "XX FRA");
        assert!(!Place::of_trace("colo=FRA\nloc=DE").unwrap().is_avoided(&RegionSettings::default()));
        for none in ["", "colo=\nloc=", "colo=hkg\nloc=hk", "colo=HKGX", "xcolo=HKG", "<html>colo=HKG</html>"] {
            assert_eq!(Place::of_trace(none), None, "{none}");
        }
        for none in ["US", "US ", "USA SJC", "us sjc", "US SJC ", "ÄS SJC"] {
            assert_eq!(Place::read(none), None, "{none}");
        }
    }
}
