//! A backend that fails while permits are held: they stay held, and are counted again once the backend answers.

use std::{convert::Infallible, time::Duration};

use tests::{admits, until_idle};
use tracing::Instrument;
use traffik::{
    Traffik,
    backend::MemoryBackend,
    on_error::{Allow, Failover, Failure, Fallback, Resolution},
    strategy::Concurrency,
    test::ManualClock,
};

use super::{Result, free, places};
use crate::{
    http::logs::Log,
    on_error::backends::{Mood, Moody},
};

places!(Two, "two", "2/30s");

const THIRD: Duration = Duration::from_secs(10);

#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
fn app() -> (Traffik, Moody, ManualClock) {
    let clock = ManualClock::new();
    let moody = Moody::new(&clock);
    (Traffik::new(moody.clone()).unwrap(), moody, clock)
}

/// Advances the clock a second at a time, since the renewal task retries each second.
async fn pass(clock: &ManualClock, time: Duration) {
    for _ in 0..time.as_millis() / 500 {
        clock.advance(Duration::from_millis(500));
        until_idle().await;
    }
}

#[tokio::test]
async fn outage_within_the_lease_keeps_the_permit() -> Result {
    for mood in [Mood::IsAway, Mood::Fails, Mood::Hangs, Mood::ChargesAndHangs] {
        let (traffik, moody, clock) = app();
        let held = traffik.limiter::<Two>("alice").check().await?;
        until_idle().await;
        for _ in 0..5 {
            moody.is(mood);
            pass(&clock, THIRD + THIRD / 2).await;
            moody.is(Mood::Answers);
            pass(&clock, THIRD * 3).await;
            assert_eq!(free::<Two>(&traffik, "alice").await, 1, "{mood:?}");
        }
        drop(held);
        pass(&clock, THIRD * 3).await;
        assert_eq!(free::<Two>(&traffik, "alice").await, 2, "{mood:?}");
    }
    Ok(())
}

#[tokio::test]
async fn outage_beyond_the_lease_takes_a_permit_again_once_one_is_free() -> Result {
    let (traffik, moody, clock) = app();
    let held = traffik.limiter::<Two>("alice").check().await?;
    until_idle().await;
    moody.is(Mood::IsAway);
    pass(&clock, THIRD * 4).await;
    moody.is(Mood::Answers);
    // Other requests were faster.
    let others = (traffik.limiter::<Two>("alice").check().await?, traffik.limiter::<Two>("alice").check().await?);
    pass(&clock, THIRD * 6).await;
    assert!(!admits::<Two>(&traffik, "alice").await?);
    drop(others.0);
    pass(&clock, THIRD).await;
    assert_eq!(free::<Two>(&traffik, "alice").await, 0, "two permits are held");
    drop(held);
    pass(&clock, THIRD * 3).await;
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    Ok(())
}

#[tokio::test]
async fn failed_release_is_retried_if_it_did_not_run_and_else_ends_with_the_lease() -> Result {
    let (traffik, moody, clock) = app();
    for (mood, then) in [(Mood::IsAway, 2), (Mood::Fails, 1)] {
        let held = traffik.limiter::<Two>("alice").check().await?;
        until_idle().await;
        moody.is(mood);
        drop(held);
        until_idle().await;
        moody.is(Mood::Answers);
        pass(&clock, Duration::from_millis(500)).await;
        assert_eq!(free::<Two>(&traffik, "alice").await, then, "{mood:?}");
        pass(&clock, Concurrency::LEASE).await;
        assert_eq!(free::<Two>(&traffik, "alice").await, 2, "{mood:?}");
    }
    Ok(())
}

#[tokio::test]
async fn permit_of_a_fallback_is_held_and_released_there() -> Result {
    let clock = ManualClock::new();
    let (moody, spare) = (Moody::new(&clock), MemoryBackend::with_clock("spare", clock.clone()));
    for on_error in [Fallback::to(spare.clone()).into(), traffik::on_error::OnError::from(Failover::to(spare.clone()))]
    {
        let builder = Traffik::builder(moody.clone()).clock(clock.clone()).on_error(on_error);
        let traffik = builder.build()?;
        moody.is(Mood::IsAway);
        let held = traffik.limiter::<Two>("alice").check().await?;
        assert!(held.is_from_fallback());
        assert_eq!(free::<Two>(&traffik, "alice").await, 1);
        moody.is(Mood::Answers);
        let first = traffik.limiter::<Two>("alice").check().await?;
        assert!(!first.is_from_fallback());
        pass(&clock, THIRD * 8).await;
        assert_eq!(free::<Two>(&traffik, "alice").await, 1);
        moody.is(Mood::IsAway);
        assert_eq!(free::<Two>(&traffik, "alice").await, 1, "the fallback still holds the permit");
        drop(held);
        assert_eq!(free::<Two>(&traffik, "alice").await, 2);
        moody.is(Mood::Answers);
        drop(first);
        pass(&clock, Duration::from_secs(1)).await;
        assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    }
    Ok(())
}

#[tokio::test]
async fn unchecked_request_holds_no_permit() -> Result {
    let clock = ManualClock::new();
    let moody = Moody::new(&clock);
    let builder = Traffik::builder(moody.clone()).clock(clock.clone()).on_error(Allow);
    let traffik = builder.build()?;
    moody.is(Mood::Fails);
    let (one, other) = (traffik.limiter::<Two>("alice").check().await?, traffik.limiter::<Two>("alice").check().await?);
    let third = traffik.limiter::<Two>("alice").check().await?;
    assert!(one.is_unchecked() && other.is_unchecked() && third.is_unchecked());
    moody.is(Mood::Answers);
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    drop((one, other, third));
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}

#[tokio::test]
async fn failure_is_logged_in_the_span_of_the_caller() -> Result {
    let (log, _guard) = Log::begin();
    let clock = ManualClock::new();
    let moody = Moody::new(&clock);
    let traffik = Traffik::builder(moody.clone()).clock(clock).on_error(Allow).build()?;
    moody.is(Mood::Fails);
    let permit =
        traffik.limiter::<Two>("alice").check().instrument(tracing::info_span!("request", number = 17)).await?;
    assert!(permit.is_unchecked());
    let text = log.text();
    let line = text.lines().find(|line| line.contains("a backend gives no answer")).unwrap_or_default();
    assert!(line.contains("request{number=17}"), "{text}");
    Ok(())
}

#[tokio::test]
async fn cancelled_caller_holds_no_permit() -> Result {
    let (traffik, moody, clock) = app();
    moody.is(Mood::ChargesAndIsSlow);
    let asking = traffik.clone();
    let impatient = tokio::spawn(async move { asking.limiter::<Two>("alice").check().await.is_ok() });
    until_idle().await;
    impatient.abort();
    assert!(impatient.await.is_err_and(|error| error.is_cancelled()));
    moody.is(Mood::Answers);
    assert_eq!(free::<Two>(&traffik, "alice").await, 1);
    clock.advance(Duration::from_millis(10));
    until_idle().await;
    assert_eq!(free::<Two>(&traffik, "alice").await, 2);
    Ok(())
}

#[tokio::test]
async fn panic_in_an_error_function_reaches_the_caller() -> Result {
    let clock = ManualClock::new();
    let moody = Moody::new(&clock);
    let panics = async |failure: Failure| {
        assert!(failure.uid().is_empty(), "this panic is intended");
        Ok::<_, Infallible>(Resolution::Admit)
    };
    let traffik = Traffik::builder(moody.clone()).clock(clock).on_error(panics).build()?;
    moody.is(Mood::Fails);
    let hit = tokio::spawn(async move { traffik.limiter::<Two>("alice").check().await.is_ok() });
    assert!(hit.await.is_err_and(|error| error.is_panic()));
    Ok(())
}

#[tokio::test]
async fn closed_store_keeps_no_permits() -> Result {
    let (traffik, _, clock) = app();
    let held = traffik.limiter::<Two>("alice").check().await?;
    until_idle().await;
    traffik.close().await?;
    pass(&clock, THIRD * 8).await;
    drop(held);
    until_idle().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    Ok(())
}
