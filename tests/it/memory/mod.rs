//! The memory backend.

mod cap;
mod leaving;
mod panics;
mod threads;

use traffik::{
    backend::{Backend, MemoryBackend},
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow, SlidingWindowCounter, TokenBucket},
    test::ManualClock,
};

fn strategies() -> [AnyStrategy; 3] {
    [FixedWindow.into(), SlidingWindowCounter.into(), TokenBucket::new().into()]
}

fn store() -> (MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    (MemoryBackend::new("test").clock(clock.clone()), clock)
}

/// Whether all of `hits` were admitted. A store in memory answers at once.
fn admits(backend: &MemoryBackend, hits: &[Hit<'_>]) -> bool {
    matches!(backend.decide_now(hits), Some(Ok(decision)) if decision.is_admitted())
}
