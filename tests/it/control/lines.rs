//! Callers that wait see a change, as the next decision does.

use std::time::Duration;

use futures_util::FutureExt;
use tests::refused;
use traffik::{Settings, Throttle, Traffik};

use super::{Result, knowing};
use crate::http::app::throttle;

const HOUR: Duration = Duration::from_secs(3600);

throttle!(One, "lines:one", "1/hour");
throttle!(Login, "lines:login", "1/hour", Settings::new().penalty(1, HOUR * 2));

/// Starts to wait in a task.
fn waits<T: Throttle>(traffik: &Traffik) -> tokio::task::JoinHandle<bool> {
    let traffik = traffik.clone();
    tokio::spawn(async move { traffik.limiter::<T>("alice").wait(HOUR).check().await.is_ok() })
}

#[tokio::test]
async fn waiter_is_admitted_when_the_rate_is_raised() -> Result {
    let (traffik, _) = knowing::<One>()?;
    let _ = traffik.limiter::<One>("alice").check().await?;
    let mut waiters = [waits::<One>(&traffik), waits::<One>(&traffik)];
    tests::until_idle().await;
    traffik.limit("lines:one")?.set_rate("2/hour".parse()?)?;
    tests::until_idle().await;
    let [first, second] = &mut waiters;
    assert!(first.now_or_never().ok_or("waits")??);
    assert!(second.now_or_never().is_none());
    Ok(())
}

#[tokio::test]
async fn waiters_are_admitted_when_the_limit_is_disabled() -> Result {
    let (traffik, _) = knowing::<One>()?;
    let _ = traffik.limiter::<One>("alice").check().await?;
    let waiters = [waits::<One>(&traffik), waits::<One>(&traffik)];
    tests::until_idle().await;
    traffik.limit("lines:one")?.disable();
    for waiter in waiters {
        assert!(waiter.await?);
    }
    Ok(())
}

#[tokio::test]
async fn waiter_that_is_blocked_for_longer_is_refused_immediately() -> Result {
    let (traffik, _) = knowing::<One>()?;
    let one = traffik.limit("lines:one")?;
    let _ = traffik.limiter::<One>("alice").check().await?;
    let waiter = waits::<One>(&traffik);
    tests::until_idle().await;
    one.block("alice", HOUR * 2, "")?;
    assert!(!waiter.await?);
    let refusal = refused(traffik.limiter::<One>("alice").wait(HOUR).check().await);
    assert_eq!(refusal.retry_after(), Some(HOUR * 2));
    Ok(())
}

#[tokio::test]
async fn waiter_that_gets_a_penalty_for_longer_is_refused_immediately() -> Result {
    let (traffik, _) = knowing::<Login>()?;
    for client in ["alice", "bob"] {
        let _ = traffik.limiter::<Login>(client).check().await?;
    }
    let waiter = waits::<Login>(&traffik);
    tests::until_idle().await;
    let _ = refused(traffik.limiter::<Login>("bob").check().await);
    tests::until_idle().await;
    assert!(!waiter.is_finished(), "the penalty of another client");
    let _ = refused(traffik.limiter::<Login>("alice").check().await);
    tests::until_idle().await;
    assert!(!waiter.now_or_never().ok_or("waits")??);
    Ok(())
}

#[tokio::test]
async fn caller_of_a_replaced_limit_does_not_queue_behind_the_waiters_of_the_old_one() -> Result {
    let (traffik, _) = knowing::<One>()?;
    traffik.add_limit("lines:value", "1/hour".parse()?, Settings::new())?;
    let _ = traffik.limiter_of("lines:value", "alice").check().await?;
    let waiting = traffik.clone();
    let waiter = tokio::spawn(async move {
        let _ = waiting.limiter_of("lines:value", "alice").wait(HOUR).check().await;
    });
    tests::until_idle().await;
    traffik.replace_limit("lines:value", "1000/hour".parse()?, Settings::new())?;
    let caller = traffik.limiter_of("lines:value", "alice").wait(Duration::from_secs(1));
    assert!(caller.check().now_or_never().ok_or("it waits")?.is_ok());
    assert!(!waiter.is_finished());
    waiter.abort();
    Ok(())
}
