//! Runs futures to their ends. A task runs at once when what it waits for has come, in the same turn of the
//! event loop and in the context of the request that waited: the runtime lets no request touch what belongs
//! to another.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use wasm_bindgen::prelude::wasm_bindgen;

use super::clock;
use super::js;

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// Tasks that are not over. The one that runs is taken out meanwhile.
    static TASKS: RefCell<Tasks> = const { RefCell::new(Tasks { all: Vec::new(), free: Vec::new() }) };
    /// Tasks that have something to do.
    static READY: RefCell<VecDeque<Arc<TaskWaker>>> = const { RefCell::new(VecDeque::new()) };
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
    /// Whether JavaScript has been asked to call [`run_tasks`].
    static IS_ASKED_FOR: Cell<bool> = const { Cell::new(false) };
}

struct Tasks {
    all: Vec<Option<Task>>,
    free: Vec<usize>,
}

/// Wakes a task. The task itself is not in it, because a waker has to be sendable.
struct TaskWaker {
    task: usize,
    is_ready: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if self.is_ready.swap(true, Ordering::Relaxed) {
            return;
        }
        READY.with_borrow_mut(|ready| ready.push_back(self));
        if !IS_RUNNING.get() && !IS_ASKED_FOR.replace(true) {
            js::soon();
        }
    }
}

/// Begins a task, which first runs in the next turn, or in this one after the tasks that are ready.
pub(super) fn spawn(task: impl Future<Output = ()> + 'static) {
    let task: Task = Box::pin(task);
    let number = TASKS.with_borrow_mut(|tasks| match tasks.free.pop() {
        Some(number) => {
            if let Some(place) = tasks.all.get_mut(number) {
                *place = Some(task);
            }
            number
        }
        None => {
            tasks.all.push(Some(task));
            tasks.all.len() - 1
        }
    });
    Arc::new(TaskWaker { task: number, is_ready: AtomicBool::new(false) }).wake();
}

/// As [`spawn`], but the task runs before this returns. For functions that JavaScript calls.
pub(super) fn start(task: impl Future<Output = ()> + 'static) {
    // No turn has to be asked for.
    let asked_for = IS_ASKED_FOR.replace(true);
    spawn(task);
    IS_ASKED_FOR.set(asked_for);
    run_tasks();
}

/// Runs the tasks that are ready, until none is.
#[wasm_bindgen]
pub fn run_tasks() {
    if IS_RUNNING.replace(true) {
        return;
    }
    IS_ASKED_FOR.set(false);
    clock::hold();
    while let Some(ready) = READY.with_borrow_mut(VecDeque::pop_front) {
        run(ready);
    }
    clock::release();
    IS_RUNNING.set(false);
}

fn run(ready: Arc<TaskWaker>) {
    ready.is_ready.store(false, Ordering::Relaxed);
    let number = ready.task;
    let place = |tasks: &mut Tasks, task| tasks.all.get_mut(number).and_then(|place| std::mem::replace(place, task));
    let Some(mut task) = TASKS.with_borrow_mut(|tasks| place(tasks, None)) else { return };
    let waker = Waker::from(ready);
    if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        TASKS.with_borrow_mut(|tasks| place(tasks, Some(task)));
        return;
    }
    drop(task);
    TASKS.with_borrow_mut(|tasks| tasks.free.push(number));
}
