//! Futures that wait for JavaScript: for a promise, or for some time. Each has a numbered slot, which the
//! entry module fills (`src/runtime.mjs`). A closure for each callback would be an object to make, to
//! register and to collect; a slot is a number.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::js;
use super::tasks;
use crate::config::Millis;

thread_local! {
    static SLOTS: RefCell<Slots> = const { RefCell::new(Slots { all: Vec::new(), free: Vec::new() }) };
}

/// The slots of this instance: as many as futures have ever waited at once.
struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    /// How often the slot has been freed. What comes for a future that is gone finds another generation: many
    /// promises never settle, so a slot cannot wait for them.
    generation: u32,
    state: SlotState,
}

enum SlotState {
    Free,
    /// The future waits, if it has been polled.
    Waiting(Option<Waker>),
    Filled(Result<JsValue, JsValue>),
}

/// A slot that is in use.
#[derive(Clone, Copy)]
struct SlotNumber {
    number: u32,
    generation: u32,
}

impl Slots {
    fn reserve(&mut self) -> SlotNumber {
        let state = SlotState::Waiting(None);
        let Some(number) = self.free.pop() else {
            self.all.push(Slot { generation: 0, state });
            return SlotNumber { number: u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX), generation: 0 };
        };
        let slot = self.all.get_mut(number as usize);
        let generation = slot.map_or(0, |slot| {
            slot.state = state;
            slot.generation
        });
        SlotNumber { number, generation }
    }

    fn get(&mut self, at: SlotNumber) -> Option<&mut Slot> {
        self.all.get_mut(at.number as usize).filter(|slot| slot.generation == at.generation)
    }

    /// Frees a slot. What was in it is to be dropped after the slots are no longer borrowed: the last waker
    /// of a task may drop the task, and with it another slot.
    fn free(&mut self, at: SlotNumber) -> SlotState {
        let Some(slot) = self.get(at) else { return SlotState::Free };
        slot.generation = slot.generation.wrapping_add(1);
        let before = std::mem::replace(&mut slot.state, SlotState::Free);
        self.free.push(at.number);
        before
    }

    /// Fills a slot. Returns who waits.
    fn fill(&mut self, at: SlotNumber, value: Result<JsValue, JsValue>) -> Option<Waker> {
        let slot = self.get(at)?;
        match std::mem::replace(&mut slot.state, SlotState::Filled(value)) {
            SlotState::Waiting(waker) => waker,
            SlotState::Free | SlotState::Filled(_) => None,
        }
    }

    /// What is in a slot, if it has been filled, and frees it; else the waker is kept. The second value is
    /// the waker before, to be dropped as with [`Slots::free`].
    fn poll(&mut self, at: SlotNumber, context: &Context<'_>) -> (Poll<Result<JsValue, JsValue>>, Option<Waker>) {
        let before = match self.get(at).map(|slot| &mut slot.state) {
            Some(SlotState::Waiting(Some(waker))) if waker.will_wake(context.waker()) => None,
            Some(SlotState::Waiting(waker)) => waker.replace(context.waker().clone()),
            Some(SlotState::Filled(_)) => match self.free(at) {
                SlotState::Filled(value) => return (Poll::Ready(value), None),
                SlotState::Free | SlotState::Waiting(_) => None,
            },
            Some(SlotState::Free) | None => None,
        };
        (Poll::Pending, before)
    }
}

/// Fills a slot with what its future waits for, or the reason why that has failed, and runs the future's
/// task.
#[wasm_bindgen]
pub fn fill(number: u32, generation: u32, value: JsValue, has_failed: bool) {
    let value = if has_failed { Err(value) } else { Ok(value) };
    let waker = SLOTS.with_borrow_mut(|slots| slots.fill(SlotNumber { number, generation }, value));
    waker.into_iter().for_each(Waker::wake);
    tasks::run_tasks();
}

/// A promise as a future.
pub(super) struct Settled {
    /// The slot, until the promise has settled.
    slot: Option<SlotNumber>,
}

impl Settled {
    /// The future of a promise.
    pub(super) fn of(promise: &Promise) -> Self {
        let slot = SLOTS.with_borrow_mut(Slots::reserve);
        js::settle(promise, slot.number, slot.generation);
        Self { slot: Some(slot) }
    }
}

impl Future for Settled {
    type Output = Result<JsValue, JsValue>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(slot) = self.slot else { return Poll::Pending };
        let (polled, _before) = SLOTS.with_borrow_mut(|slots| slots.poll(slot, context));
        if polled.is_ready() {
            self.slot = None;
        }
        polled
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let _before = SLOTS.with_borrow_mut(|slots| slots.free(slot));
    }
}

/// A timer, which starts when it is first polled. Dropping it cancels it.
///
/// A streamed response moves from the task of its fetch event to one in the background, and its timers move
/// with it. `worker::Delay` would wake the first of these tasks for ever.
pub(super) struct Timer {
    wait: i32,
    state: TimerState,
}

enum TimerState {
    New,
    Started { slot: SlotNumber, id: i32 },
    Over,
}

impl Timer {
    /// A timer that completes after `wait` milliseconds.
    pub(super) fn new(wait: Millis) -> Self {
        // The runtime counts the time in 32 bits.
        Self { wait: i32::try_from(wait).unwrap_or(i32::MAX), state: TimerState::New }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let slot = match self.state {
            TimerState::Over => return Poll::Ready(()),
            TimerState::Started { slot, .. } => slot,
            TimerState::New => {
                let slot = SLOTS.with_borrow_mut(Slots::reserve);
                self.state = TimerState::Started { slot, id: js::sleep(self.wait, slot.number, slot.generation) };
                slot
            }
        };
        let (polled, _before) = SLOTS.with_borrow_mut(|slots| slots.poll(slot, context));
        if polled.is_pending() {
            return Poll::Pending;
        }
        self.state = TimerState::Over;
        Poll::Ready(())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let TimerState::Started { slot, id } = self.state else { return };
        js::clear_timer(id);
        let _before = SLOTS.with_borrow_mut(|slots| slots.free(slot));
    }
}
