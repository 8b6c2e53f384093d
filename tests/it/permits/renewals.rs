//! A permit stays held as long as its holder exists, however short the lease.

use std::time::Duration;

use tests::until_idle;
use traffik::{Traffik, backend::MemoryBackend, strategy::Concurrency, test::ManualClock};

use super::{Result, free, places};
use crate::http::app::traffik;

places!(Five, "five", "5/30s");
places!(Brief, "brief", "5/1s");
places!(Many, "many", "5000/30s");

/// Advances the clock in small steps.
async fn pass(clock: &ManualClock, time: Duration) {
    let step = Duration::from_millis(100);
    for _ in 0..time.as_millis().div_ceil(step.as_millis()) {
        clock.advance(step);
        until_idle().await;
    }
}

#[tokio::test]
async fn permit_is_renewed_for_many_leases() -> Result {
    let (traffik, clock) = traffik();
    let held =
        (traffik.limiter::<Five>("alice").check().await?, traffik.limiter::<(Five, Brief)>("alice").check().await?);
    until_idle().await;
    for _ in 0..20 {
        pass(&clock, Duration::from_secs(7)).await;
        assert_eq!((free::<Five>(&traffik, "alice").await, free::<Brief>(&traffik, "alice").await), (3, 4));
    }
    drop(held);
    assert_eq!((free::<Five>(&traffik, "alice").await, free::<Brief>(&traffik, "alice").await), (5, 5));
    Ok(())
}

#[tokio::test]
async fn forgotten_permit_is_held_as_long_as_the_process_lives() -> Result {
    let (traffik, clock) = traffik();
    let held = traffik.limiter::<Five>("alice").check().await?;
    until_idle().await;
    let _ = std::mem::ManuallyDrop::new(held);
    pass(&clock, Duration::from_secs(100)).await;
    assert_eq!(free::<Five>(&traffik, "alice").await, 4);
    Ok(())
}

#[tokio::test]
async fn thousands_of_consecutive_permits_are_all_renewed() -> Result {
    let (traffik, clock) = traffik();
    let mut held = Vec::new();
    for _ in 0..50 {
        for _ in 0..100 {
            held.push(traffik.limiter::<Many>("alice").check().await?);
        }
        clock.advance(Duration::from_millis(70));
    }
    pass(&clock, Duration::from_secs(60)).await;
    assert_eq!(free::<Many>(&traffik, "alice").await, 0);
    held.truncate(1234);
    assert_eq!(free::<Many>(&traffik, "alice").await, 5000 - 1234);
    pass(&clock, Duration::from_secs(60)).await;
    assert_eq!(free::<Many>(&traffik, "alice").await, 5000 - 1234);
    held.clear();
    assert_eq!(free::<Many>(&traffik, "alice").await, 5000);
    Ok(())
}

#[tokio::test]
async fn later_permit_with_a_shorter_lease_is_renewed_in_time() -> Result {
    let (traffik, clock) = traffik();
    let _long = traffik.limiter::<Five>("alice").check().await?;
    until_idle().await;
    let _brief = traffik.limiter::<Brief>("alice").check().await?;
    until_idle().await;
    pass(&clock, Duration::from_secs(5)).await;
    assert_eq!(free::<Brief>(&traffik, "alice").await, 4);
    Ok(())
}

#[tokio::test]
async fn renewal_task_without_permits_keeps_nothing_alive() -> Result {
    let (traffik, clock) = traffik();
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let held = traffik.limiter::<Five>("alice").check().await?;
    until_idle().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before + 1);
    pass(&clock, Concurrency::LEASE * 3).await;
    drop(held);
    clock.advance(Concurrency::LEASE);
    until_idle().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
    Ok(())
}

#[tokio::test]
async fn permit_whose_runtime_ends_is_renewed_by_another_runtime() -> Result {
    let clock = ManualClock::new();
    let traffik = Traffik::new(MemoryBackend::with_clock("test", clock.clone()))?;
    let (moved, answer) = (traffik.clone(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let permit = runtime.map(|runtime| {
            let permit = runtime.block_on(moved.limiter::<Five>("alice").check());
            runtime.block_on(until_idle());
            permit
        });
        let _ = answer.0.send(permit);
    })
    .join()
    .map_err(|_| "a thread that panicked")?;
    let elsewhere = answer.1.recv()??;
    let here = traffik.limiter::<Five>("alice").check().await?;
    until_idle().await;
    pass(&clock, Duration::from_secs(100)).await;
    assert_eq!(free::<Five>(&traffik, "alice").await, 3);
    drop((here, elsewhere));
    assert_eq!(free::<Five>(&traffik, "alice").await, 5);
    Ok(())
}
