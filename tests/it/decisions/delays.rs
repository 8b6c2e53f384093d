//! A decision reports how long to hold a request, for charged limits only.

use std::time::Duration;

use tests::refused;
use traffik::{
    DefaultIdentity, Error, Rate, Settings, Throttle, Traffik,
    backend::MemoryBackend,
    clock::Clock,
    strategy::{LeakyBucketWithQueue, SlidingWindowLog},
    test::ManualClock,
};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

throttles! {
    Queue: "delays:queue", "60/min", Settings::new().strategy(LeakyBucketWithQueue::new().queue(3));
    Faster: "delays:faster", "600/min", Settings::new().strategy(LeakyBucketWithQueue::new().queue(30)).cost(2);
    Pair: "delays:pair", "2/hour", Settings::new().strategy(SlidingWindowLog);
    Free: "delays:free", "60/min", Settings::new().strategy(LeakyBucketWithQueue::new()).cost(0);
}

fn app() -> std::result::Result<(Traffik, ManualClock), Error> {
    let clock = ManualClock::new();
    let backend = MemoryBackend::with_clock("test", clock.clone());
    Ok((Traffik::builder(backend).build()?, clock))
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn queued_requests_wait_in_order_and_a_full_queue_refuses() -> Result {
    let (traffik, clock) = app()?;
    for delay in 0..4 {
        let permit = traffik.limiter::<Queue>("alice").check().await?;
        assert_eq!(permit.delay(), millis(delay * 1000));
    }
    let refused = refused(traffik.limiter::<Queue>("alice").check().await);
    assert_eq!(refused.delay(), Duration::ZERO);
    assert_eq!(refused.tightest().retry_after(), Some(millis(1000)));

    clock.advance(millis(1500));
    assert_eq!(traffik.limiter::<Queue>("alice").check().await?.delay(), millis(2500));
    assert_eq!(traffik.limiter::<Queue>("bob").check().await?.delay(), Duration::ZERO);
    Ok(())
}

#[tokio::test]
async fn several_limits_report_the_longest_delay_and_a_refusal_none() -> Result {
    let (traffik, _) = app()?;
    assert_eq!(traffik.limiter::<(Faster, Queue, Pair)>("alice").check().await?.delay(), Duration::ZERO);
    let second = traffik.limiter::<(Faster, Queue, Pair)>("alice").check().await?;
    assert_eq!(second.delay(), millis(1000));
    assert_eq!(second.of::<Faster>().delay(), millis(200));
    assert_eq!(second.of::<Pair>().delay(), Duration::ZERO);

    // The queue has room, but the log has none, so nothing was charged.
    let third = refused(traffik.limiter::<(Faster, Queue, Pair)>("alice").check().await);
    assert!(third.of::<Queue>().is_some_and(traffik::Limit::is_admitted));
    assert_eq!(third.delay(), Duration::ZERO);
    assert_eq!(traffik.limiter::<Queue>("alice").check().await?.delay(), millis(2000));
    Ok(())
}

#[tokio::test]
async fn uncharged_check_has_no_delay() -> Result {
    let (traffik, clock) = app()?;
    for _ in 0..3 {
        let _ = traffik.limiter::<Queue>("alice").check().await?;
    }
    assert_eq!(traffik.limiter::<Queue>("alice").peek().await?.delay(), Duration::ZERO);
    assert_eq!(traffik.limiter::<Free>("alice").check().await?.delay(), Duration::ZERO);
    assert_eq!(Traffik::disabled().limiter::<Queue>("alice").check().await?.delay(), Duration::ZERO);
    let before = clock.now();
    clock.set(traffik::clock::Timestamp::from_micros(before.as_micros() - 3_600_000_000));
    // A clock that goes back makes no request wait longer.
    assert_eq!(traffik.limiter::<Queue>("alice").check().await?.delay(), millis(3000));
    Ok(())
}
