//! The memory backend.

mod cap;
mod crowd;
mod evictions;
mod flood;
mod late;
mod mixed;
pub(crate) mod panics;
mod rollover;
mod slow;
mod threads;

use traffik::{
    Rate,
    backend::{Backend, MemoryBackend},
    decision::{Decision, Hit},
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, TokenBucket,
    },
    test::ManualClock,
};

/// Returns each strategy that does not delay, configured to admit its whole limit immediately.
fn strategies(rate: Rate) -> [AnyStrategy; 7] {
    [
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        SlidingWindowLog.into(),
        Concurrency.into(),
        TokenBucket::new().into(),
        LeakyBucket::new().into(),
        Gcra::new().burst(rate.limit()).into(),
    ]
}

fn store() -> (MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    (MemoryBackend::with_clock("test", clock.clone()), clock)
}

/// Returns a store with room for `max_entries`.
#[expect(clippy::unwrap_used, reason = "the settings are in range")]
fn store_of(max_entries: usize) -> (MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    (MemoryBackend::builder("test").max_entries(max_entries).clock(clock.clone()).build().unwrap(), clock)
}

/// Returns the decision of an in-memory store, without waiting.
fn decided(backend: &MemoryBackend, hits: &[Hit<'_>]) -> Decision {
    crowd::at_hand(backend.decide(hits))
}

/// Returns whether all of `hits` were admitted.
fn admits(backend: &MemoryBackend, hits: &[Hit<'_>]) -> bool {
    decided(backend, hits).is_admitted()
}
