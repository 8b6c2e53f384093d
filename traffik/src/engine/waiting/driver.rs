use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::runtime::{Handle, Id};
use tracing::Instrument;

use super::{
    line::{Asked, Line, Question, Step},
    lines::Lines,
};
use crate::store::first_of;

/// Drives a line on one runtime, as long as it has waiters. Each runtime that has waiters drives it.
///
/// It sleeps without a timer of the runtime.
pub(super) struct Driver {
    lines: Arc<Lines>,
    line: Arc<Line>,
    runtime: Id,
}

impl Driver {
    /// Drives a line on the runtime of the caller, too, if it has one.
    pub(super) fn start(lines: &Arc<Lines>, line: &Arc<Line>) {
        let Ok(handle) = Handle::try_current() else { return };
        let runtime = handle.id();
        if line.add_driver(runtime) {
            let driver = Self { lines: Arc::clone(lines), line: Arc::clone(line), runtime };
            // A runtime that ends drops it here.
            drop(handle.spawn(driver.run()));
        }
    }

    async fn run(self) {
        let clock = self.line.clock().clone();
        loop {
            let mut changed = pin!(self.line.changed());
            changed.as_mut().enable();
            match self.line.next(clock.now()) {
                Step::Ask(question) => self.ask(question).await,
                Step::Sleep(time) => {
                    first_of(changed, clock.sleep_on_any_runtime(time)).await;
                }
                Step::End if self.lines.remove_if_empty(&self.line) => return,
                Step::End => {}
            }
        }
    }

    async fn ask(&self, Question { id, demand, span }: Question) {
        let question = InFlight { line: &self.line, id };
        let mut decision = pin!(demand.ask().instrument(span));
        // A function of the user may panic: its waiter learns of it, and the others go on.
        let asked = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| decision.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Asked::Decided),
            Err(panic) => Poll::Ready(Asked::Panicked(panic)),
        });
        let asked = asked.await;
        question.line.answered(id, asked, question.line.clock().now());
    }
}

/// The runtime ends, or the line has.
impl Drop for Driver {
    fn drop(&mut self) {
        self.line.remove_driver(self.runtime);
    }
}

/// A question that was asked. If it is dropped with its runtime, another one is asked.
struct InFlight<'a> {
    line: &'a Line,
    id: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.line.abandon(self.id);
    }
}
