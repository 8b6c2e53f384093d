//! Permits of limits that were removed or replaced. Their own fallback granted them.

use std::{sync::Arc, time::Duration};

use tests::until_idle;
use traffik::{
    MemoryBackend, Settings, Traffik, backend::BackendError, on_error::Fallback, strategy::Concurrency,
    test::ManualClock,
};

use super::Result;
use crate::{
    gated::Gated,
    on_error::backends::{Mood, Moody},
};

const UID: &str = "removed:two";

/// An app whose backend is away, with a limit of two permits that has a fallback of its own.
struct App {
    traffik: Traffik,
    spare: Gated,
    clock: ManualClock,
}

impl App {
    fn new() -> Result<Self> {
        let clock = ManualClock::new();
        let (primary, spare) = (Moody::new(&clock), Gated::with_clock(&clock));
        primary.is(Mood::IsAway);
        let traffik = Traffik::builder(primary).clock(clock.clone()).build()?;
        traffik.add_limit(UID, "2/30s".parse()?, settings().on_error(Fallback::to(spare.clone())))?;
        Ok(Self { traffik, spare, clock })
    }

    /// Returns the number of permits that are free in the fallback.
    async fn free(&self) -> Result<traffik::Amount> {
        let seen = Traffik::new(self.spare.inner.clone())?;
        seen.add_limit(UID, "2/30s".parse()?, settings())?;
        Ok(seen.limiter_of(UID, "alice").peek().await?.tightest().remaining())
    }
}

fn settings() -> Settings {
    Settings::new().strategy(Concurrency)
}

#[tokio::test]
async fn permit_of_a_removed_limit_is_given_back() -> Result {
    let app = App::new()?;
    let permit = app.traffik.limiter_of(UID, "alice").check().await?;
    assert!(permit.is_from_fallback());
    until_idle().await;
    app.traffik.remove_limit(UID)?;
    assert_eq!(app.free().await?, 1);
    drop(permit);
    until_idle().await;
    assert_eq!(app.free().await?, 2);
    Ok(())
}

#[tokio::test]
async fn permit_of_a_replaced_limit_that_is_being_renewed_is_given_back() -> Result {
    let app = App::new()?;
    let permit = app.traffik.limiter_of(UID, "alice").check().await?;
    until_idle().await;
    app.traffik.replace_limit(UID, "2/30s".parse()?, settings())?;
    app.spare.open(false);
    app.clock.advance(Duration::from_secs(10));
    until_idle().await;
    assert_eq!(app.spare.gate.begun(), 1);
    drop(permit);
    app.spare.open(true);
    until_idle().await;
    assert_eq!(app.free().await?, 2);
    Ok(())
}

#[tokio::test]
async fn fallback_of_a_removed_limit_is_dropped_with_its_last_permit() -> Result {
    let app = App::new()?;
    let permits =
        (app.traffik.limiter_of(UID, "alice").check().await?, app.traffik.limiter_of(UID, "bob").check().await?);
    until_idle().await;
    app.traffik.remove_limit(UID)?;
    drop(permits.0);
    until_idle().await;
    assert!(Arc::strong_count(&app.spare.gate) > 1);
    // Another permit is not given back while no call runs.
    app.spare.gate.never_runs.store(true, std::sync::atomic::Ordering::Relaxed);
    drop(permits.1);
    for _ in 0..4 {
        until_idle().await;
        app.clock.advance(Duration::from_millis(50));
    }
    until_idle().await;
    assert_eq!((Arc::strong_count(&app.spare.gate), app.traffik.lost_settlements()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn fallback_of_a_removed_limit_is_cleared_and_closed_while_permits_are_held() -> Result {
    let app = App::new()?;
    let held = app.traffik.limiter_of(UID, "alice").check().await?;
    app.traffik.remove_limit(UID)?;
    app.traffik.clear().await?;
    assert_eq!(app.spare.inner.len(), 0);
    app.traffik.close().await?;
    let seen = Traffik::new(app.spare.inner.clone())?;
    let closed = seen.add_limit(UID, "2/30s".parse()?, settings())?.peek("alice").await;
    assert!(matches!(closed, Err(traffik::Error::Backend(BackendError::Closed))), "{closed:?}");
    drop(held);
    Ok(())
}

#[test]
fn permit_that_is_given_back_without_a_runtime_leaks_nothing() -> Result {
    let spare = {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (app, permit) = runtime.block_on(async {
            let app = App::new()?;
            let permit = app.traffik.limiter_of(UID, "alice").check().await?;
            Result::Ok((app, permit))
        })?;
        drop(runtime);
        app.traffik.remove_limit(UID)?;
        drop(permit);
        app.spare
    };
    assert_eq!(Arc::strong_count(&spare.gate), 1);
    Ok(())
}

#[tokio::test]
async fn permit_of_a_fallback_in_memory_is_given_back_immediately() -> Result {
    let clock = ManualClock::new();
    let (primary, spare) = (Moody::new(&clock), MemoryBackend::with_clock("spare", clock.clone()));
    primary.is(Mood::IsAway);
    let traffik = Traffik::builder(primary).clock(clock).build()?;
    traffik.add_limit(UID, "2/30s".parse()?, settings().on_error(Fallback::to(spare.clone())))?;
    let permit = traffik.limiter_of(UID, "alice").check().await?;
    traffik.remove_limit(UID)?;
    drop(permit);
    let seen = Traffik::new(spare)?;
    seen.add_limit(UID, "2/30s".parse()?, settings())?;
    assert_eq!(seen.limiter_of(UID, "alice").peek().await?.tightest().remaining(), 2);
    Ok(())
}
