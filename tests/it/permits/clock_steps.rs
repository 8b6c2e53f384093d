//! A clock that goes back while permits are held: they are still given back and renewed.

use std::time::Duration;

use tests::until_idle;
use traffik::{
    Traffik,
    backend::MemoryBackend,
    clock::{Clock, Timestamp},
    test::ManualClock,
};

use super::{Result, free, places};

places!(One, "one", "1/30s");
places!(Three, "three", "3/30s");

fn app() -> Result<(Traffik, ManualClock)> {
    let clock = ManualClock::at(Timestamp::from_micros(1_700_000_000_000_000));
    Ok((Traffik::new(MemoryBackend::with_clock("test", clock.clone()))?, clock))
}

fn go_back(clock: &ManualClock, by: Duration) {
    let micros = u64::try_from(by.as_micros()).unwrap_or_default();
    clock.set(Timestamp::from_micros(clock.now().as_micros() - micros));
}

#[tokio::test]
async fn permit_that_is_dropped_after_a_step_back_is_free() -> Result {
    for back in [1, 10, 3600, 86_400].map(Duration::from_secs) {
        let (traffik, clock) = app()?;
        let early = traffik.limiter::<Three>("alice").check().await?;
        clock.advance(Duration::from_secs(1));
        let held = (traffik.limiter::<Three>("alice").check().await?, traffik.limiter::<Three>("alice").check().await?);
        go_back(&clock, back);
        assert!(traffik.limiter::<Three>("alice").check().await.is_err());
        drop(held);
        assert_eq!(free::<Three>(&traffik, "alice").await, 2, "{back:?} back");
        let later = traffik.limiter::<Three>("alice").check().await?;
        early.refund().await?;
        assert_eq!(free::<Three>(&traffik, "alice").await, 2, "{back:?} back");
        later.refund().await?;
        assert_eq!(free::<Three>(&traffik, "alice").await, 3, "{back:?} back");
    }
    Ok(())
}

#[tokio::test]
async fn permit_is_renewed_after_steps_back() -> Result {
    let (traffik, clock) = app()?;
    let held = traffik.limiter::<One>("alice").check().await?;
    until_idle().await;
    for _ in 0..20 {
        go_back(&clock, Duration::from_secs(4));
        assert!(traffik.limiter::<One>("alice").check().await.is_err());
        for _ in 0..9 {
            clock.advance(Duration::from_secs(1));
            until_idle().await;
            assert!(traffik.limiter::<One>("alice").check().await.is_err());
        }
    }
    drop(held);
    assert_eq!(free::<One>(&traffik, "alice").await, 1);
    Ok(())
}
