//! The clock of the runtime, and timers.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use wasm_bindgen::prelude::Closure;

use super::js;
use crate::config::Millis;

/// Milliseconds since 1970.
pub(super) fn now() -> Millis {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date after 1970")]
    let now = js_sys::Date::now() as Millis;
    now
}

/// A timer, which starts when it is first polled. Dropping it cancels it.
///
/// A streamed response moves from the task of its fetch event to one in the background, and its timers move
/// with it. `worker::Delay` would wake the first of these tasks for ever.
pub(super) struct Timer {
    wait: Millis,
    started: Option<Started>,
}

struct Started {
    id: i32,
    alarm: Rc<Alarm>,
    _callback: Closure<dyn FnMut()>,
}

#[derive(Default)]
struct Alarm {
    has_rung: Cell<bool>,
    /// The task that polled last.
    waker: RefCell<Option<Waker>>,
}

impl Timer {
    /// A timer that completes after `wait`.
    pub(super) fn new(wait: Millis) -> Self {
        Self { wait, started: None }
    }

    fn start(&self) -> Started {
        let alarm = Rc::<Alarm>::default();
        let ringing = Rc::clone(&alarm);
        let callback = Closure::<dyn FnMut()>::new(move || ringing.ring());
        // The runtime counts the time in 32 bits.
        let id = js::start_timer(&callback, i32::try_from(self.wait).unwrap_or(i32::MAX));
        Started { id, alarm, _callback: callback }
    }
}

impl Alarm {
    fn ring(&self) {
        self.has_rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let started = match self.started.take() {
            Some(started) => started,
            None => self.start(),
        };
        let alarm = &self.started.insert(started).alarm;
        if alarm.has_rung.get() {
            return Poll::Ready(());
        }
        let mut waker = alarm.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(started) = self.started.as_ref().filter(|started| !started.alarm.has_rung.get()) {
            js::clear_timer(started.id);
        }
    }
}
