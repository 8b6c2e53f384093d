//! The tasks that calls are made by.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, Sleep, sleep},
};

/// What a task does. It borrows nothing and needs no caller.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long a task stays that has nothing to do.
const IDLE: Duration = Duration::from_secs(1);

/// Tasks of which each does one piece of work after the other.
///
/// A caller begins the work itself, by the waker of an idle task of its runtime, and that task goes on with it. So a call is on
/// its way before its task runs. A lone call takes some 20 % longer where the task has to be woken or spawned first.
#[derive(Clone, Default)]
pub(super) struct Drivers(Arc<Mutex<Vec<Arc<Seat>>>>);

/// What a task and those who bring it work share.
struct Seat {
    /// That of the task.
    runtime: Id,
    state: Mutex<State>,
}

struct State {
    /// `None` once the task has ended.
    waker: Option<Waker>,
    work: Option<Work>,
    idle_since: Instant,
}

struct Driver {
    drivers: Drivers,
    seat: Arc<Seat>,
    idle: Pin<Box<Sleep>>,
}

impl Drivers {
    /// Begins some work here, and leaves it to a task of `runtime`, in which this is called.
    pub(super) fn begin(&self, mut work: Work, runtime: &Handle) {
        while let Some(seat) = self.take_idle(runtime.id()) {
            let mut state = seat.lock();
            let Some(waker) = &state.waker else { continue };
            if work.as_mut().poll(&mut Context::from_waker(waker)).is_pending() {
                state.work = Some(work);
            } else {
                drop(state);
                self.put_idle(seat);
            }
            return;
        }
        self.spawn(work, runtime);
    }

    /// Leaves some work to a task of another runtime.
    pub(super) fn spawn(&self, work: Work, runtime: &Handle) {
        let state = State { waker: Some(Waker::noop().clone()), work: Some(work), idle_since: Instant::now() };
        let (drivers, seat) = (self.clone(), Arc::new(Seat { runtime: runtime.id(), state: Mutex::new(state) }));
        // Its timer is that of the runtime.
        runtime.spawn(async move { Driver { drivers, seat, idle: Box::pin(sleep(IDLE)) }.await });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self, runtime: Id) -> Option<Arc<Seat>> {
        let mut idle = self.idle();
        let place = idle.iter().rposition(|seat| seat.runtime == runtime)?;
        Some(idle.swap_remove(place))
    }

    fn put_idle(&self, seat: Arc<Seat>) {
        self.idle().push(seat);
    }

    /// Whether it was idle.
    fn remove_idle(&self, seat: &Arc<Seat>) -> bool {
        let mut idle = self.idle();
        let place = idle.iter().position(|other| Arc::ptr_eq(other, seat));
        place.map(|place| idle.swap_remove(place)).is_some()
    }
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { drivers, seat, idle } = self.get_mut();
        let mut state = seat.lock();
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        if let Some(work) = &mut state.work {
            ready!(work.as_mut().poll(context));
            state.work = None;
            state.idle_since = Instant::now();
            drivers.put_idle(Arc::clone(seat));
        }
        loop {
            ready!(idle.as_mut().poll(context));
            // One that was taken has work in a moment.
            if state.idle_since.elapsed() >= IDLE && drivers.remove_idle(seat) {
                return Poll::Ready(());
            }
            idle.as_mut().reset(Instant::now() + IDLE);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.drivers.remove_idle(&self.seat);
        let mut state = self.seat.lock();
        state.waker = None;
        let work = state.work.take();
        drop(state);
        // Not within the lock, since it may begin other work.
        drop(work);
    }
}
