//! Timers of a scripted platform, which move its clock.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::world::World;

/// When nothing else happens for this many polls, the clock moves on to the first timer.
const IDLE_ROUNDS: usize = 50;

/// A timer that completes when the clock reaches its deadline.
pub struct Timer {
    world: World,
    /// The deadline, and the number of the timer.
    key: (u64, u64),
    rounds: usize,
}

impl Timer {
    pub(super) fn new(world: World, key: (u64, u64)) -> Self {
        Self { world, key, rounds: 0 }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (world, (deadline, _)) = (self.world.clone(), self.key);
        self.rounds += 1;
        if world.clock.get() < deadline && self.rounds > IDLE_ROUNDS && world.timers.borrow().first() == Some(&self.key)
        {
            world.clock.set(deadline);
        }
        if world.clock.get() >= deadline {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.world.timers.borrow_mut().remove(&self.key);
    }
}
