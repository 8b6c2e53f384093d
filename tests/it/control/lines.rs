//! Callers that wait see a change, as the next decision does.

use std::time::Duration;

use futures_util::FutureExt;
use tests::refused;
use traffik::{Throttle, Traffik};

use super::{Result, knowing};
use crate::http::app::throttle;

const HOUR: Duration = Duration::from_secs(3600);

throttle!(One, "lines:one", "1/hour");

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
