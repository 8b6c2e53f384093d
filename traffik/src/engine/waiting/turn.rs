use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use traffik_core::{backend::BackendError, clock::Timestamp};

use crate::engine::{Change, CheckResult, Error, Limit, Limits};

/// How often the head is asked for while it may have room at any time, because another process gives back a permit.
const POLL: Duration = Duration::from_millis(250);

/// The result for a waiter.
pub(super) enum Turn {
    Decided(Handover),
    /// Its turn would come too late.
    TooLate,
    /// Its time is over, and there was no decision about those before it. It asks like a request that does not wait.
    Over,
    HeldBack(HeldBack),
    Panicked(Box<dyn Any + Send>),
}

/// The line is held back for longer than the caller waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldBack {
    pub(crate) until: Timestamp,
    /// When the caller learned of it.
    pub(crate) now: Timestamp,
}

/// A decision on its way to its waiter. If it is not received, its charges are given back.
pub(super) struct Handover(Option<CheckResult>);

impl Handover {
    pub(super) fn new(decision: CheckResult) -> Self {
        Self(Some(decision))
    }

    pub(super) fn receive(mut self) -> CheckResult {
        // It is received once.
        self.0.take().unwrap_or_else(|| Err(Error::from(BackendError::Closed).into()))
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(Ok(limits)) = self.0.take() {
            if limits.is_admitted() {
                // It has started, and no caller waits for the result.
                // A panic of a custom strategy is not one of the line.
                let give_back = || limits.shared().for_each(|limit| drop(Limit::change(limit, Change::GiveBack)));
                let _ = catch_unwind(AssertUnwindSafe(give_back));
            }
        }
    }
}

/// When there may be room after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// There is none before this time has passed, unless a charge is given back.
    pub(super) not_before: Duration,
    pub(super) ask_in: Duration,
}

/// Returns when there may be room for what was refused, or `None` if it never fits.
///
/// A permit of `Concurrency` may be given back at any time, so its `retry_after` is no more than an estimate.
pub(super) fn until_room(limits: &Limits) -> Option<Room> {
    let mut room = Room { not_before: Duration::ZERO, ask_in: Duration::ZERO };
    let mut poll = Duration::ZERO;
    for limit in limits.iter().filter(|limit| !limit.is_admitted()) {
        let wait = limit.retry_after()?;
        if limit.definition().is_held {
            poll = poll.max(wait.min(POLL));
        } else {
            room.not_before = room.not_before.max(wait);
        }
    }
    // Time passes, so that a store with a wrong answer is not asked without a pause.
    room.ask_in = room.not_before.max(poll).max(Duration::from_micros(1));
    Some(room)
}
