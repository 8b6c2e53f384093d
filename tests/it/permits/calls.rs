//! Checks that each refund or renewal of permits runs once, even if the runtime that waits for it ends.

use std::{
    error::Error,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};
use traffik::{Traffik, backend::MemoryBackend, strategy::Concurrency, test::ManualClock};

use super::{Result, free, places};
use crate::gated::{Gated, until};

places!(Two, "calls:two", "2/30s");
places!(Many, "calls:many", "10001/30s");

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
async fn permit_that_too_many_changes_keep_from_being_given_back_is_counted() -> Result {
    let backend = Gated { decides_now: true, ..Gated::with_clock(&ManualClock::new()) };
    let traffik = Traffik::new(backend.clone())?;
    let mut held = Vec::new();
    for _ in 0..10_001 {
        held.push(traffik.limiter::<Many>("alice").check().await?);
    }
    backend.open(false);
    let last = held.pop();
    drop(held);
    assert_eq!(traffik.lost_settlements(), 0);
    drop(last);
    assert_eq!(traffik.lost_settlements(), 1);
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
