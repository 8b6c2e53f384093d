//! Callers that wait for a permit of `Concurrency`.

use std::time::Duration;

use tests::refused;
use traffik::{Traffik, backend::MemoryBackend, test::ManualClock};

use super::{LONG, Permits, Result, decided, traffik, waits};
use crate::on_error::backends::app;

#[tokio::test]
async fn dropped_permit_lets_the_first_waiter_pass() -> Result {
    let (traffik, _) = traffik()?;
    let limiter = || traffik.limiter::<Permits>("alice");
    let (first, second) = (limiter().check().await?, limiter().check().await?);
    let mut line = [waits::<Permits>(&traffik, LONG), waits::<Permits>(&traffik, LONG)];
    assert!(decided(&mut line).await.iter().all(Option::is_none));
    drop(first);
    let mut states = decided(&mut line).await;
    assert!(matches!(states.as_slice(), [Some(Ok(_)), None]), "{states:?}");
    let third = states.swap_remove(0);
    let [_, last] = line;
    drop(second);
    let fourth = last.await?;
    let _ = refused(limiter().check().await);
    drop((third, fourth));
    let _ = limiter().check().await?;
    Ok(())
}

#[tokio::test]
async fn permit_of_a_waiter_that_is_not_polled_is_given_back_when_it_is_dropped() -> Result {
    let (traffik, _) = traffik()?;
    let limiter = || traffik.limiter::<Permits>("alice").cost(2);
    let held = limiter().check().await?;
    let (first, second) = (waits::<Permits>(&traffik, LONG), waits::<(Permits,)>(&traffik, LONG));
    drop(held);
    tests::until_idle().await;
    drop((first, second));
    assert!(limiter().check().await.is_ok());
    Ok(())
}

#[tokio::test]
async fn waiter_waits_less_than_a_lease() -> Result {
    let (traffik, clock) = traffik()?;
    let held = traffik.limiter::<Permits>("alice").cost(2).check().await?;
    // The end of the lease, after 30 s, says nothing about when the permit is dropped.
    let mut line =
        [waits::<Permits>(&traffik, Duration::from_secs(1)), waits::<Permits>(&traffik, Duration::from_secs(2))];
    assert!(decided(&mut line).await.iter().all(Option::is_none));
    clock.advance(Duration::from_secs(1));
    let states = decided(&mut line).await;
    assert!(matches!(states.as_slice(), [Some(Err(_)), None]), "{states:?}");
    let [_, second] = line;
    drop(held);
    assert!(second.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn permit_dropped_behind_a_waiting_backend_lets_the_first_waiter_pass() -> Result {
    let (traffik, _, _clock) = app(|builder, _| builder);
    let held = traffik.limiter::<Permits>("alice").cost(2).check().await?;
    let waiting = waits::<Permits>(&traffik, LONG);
    tests::until_idle().await;
    drop(held);
    assert!(waiting.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn permit_dropped_elsewhere_is_noticed_within_a_moment() -> Result {
    let clock = ManualClock::new();
    let backend = MemoryBackend::with_clock("test", clock.clone());
    let (here, elsewhere) = (Traffik::new(backend.clone())?, Traffik::new(backend)?);
    let held = elsewhere.limiter::<Permits>("alice").cost(2).check().await?;
    let waiting = waits::<Permits>(&here, LONG);
    tests::until_idle().await;
    drop(held);
    clock.advance(Duration::from_millis(275));
    assert!(waiting.await.is_ok());
    Ok(())
}
