//! What one isolate knows of the objects of regions.

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::{Millis, Region};
use crate::policy::region::{NoObject, RegionObjects, WaitingCall};

/// What one isolate knows of regions. Clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub(super) struct RegionStore(Rc<RefCell<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The regions that are in use.
    regions: Vec<(Region, RegionObjects)>,
    /// When an operator last had all forgotten that is out.
    reset: Millis,
}

/// The object that makes a call. Dropped when the call no longer waits for its head.
pub(super) struct TakenObject {
    store: RegionStore,
    region: Region,
    call: WaitingCall,
}

impl RegionStore {
    /// The object of a region that makes a call of a provider, which waits no longer than `until`.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn take(
        &self,
        region: Region,
        provider: usize,
        now: Millis,
        until: Millis,
    ) -> Result<TakenObject, NoObject> {
        let call = self.with(region, |objects| objects.take(provider, now, until))?;
        Ok(TakenObject { store: self.clone(), region, call })
    }

    /// Forgets the refusals from before an operator had all forgotten that is out.
    pub(super) fn follow_reset(&self, at: Millis) {
        let mut known = self.0.borrow_mut();
        if known.reset < at {
            known.reset = at;
            known.regions.iter_mut().for_each(|(_, objects)| objects.forget_refusals());
        }
    }

    fn with<T>(&self, region: Region, ask: impl FnOnce(&mut RegionObjects) -> T) -> T {
        let regions = &mut self.0.borrow_mut().regions;
        match regions.iter_mut().find(|(known, _)| *known == region) {
            Some((_, objects)) => ask(objects),
            None => {
                let mut objects = RegionObjects::default();
                let answer = ask(&mut objects);
                regions.push((region, objects));
                answer
            }
        }
    }
}

impl TakenObject {
    /// Its number.
    pub(super) fn number(&self) -> usize {
        self.call.object
    }

    /// It has said that it is full.
    pub(super) fn note_full(&self, now: Millis) {
        self.change(|objects, number| objects.note_full(number, now));
    }

    /// It has said that it is in a place to be avoided.
    pub(super) fn note_misplaced(&self, now: Millis) {
        self.change(|objects, number| objects.note_misplaced(number, now));
    }

    /// The provider has refused its place.
    pub(super) fn note_refused(&self, provider: usize, now: Millis) {
        self.change(|objects, number| objects.note_refused(number, provider, now));
    }

    fn change(&self, change: impl FnOnce(&mut RegionObjects, usize)) {
        self.store.with(self.region, |objects| change(objects, self.call.object));
    }
}

impl Drop for TakenObject {
    fn drop(&mut self) {
        self.store.with(self.region, |objects| objects.release(self.call));
    }
}
