//! Checks that take what fits.

use std::{sync::Arc, thread};

use futures_util::FutureExt;
use traffik::{
    CheckError, ConfigError, Error, FixedWindow, LeakyBucketWithQueue, Settings, SlidingWindowLog, Throttle,
    TokenBucket,
};

use super::{Result, remaining};
use crate::http::app::{throttle, traffik};

throttle!(Fixed, "grants:fixed", "100/min", Settings::new().strategy(FixedWindow));
throttle!(Bucket, "grants:bucket", "40/min", Settings::new().strategy(TokenBucket::new()));
throttle!(Log, "grants:log", "100/min", Settings::new().strategy(SlidingWindowLog));
throttle!(Queue, "grants:queue", "10/s", Settings::new().strategy(LeakyBucketWithQueue::new().queue(3)));

#[tokio::test]
async fn check_takes_what_fits_and_refuses_less() -> Result {
    async fn take<T: Throttle>() -> Result {
        let (traffik, _) = traffik();
        let take = || traffik.limiter::<T>("alice").at_least(5).at_most(70).check();
        let granted = [take().await?.granted(), take().await?.granted()];
        assert_eq!(granted, [70, 30], "{}", T::UID);
        let refusal = tests::refused(take().await);
        assert_eq!(refusal.tightest().remaining(), 0);
        let wait = refusal.retry_after().ok_or("5 fit later")?;
        assert!(wait <= std::time::Duration::from_secs(60));
        Ok(())
    }
    take::<Fixed>().await?;
    take::<Log>().await
}

#[tokio::test]
async fn wait_of_a_refusal_is_for_the_lowest_cost() -> Result {
    let (traffik, clock) = traffik();
    let _ = traffik.limiter::<Bucket>("alice").cost(40).check().await?;
    let refusal = tests::refused(traffik.limiter::<Bucket>("alice").at_least(2).at_most(40).check().await);
    // One comes back every 1.5 s.
    assert_eq!(refusal.retry_after(), Some(std::time::Duration::from_secs(3)));
    clock.advance(std::time::Duration::from_secs(3));
    let permit = traffik.limiter::<Bucket>("alice").at_least(2).at_most(40).check().await?;
    assert_eq!(permit.granted(), 2);
    Ok(())
}

#[tokio::test]
async fn tuple_is_granted_the_same_amount() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<(Fixed, Bucket)>("alice").at_least(1).at_most(70).check().await?;
    assert_eq!((permit.of::<Fixed>().granted(), permit.of::<Bucket>().granted()), (40, 40));
    assert_eq!((remaining::<Fixed>(&traffik, "alice").await?, remaining::<Bucket>(&traffik, "alice").await?), (60, 0));
    Ok(())
}

#[tokio::test]
async fn concurrent_grants_add_up_to_the_limit() -> Result {
    let (traffik, _) = traffik();
    let traffik = Arc::new(traffik);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let traffik = Arc::clone(&traffik);
            thread::spawn(move || {
                let take = || traffik.limiter::<Fixed>("alice").at_least(1).at_most(7).check().now_or_never();
                let mut granted = 0;
                while let Some(Ok(permit)) = take() {
                    granted += permit.granted();
                }
                granted
            })
        })
        .collect();
    let mut granted = 0;
    for thread in threads {
        granted += thread.join().map_err(|_| "it panicked")?;
    }
    assert_eq!(granted, 100);
    Ok(())
}

#[tokio::test]
async fn concurrent_grants_of_a_tuple_add_up_to_its_lowest_limit() -> Result {
    let (traffik, _) = traffik();
    let granted: u64 = thread::scope(|scope| {
        let take = || {
            let take = || traffik.limiter::<(Fixed, Bucket)>("alice").at_least(2).at_most(7).check().now_or_never();
            let mut granted = 0;
            while let Some(Ok(permit)) = take() {
                assert_eq!(permit.of::<Fixed>().granted(), permit.of::<Bucket>().granted());
                granted += permit.granted();
            }
            granted
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    // One may be left, which is less than the lowest amount.
    assert!((39..=40).contains(&granted), "{granted}");
    let left = (remaining::<Fixed>(&traffik, "alice").await?, remaining::<Bucket>(&traffik, "alice").await?);
    assert_eq!(left, (100 - granted, 40 - granted));
    Ok(())
}

#[tokio::test]
async fn grant_is_settled_from_what_was_granted() -> Result {
    let (traffik, _) = traffik();
    let _ = traffik.limiter::<Fixed>("alice").cost(60).check().await?;
    let permit = traffik.limiter::<Fixed>("alice").at_least(1).at_most(70).check().await?;
    assert_eq!(permit.granted(), 40);
    permit.settle(10).await?;
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 30);
    Ok(())
}

#[tokio::test]
async fn lowest_cost_above_the_highest_is_an_error() -> Result {
    let (traffik, _) = traffik();
    let failed = traffik.limiter::<Fixed>("alice").at_least(8).at_most(7).check().await;
    let Err(CheckError::Failed(Error::Config(error @ ConfigError::OutOfRange(_)))) = failed else {
        return Err(format!("{failed:?}").into());
    };
    assert!(error.to_string().contains("Limiter::at_least"), "{error}");
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 100);
    Ok(())
}

#[tokio::test]
async fn delay_of_a_grant_is_that_of_what_was_granted() -> Result {
    let (traffik, _) = traffik();
    let permit = traffik.limiter::<Queue>("alice").at_least(1).at_most(100).check().await?;
    let exact = {
        let (traffik, _) = crate::http::app::traffik();
        traffik.limiter::<Queue>("alice").cost(permit.granted()).check().await?.delay()
    };
    assert!(permit.granted() > 1 && permit.granted() < 100, "{}", permit.granted());
    assert_eq!(permit.delay(), exact);
    Ok(())
}
