//! Permits outside of a request.

use tests::{admits, refused, until_idle};
use traffik::{Limits, Rate, Traffik, backend::MemoryBackend, strategy::Concurrency};

use super::{Result, free, places};
use crate::http::app::{throttle, traffik};

places!(Two, "two", "2/30s");
places!(Three, "three", "3/30s");
throttle!(Once, "once", "1/min");

#[tokio::test]
async fn permit_is_held_until_it_is_dropped() -> Result {
    let (traffik, _) = traffik();
    let (first, second) =
        (traffik.limiter::<Two>("alice").check().await?, traffik.limiter::<Two>("alice").check().await?);
    let refused = refused(traffik.limiter::<Two>("alice").check().await);
    assert_eq!(free::<Two>(&traffik, "bob").await, 2);
    drop(refused);
    assert_eq!(free::<Two>(&traffik, "alice").await, 0);
    drop(second);
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    drop(first);
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}

#[tokio::test]
async fn clones_of_a_permit_hold_one_slot_until_the_last_is_dropped() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Two>("alice").check().await?;
    let (limits, limit) = (Limits::clone(&permit), permit.tightest().clone());
    drop(permit);
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    drop(limits);
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    drop(limit);
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}

#[tokio::test]
async fn refund_releases_a_permit_once() -> Result {
    let (traffik, _) = traffik();
    let (one, other) = (traffik.limiter::<Two>("alice").check().await?, traffik.limiter::<Two>("alice").check().await?);
    let clone = Limits::clone(&one);
    one.refund().await?;
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    // Both permits were charged at one time, and the other one is still held.
    drop(clone);
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    drop(other);
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}

#[tokio::test]
async fn tuple_with_a_rate_holds_no_permit_if_either_refuses() -> Result {
    let (traffik, _) = traffik();
    let both = traffik.limiter::<(Two, Once)>("alice").check().await?;
    for _ in 0..3 {
        assert!(!admits::<(Two, Once)>(&traffik, "alice").await?);
        assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    }
    drop(both);
    assert_eq!((free::<Two>(&traffik, "alice").await, free::<Once>(&traffik, "alice").await), (2, 0));

    let _held = (traffik.limiter::<Two>("bob").check().await?, traffik.limiter::<Two>("bob").check().await?);
    assert!(!admits::<(Once, Three, Two)>(&traffik, "bob").await?);
    assert_eq!((free::<Once>(&traffik, "bob").await, free::<Three>(&traffik, "bob").await), (1, 3));
    Ok(())
}

#[tokio::test]
async fn peek_holds_no_permit() -> Result {
    let (traffik, _) = traffik();
    let looks = (traffik.limiter::<Two>("alice").peek().await?, traffik.limiter::<Two>("alice").peek().await?);
    assert_eq!(looks.0.tightest().remaining(), 2);
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    drop(looks);
    let _held = traffik.limiter::<Two>("alice").check().await?;
    drop(traffik.limiter::<Two>("alice").peek().await?);
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    Ok(())
}

#[tokio::test]
async fn permit_of_a_panicked_or_aborted_task_is_released() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Two>("alice").check().await?;
    let panics = tokio::spawn(async move {
        let _held = permit;
        assert_eq!(1 + 1, 3, "this is meant to be");
    });
    assert!(panics.await.is_err_and(|error| error.is_panic()));
    let permit = traffik.limiter::<Two>("alice").check().await?;
    let stuck = tokio::spawn(async move {
        let _held = permit;
        std::future::pending::<()>().await;
    });
    until_idle().await;
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    stuck.abort();
    assert!(stuck.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}

#[test]
fn permit_without_a_runtime_is_held_for_a_lease() -> Result {
    let clock = traffik::test::ManualClock::new();
    let traffik = Traffik::new(MemoryBackend::with_clock("test", clock.clone()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    // An in-memory backend needs no waiting, so any executor works.
    let mut hit = std::pin::pin!(traffik.limiter::<Two>("alice").check());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(permit) = hit.as_mut().poll(&mut context) else { panic!("it has to wait") };
    let permit = permit?;
    assert_eq!(runtime.block_on(free::<Two>(&traffik, "alice")), 1);
    clock.advance(Concurrency::LEASE);
    assert_eq!(runtime.block_on(free::<Two>(&traffik, "alice")), 2);
    drop(permit);
    let permit = runtime.block_on(traffik.limiter::<Two>("alice").check())?;
    assert_eq!(permit.tightest().rate(), Rate::literal("2/30s"));
    // The runtime ends before the permit does.
    drop(runtime);
    drop(permit);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    assert_eq!(runtime.block_on(free::<Two>(&traffik, "alice")), 2);
    Ok(())
}

#[tokio::test]
async fn reset_frees_all_permits_and_renewals_take_them_again() -> Result {
    let (traffik, clock) = traffik();
    let held = traffik.limiter::<Two>("alice").check().await?;
    until_idle().await;
    traffik.reset::<Two>("alice").await?;
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    clock.advance(Concurrency::LEASE / 3);
    until_idle().await;
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    drop(held);
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}
