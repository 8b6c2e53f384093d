//! Checks that error policies allocate nothing while the backend answers, and an in-memory fallback allocates nothing
//! while it decides.
#![expect(clippy::expect_used, reason = "a test whose app cannot be built fails")]

use std::{pin::pin, task::Poll};

use allocation_counter::measure;
use traffik::{
    DefaultIdentity, Rate, Throttle, Traffik, TraffikBuilder,
    backend::MemoryBackend,
    breaker::CircuitBreaker,
    on_error::{Allow, Failover, Fallback, Raise, Retry},
    test::ManualClock,
};

use crate::TIMES;

struct Mails;

impl Throttle for Mails {
    const UID: &'static str = "mails";
    const RATE: Rate = Rate::literal("500/min");
    type Identity = DefaultIdentity;
}

fn store() -> MemoryBackend {
    MemoryBackend::with_clock("test", ManualClock::new())
}

/// Checks once, without waiting.
fn is_admitted(traffik: &Traffik) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let hit = pin!(traffik.limiter::<Mails>("alice").check()).poll(&mut cx);
    matches!(hit, Poll::Ready(Ok(_)))
}

/// Returns the allocations of many checks by a known client.
fn allocations(set_up: impl FnOnce(TraffikBuilder) -> TraffikBuilder) -> u64 {
    let traffik = set_up(Traffik::builder(store())).build().expect("an app");
    // The first decisions also register the series of the metrics.
    assert!((0..3).all(|_| is_admitted(&traffik)));
    measure(|| assert!((0..TIMES).all(|_| is_admitted(&traffik)))).count_total
}

#[test]
fn error_policy_with_a_working_backend_allocates_nothing() {
    let usual = allocations(|builder| builder);
    assert_eq!(allocations(|builder| builder.on_error(Allow)), usual);
    assert_eq!(allocations(|builder| builder.on_error(Raise)), usual);
    assert_eq!(allocations(|builder| builder.on_error(Retry::times(3))), usual);
    assert_eq!(allocations(|builder| builder.on_error(Fallback::to(store()))), usual);
    assert_eq!(allocations(|builder| builder.on_error(Failover::to(store()).retries(2))), usual);
}

#[test]
fn fallback_in_memory_allocates_nothing() {
    let usual = allocations(|builder| builder);
    let breaker = CircuitBreaker::builder().failure_threshold(1).build().unwrap();
    breaker.enter().expect("it is closed").failed();
    assert_eq!(allocations(|builder| builder.on_error(Failover::to(store()).breaker(breaker))), usual);
}
