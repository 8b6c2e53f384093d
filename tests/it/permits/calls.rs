//! Checks that each refund or renewal of permits runs once, even if the runtime that waits for it ends.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::watch,
    time::timeout,
};
use traffik::{
    Traffik,
    backend::{Answer, Backend, BackendError, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::{AnyClock, Timestamp},
    decision::{Adjusted, Adjustment, Charge, Decision, Hit},
    strategy::Concurrency,
    test::ManualClock,
};

use crate::owned::{adjustments_of, charges_of, owned};

use super::{Result, free, places};

places!(Two, "calls:two", "2/30s");

/// A wrapper around a backend. Its refunds and renewals wait until its gate is open.
#[derive(Clone, Debug)]
struct Gated {
    inner: MemoryBackend,
    decides_now: bool,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    is_open: watch::Sender<bool>,
    /// Whether the next call fails, and how.
    does_not_run: AtomicBool,
    panics: AtomicBool,
    /// The number of calls that began, and of those that ended.
    begun: watch::Sender<usize>,
    ended: watch::Sender<usize>,
}

impl Gated {
    fn new(inner: MemoryBackend) -> Self {
        let gate = Gate {
            is_open: watch::Sender::new(true),
            does_not_run: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            begun: watch::Sender::new(0),
            ended: watch::Sender::new(0),
        };
        Self { inner, decides_now: false, gate: Arc::new(gate) }
    }

    fn with_clock(clock: &ManualClock) -> Self {
        Self::new(MemoryBackend::with_clock("test", clock.clone()))
    }

    fn open(&self, is_open: bool) {
        self.gate.is_open.send_replace(is_open);
    }

    async fn pass<T>(
        &self,
        call: impl Future<Output = std::result::Result<T, BackendError>>,
    ) -> std::result::Result<T, BackendError> {
        let Gate { is_open, does_not_run, panics, begun, ended } = &*self.gate;
        // Backends with timers or sockets need a runtime, too.
        let _runtime = Handle::current();
        begun.send_modify(|begun| *begun += 1);
        assert!(!panics.swap(false, Ordering::Relaxed), "this panic is intended");
        let _ = is_open.subscribe().wait_for(|is_open| *is_open).await;
        let answer = if does_not_run.swap(false, Ordering::Relaxed) {
            Err(BackendError::not_run("it is away"))
        } else {
            call.await
        };
        ended.send_modify(|ended| *ended += 1);
        answer
    }
}

impl Gate {
    fn begun(&self) -> usize {
        *self.begun.borrow()
    }
}

/// Waits until this many calls began or ended.
async fn until(count: &watch::Sender<usize>, calls: usize) {
    let reached =
        timeout(Duration::from_secs(10), async { count.subscribe().wait_for(|count| *count >= calls).await.is_ok() });
    assert!(matches!(reached.await, Ok(true)), "{} of {calls}", *count.borrow());
}

impl Backend for Gated {
    fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    fn clock(&self) -> AnyClock {
        Backend::clock(&self.inner)
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        assert!(!hits.is_empty(), "the call has no charges");
        let answer = self.inner.decide(hits);
        if self.decides_now { answer } else { MaybeReady::pending(async move { answer.await }) }
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.inner.peek(hits)
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        let owned = owned(adjustments);
        MaybeReady::pending(async move {
            let adjustments = &adjustments_of(&owned)[..];
            self.pass(async { self.inner.adjust(adjustments).await }).await
        })
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let owned = owned(charges);
        MaybeReady::pending(async move {
            let charges = &charges_of(&owned)[..];
            self.pass(async { self.inner.renew(charges).await }).await
        })
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.inner.control(request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        self.inner.reset(hits)
    }

    fn clear(&self) -> Answer<'_, ()> {
        self.inner.clear()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[tokio::test]
async fn waiting_refund_of_an_immediate_backend_runs_once() -> Result {
    for is_elsewhere in [false, true] {
        let backend = Gated { decides_now: true, ..Gated::with_clock(&ManualClock::new()) };
        let (traffik, gate) = (Traffik::new(backend.clone())?, Arc::clone(&backend.gate));
        let held = traffik.limiter::<Two>("alice").check().await?;
        backend.open(false);
        if is_elsewhere {
            // This thread has not entered a runtime.
            std::thread::spawn(move || drop(held)).join().map_err(|_| "it panicked")?;
        } else {
            drop(held);
        }
        assert_eq!((gate.begun(), free::<Two>(&traffik, "alice").await), (1, 1));
        backend.open(true);
        until(&gate.ended, 1).await;
        assert_eq!((gate.begun(), free::<Two>(&traffik, "alice").await), (1, 2));
    }
    Ok(())
}

#[tokio::test]
async fn refund_of_an_immediate_backend_that_did_not_run_is_retried() -> Result {
    let backend = Gated { decides_now: true, ..Gated::new(MemoryBackend::new("test")) };
    let traffik = Traffik::builder(backend.clone()).backend_timeout(Duration::from_secs(60)).build()?;
    for is_open in [true, false] {
        let begun = backend.gate.begun();
        let held = traffik.limiter::<Two>("alice").check().await?;
        backend.open(is_open);
        backend.gate.does_not_run.store(true, Ordering::Relaxed);
        drop(held);
        assert_eq!(backend.gate.begun(), begun + 1);
        backend.open(true);
        until(&backend.gate.ended, begun + 2).await;
        assert_eq!((backend.gate.begun(), free::<Two>(&traffik, "alice").await), (begun + 2, 2));
    }
    Ok(())
}

#[tokio::test]
async fn panicking_refund_does_not_panic_in_the_drop_of_a_permit() -> Result {
    let clock = ManualClock::new();
    let backend = Gated { decides_now: true, ..Gated::with_clock(&clock) };
    let traffik = Traffik::new(backend.clone())?;
    let held = traffik.limiter::<Two>("alice").check().await?;
    backend.gate.panics.store(true, Ordering::Relaxed);
    drop(held);
    assert_eq!((backend.gate.begun(), free::<Two>(&traffik, "alice").await), (1, 1));
    clock.advance(Concurrency::LEASE);
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}

#[tokio::test]
async fn panicking_renewal_is_retried() -> Result {
    let clock = ManualClock::new();
    let backend = Gated::with_clock(&clock);
    let (traffik, gate) = (Traffik::new(backend.clone())?, &backend.gate);
    let held = traffik.limiter::<Two>("alice").check().await?;
    gate.panics.store(true, Ordering::Relaxed);
    clock.advance(Concurrency::LEASE / 3);
    until(&gate.begun, 1).await;
    clock.advance(Concurrency::LEASE / 12);
    until(&gate.ended, 1).await;
    clock.advance(Concurrency::LEASE * 2 / 3);
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    drop(held);
    Ok(())
}

#[test]
fn refund_whose_runtime_ends_is_finished_by_another_runtime() -> Result {
    for decides_now in [false, true] {
        for is_left in [false, true] {
            let backend = Gated { decides_now, ..Gated::with_clock(&ManualClock::new()) };
            let (traffik, gate) = (Traffik::new(backend.clone())?, &backend.gate);
            let (ends, stays) = (runtime()?, runtime()?);
            let held = ends.block_on(traffik.limiter::<Two>("alice").check())?;
            let mut other = Some(stays.block_on(traffik.limiter::<Two>("bob").check())?);
            if is_left {
                // The other runtime holds no permits any more.
                stays.block_on(async { drop(other.take()) });
                ends.block_on(until(&gate.ended, 1));
            }
            let before = gate.begun();
            backend.open(false);
            ends.block_on(async {
                drop(held);
                until(&gate.begun, before + 1).await;
            });
            drop(ends);
            backend.open(true);
            stays.block_on(async {
                until(&gate.ended, before + 1).await;
                assert_eq!(free::<Two>(&traffik, "alice").await, 2);
            });
            assert_eq!(gate.begun(), before + 1);
        }
    }
    Ok(())
}

#[test]
fn refund_that_did_not_run_is_retried_by_another_runtime() -> Result {
    let backend = Gated::new(MemoryBackend::new("test"));
    let traffik = Traffik::builder(backend.clone()).backend_timeout(Duration::from_secs(60)).build()?;
    let (ends, stays) = (runtime()?, runtime()?);
    let held = ends.block_on(traffik.limiter::<Two>("alice").check())?;
    let _other = stays.block_on(traffik.limiter::<Two>("bob").check())?;
    backend.open(false);
    backend.gate.does_not_run.store(true, Ordering::Relaxed);
    ends.block_on(async {
        drop(held);
        until(&backend.gate.begun, 1).await;
    });
    drop(ends);
    backend.open(true);
    stays.block_on(async {
        until(&backend.gate.ended, 2).await;
        assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    });
    assert_eq!(backend.gate.begun(), 2);
    Ok(())
}

#[test]
fn refund_that_did_not_begin_is_made_by_another_runtime() -> Result {
    let backend = Gated::with_clock(&ManualClock::new());
    let traffik = Traffik::new(backend.clone())?;
    let (ends, stays) = (runtime()?, runtime()?);
    let held = ends.block_on(traffik.limiter::<Two>("alice").check())?;
    // The runtime of the renewal task ends. Then the permit is dropped inside another runtime.
    drop(ends);
    stays.block_on(async {
        drop(held);
        until(&backend.gate.ended, 1).await;
        assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    });
    assert_eq!(backend.gate.begun(), 1);
    Ok(())
}

#[test]
fn refund_without_a_runtime_is_made_by_another_runtime() -> Result {
    let backend = Gated::with_clock(&ManualClock::new());
    let traffik = Traffik::new(backend.clone())?;
    let stays = runtime()?;
    let held = traffik.limiter::<Two>("alice").check().now_or_never().ok_or("it waits")??;
    let _other = stays.block_on(traffik.limiter::<Two>("bob").check())?;
    for held in [held, traffik.limiter::<Two>("alice").check().now_or_never().ok_or("it waits")??] {
        let begun = backend.gate.begun();
        drop(held);
        stays.block_on(until(&backend.gate.ended, begun + 1));
    }
    assert_eq!((backend.gate.begun(), stays.block_on(free::<Two>(&traffik, "alice"))), (2, 2));
    Ok(())
}

/// Returns a renewal that waits on a runtime that has ended, and a runtime that is still running.
fn interrupted_renewal()
-> std::result::Result<(Gated, Traffik, ManualClock, [traffik::Permit<Two>; 2], Runtime), Box<dyn Error>> {
    let clock = ManualClock::new();
    let backend = Gated::with_clock(&clock);
    let traffik = Traffik::new(backend.clone())?;
    let (ends, stays) = (runtime()?, runtime()?);
    let held = [
        ends.block_on(traffik.limiter::<Two>("alice").check())?,
        stays.block_on(traffik.limiter::<Two>("bob").check())?,
    ];
    backend.open(false);
    clock.advance(Concurrency::LEASE / 3);
    ends.block_on(until(&backend.gate.begun, 1));
    Ok((backend, traffik, clock, held, stays))
}

#[test]
fn renewal_whose_runtime_ends_is_finished_by_another_runtime() -> Result {
    let (backend, traffik, clock, held, stays) = interrupted_renewal()?;
    backend.open(true);
    stays.block_on(async {
        until(&backend.gate.ended, 1).await;
        assert_eq!(backend.gate.begun(), 1);
        // The renewed leases have ended.
        clock.advance(Concurrency::LEASE * 2 / 3);
        until(&backend.gate.ended, 2).await;
        assert_eq!((free::<Two>(&traffik, "alice").await, free::<Two>(&traffik, "bob").await), (1, 1));
        drop(held);
        until(&backend.gate.ended, 3).await;
        assert_eq!((free::<Two>(&traffik, "alice").await, free::<Two>(&traffik, "bob").await), (2, 2));
    });
    assert_eq!(backend.gate.begun(), 3);
    Ok(())
}

#[test]
fn permit_dropped_during_a_moved_renewal_is_refunded_after_it() -> Result {
    let (backend, traffik, _, [alice, _bob], stays) = interrupted_renewal()?;
    drop(alice);
    backend.open(true);
    stays.block_on(async {
        until(&backend.gate.ended, 2).await;
        assert_eq!((free::<Two>(&traffik, "alice").await, free::<Two>(&traffik, "bob").await), (2, 1));
    });
    assert_eq!(backend.gate.begun(), 2);
    Ok(())
}
