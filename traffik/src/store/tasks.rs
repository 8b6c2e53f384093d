//! Tasks that outlive the runtime that they run on.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};

/// The number of runtimes that are remembered.
const RUNTIMES: usize = 8;

/// The number of tasks that may wait for a runtime.
const WAITING: usize = 64;

pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks on the Tokio runtimes that it has seen. A task whose runtime ends moves to another one, or waits for one.
///
/// Tasks must not use resources of a runtime, such as its timers.
#[derive(Default)]
pub(super) struct Tasks {
    state: Mutex<State>,
    has_waiting: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The latest first.
    runtimes: VecDeque<Handle>,
    waiting: Vec<Task>,
}

impl Tasks {
    /// Remembers the runtime of the caller, if there is one. Tasks that wait for a runtime move there.
    pub(super) fn remember_runtime(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let waiting = {
            let mut known = self.state.lock();
            known.runtimes.retain(|other| other.id() != runtime.id());
            known.runtimes.truncate(RUNTIMES - 1);
            known.runtimes.push_front(runtime);
            self.has_waiting.store(false, Ordering::Relaxed);
            std::mem::take(&mut known.waiting)
        };
        waiting.into_iter().for_each(|task| self.spawn(task));
    }

    /// Runs a task on the latest runtime. Without a runtime it waits for one. Too many that wait are dropped.
    pub(super) fn spawn(self: &Arc<Self>, task: Task) {
        let Some(runtime) = self.latest_runtime() else {
            let mut known = self.state.lock();
            if known.waiting.len() < WAITING {
                known.waiting.push(task);
                self.has_waiting.store(true, Ordering::Relaxed);
            }
            return;
        };
        let id = runtime.id();
        // It is dropped here if the runtime has ended, and then moves on.
        drop(runtime.spawn(Running { task: Some(task), tasks: Arc::clone(self), runtime: id }));
    }

    /// Polls a task once, without waiting, and spawns it if it is not done then.
    pub(super) fn start(self: &Arc<Self>, mut task: Task) {
        // A thread that ends cannot enter a runtime any more.
        let can_enter = Handle::try_current().map_or_else(|error| error.is_missing_context(), |_| true);
        let runtime = self.latest_runtime().filter(|_| can_enter);
        let _entered = runtime.as_ref().map(Handle::enter);
        if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.spawn(task);
        }
    }

    fn latest_runtime(&self) -> Option<Handle> {
        self.state.lock().runtimes.front().cloned()
    }

    /// Returns `true` if a task waits for a runtime.
    pub(super) fn has_waiting(&self) -> bool {
        self.has_waiting.load(Ordering::Relaxed)
    }
}

/// A task on a runtime.
struct Running {
    /// `None` once it is done, and while it is polled: a task that panics is not polled again.
    task: Option<Task>,
    tasks: Arc<Tasks>,
    runtime: Id,
}

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut task) = self.task.take() else { return Poll::Ready(()) };
        let polled = task.as_mut().poll(cx);
        self.task = Some(task).filter(|_| polled.is_pending());
        polled
    }
}

/// The runtime ends before the task is done.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.tasks.state.lock().runtimes.retain(|runtime| runtime.id() != self.runtime);
            self.tasks.spawn(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        runtime::{Builder, Runtime},
        sync::oneshot,
    };

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// A task that waits for the first channel and then sends the runtime that it runs on.
    fn task() -> (Task, oneshot::Sender<()>, oneshot::Receiver<Id>) {
        let (go, gone) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let task = async move {
            let _ = gone.await;
            let _ = done.send(Handle::current().id());
        };
        (Box::pin(task), go, is_done)
    }

    #[test]
    fn task_whose_runtime_ends_is_finished_by_another_one() {
        let tasks = Arc::<Tasks>::default();
        let (stays, ended, ends) = (runtime(), runtime(), runtime());
        for runtime in [&stays, &ended, &ends] {
            runtime.block_on(async { tasks.remember_runtime() });
        }
        drop(ended);
        let (task, go, is_done) = task();
        tasks.start(task);
        drop(ends);
        go.send(()).unwrap();
        assert_eq!(stays.block_on(is_done).unwrap(), stays.handle().id());
    }

    #[test]
    fn task_without_a_runtime_waits_for_one() {
        let tasks = Arc::<Tasks>::default();
        let (task, go, is_done) = task();
        tasks.start(task);
        go.send(()).unwrap();
        let id = runtime().block_on(async {
            tasks.remember_runtime();
            is_done.await
        });
        assert!(id.is_ok());
    }

    #[test]
    fn tasks_that_wait_for_a_runtime_are_bounded() {
        let tasks = Arc::<Tasks>::default();
        let results: Vec<_> =
            (0..=WAITING).map(|_| task()).map(|(task, _, is_done)| (tasks.spawn(task), is_done)).collect();
        let dropped = results.into_iter().filter_map(|((), mut is_done)| is_done.try_recv().err());
        assert_eq!(dropped.filter(|error| *error == oneshot::error::TryRecvError::Closed).count(), 1);
    }

    #[test]
    fn task_that_panics_is_not_polled_again() {
        let tasks = Arc::<Tasks>::default();
        let runtime = runtime();
        let task = async { assert!(Handle::try_current().is_err(), "it panics on purpose") };
        runtime.block_on(async {
            tasks.remember_runtime();
            tasks.spawn(Box::pin(task));
            tokio::task::yield_now().await;
        });
        drop(runtime);
        assert!(tasks.state.lock().waiting.is_empty());
    }
}
