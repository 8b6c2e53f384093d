use std::{
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker, ready},
};

use tokio::runtime::{Handle, Id};

use crate::lock::lock;

/// The work of a task. It borrows nothing and needs no caller.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The maximum number of idle tasks.
const MAX_IDLE: usize = 64;

/// Idle tasks. Each takes one piece of work after the other, and ends when this is dropped.
///
/// A caller polls the work first, with the waker of an idle task of its runtime. That task then continues the work.
/// Spawning a task wakes another thread: in a runtime of several threads, a single call then takes a fifth more
/// processor time.
#[derive(Default)]
pub(super) struct Tasks(Mutex<Vec<Arc<Shared>>>);

/// The state that a task and its callers share.
struct Shared {
    /// The runtime of the task.
    runtime: Id,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    work: Option<Work>,
    /// `None` before the task runs, and after it has ended.
    waker: Option<Waker>,
}

struct Task {
    tasks: Weak<Tasks>,
    shared: Arc<Shared>,
}

impl Tasks {
    /// Begins some work in the caller, and leaves the rest to a task of `runtime`, the current runtime.
    pub(super) fn begin(self: &Arc<Self>, mut work: Work, runtime: &Handle) {
        while let Some(task) = self.take(|task| task.runtime == runtime.id()) {
            let mut state = lock(&task.state);
            let Some(waker) = &state.waker else { continue };
            if work.as_mut().poll(&mut Context::from_waker(waker)).is_pending() {
                state.work = Some(work);
                return;
            }
            drop(state);
            lock(&self.0).push(task);
            return;
        }
        self.spawn(work, runtime);
    }

    /// Runs some work in a new task.
    pub(super) fn spawn(self: &Arc<Self>, work: Work, runtime: &Handle) {
        let state = Mutex::new(State { work: Some(work), waker: None });
        runtime.spawn(Task { tasks: Arc::downgrade(self), shared: Arc::new(Shared { runtime: runtime.id(), state }) });
    }

    fn take(&self, is_wanted: impl Fn(&Arc<Shared>) -> bool) -> Option<Arc<Shared>> {
        let mut idle = lock(&self.0);
        let place = idle.iter().rposition(is_wanted)?;
        Some(idle.swap_remove(place))
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in lock(&self.0).drain(..) {
            let waker = lock(&task.state).waker.take();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.shared.state);
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        let done = match &mut state.work {
            Some(work) => {
                ready!(work.as_mut().poll(context));
                state.work.take()
            }
            None => None,
        };
        drop(state);
        let was_busy = done.is_some();
        // Dropped outside of the lock, because the work may hold the last backend.
        drop(done);
        let Some(tasks) = self.tasks.upgrade() else { return Poll::Ready(()) };
        let mut idle = lock(&tasks.0);
        if was_busy {
            if idle.len() >= MAX_IDLE {
                return Poll::Ready(());
            }
            idle.push(Arc::clone(&self.shared));
        }
        Poll::Pending
    }
}

/// Runs if the task or its runtime has ended.
impl Drop for Task {
    fn drop(&mut self) {
        if let Some(tasks) = self.tasks.upgrade() {
            tasks.take(|task| Arc::ptr_eq(task, &self.shared));
        }
        let ended = std::mem::take(&mut *lock(&self.shared.state));
        // Dropped outside of the lock, because it may begin other work.
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, task::yield_now};

    use super::*;

    #[tokio::test]
    async fn idle_task_takes_more_work_and_ends_with_its_owner() {
        let (tasks, runtime) = (Arc::<Tasks>::default(), Handle::current());
        for _ in 0..3 {
            let (sender, done) = oneshot::channel();
            let work = async {
                yield_now().await;
                sender.send(()).unwrap();
            };
            tasks.begin(Box::pin(work), &runtime);
            done.await.unwrap();
            assert_eq!(runtime.metrics().num_alive_tasks(), 1);
        }
        drop(tasks);
        yield_now().await;
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    }
}
