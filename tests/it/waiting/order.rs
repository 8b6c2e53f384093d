//! Callers are admitted in the order in which they came.

use std::time::Duration;

use tests::admits;
use tokio::sync::mpsc;
use traffik::{Throttle, Traffik, test::ManualClock};

use super::{Even, LONG, Logged, MINUTE, One, Result, Ten, Three, Two, exhaust, started, traffik, waits};

#[tokio::test]
async fn waiters_are_admitted_in_order_as_room_comes() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Two>(&traffik).await?;
    let (sender, mut admitted) = mpsc::unbounded_channel();
    for number in 0..7 {
        let (waiting, sender) = (waits::<Two>(&traffik, LONG), sender.clone());
        tokio::spawn(async move { sender.send((number, waiting.await.is_ok())) });
    }
    for minute in [vec![0, 1], vec![2, 3], vec![4, 5], vec![6]] {
        assert!(admitted.try_recv().is_err(), "a caller was admitted before its turn");
        clock.advance(MINUTE);
        for number in minute {
            assert_eq!(admitted.recv().await, Some((number, true)));
        }
    }
    Ok(())
}

/// Lets three callers wait, and returns after how many milliseconds each is admitted.
async fn admitted_after<T: Throttle>(traffik: &Traffik, clock: &ManualClock) -> Result<Vec<u128>> {
    exhaust::<T>(traffik).await?;
    let begun = traffik.clock().now();
    let mut times = Vec::new();
    let waiting = [(); 3].map(|()| waits::<T>(traffik, LONG));
    for one in waiting {
        let retry_after = traffik.limiter::<T>("alice").peek().await?.tightest().more_after().unwrap_or_default();
        clock.advance(retry_after);
        let permit = one.await?;
        let at = permit.tightest().decided_at().ok_or("it was not counted")?;
        times.push(at.saturating_since(begun).as_millis());
    }
    Ok(times)
}

#[tokio::test]
async fn turns_come_when_each_strategy_has_room() -> Result {
    let (traffik, clock) = traffik()?;
    assert_eq!(admitted_after::<Two>(&traffik, &clock).await?, [60_000, 60_000, 120_000]);
    assert_eq!(admitted_after::<Ten>(&traffik, &clock).await?, [6_000, 12_000, 18_000]);
    assert_eq!(admitted_after::<Even>(&traffik, &clock).await?, [1_000, 2_000, 3_000]);
    assert_eq!(admitted_after::<Logged>(&traffik, &clock).await?, [60_000, 60_000, 120_000]);
    Ok(())
}

#[tokio::test]
async fn check_with_room_and_no_line_is_admitted_without_waiting() -> Result {
    let (traffik, _) = traffik()?;
    let _ = traffik.limiter::<One>("alice").wait(LONG).check().await?;
    let _ = traffik.limiter::<One>("bob").wait(LONG).check().await?;
    let _ = traffik.limiter::<One>("carol").cost(0).wait(LONG).check().await?;
    assert!(!admits::<One>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn check_that_does_not_wait_is_not_held_back_by_the_line() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Three>(&traffik).await?;
    // The first in the line waits for the whole limit, and takes it when the next window begins.
    let first = started::<Three>(&traffik, |limiter| limiter.cost(3).wait(LONG));
    let behind = waits::<Three>(&traffik, LONG);
    clock.advance(MINUTE);
    assert!(admits::<Three>(&traffik, "alice").await?, "the task of the line has not run yet");
    clock.advance(MINUTE);
    assert_eq!(first.await?.granted(), 3);
    clock.advance(MINUTE);
    assert!(behind.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn cheap_caller_waits_behind_a_dear_one() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Ten>(&traffik).await?;
    let mut line = [started::<Ten>(&traffik, |limiter| limiter.cost(5).wait(LONG)), waits::<Ten>(&traffik, LONG)];
    clock.advance(Duration::from_secs(29));
    let decided = super::decided(&mut line).await;
    assert!(decided.iter().all(Option::is_none), "{decided:?}");
    clock.advance(Duration::from_secs(1));
    let [dear, cheap] = line;
    assert_eq!(dear.await?.granted(), 5);
    clock.advance(Duration::from_secs(6));
    assert_eq!(cheap.await?.granted(), 1);
    Ok(())
}

#[tokio::test]
async fn lines_of_other_clients_and_throttles_are_separate() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<One>(&traffik).await?;
    exhaust::<Two>(&traffik).await?;
    let _one = waits::<One>(&traffik, LONG);
    let two = waits::<Two>(&traffik, LONG);
    let _ = traffik.limiter::<One>("bob").wait(LONG).check().await?;
    clock.advance(MINUTE);
    assert!(two.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn tuple_waits_until_all_of_its_limits_have_room() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Even>(&traffik).await?;
    exhaust::<One>(&traffik).await?;
    let waiting = waits::<(Even, One)>(&traffik, LONG);
    let even = waits::<Even>(&traffik, LONG);
    clock.advance(Duration::from_secs(1));
    assert!(even.await.is_ok(), "the tuple took a part of its charge");
    clock.advance(Duration::from_secs(59));
    let permit = waiting.await?;
    assert_eq!(permit.iter().map(|limit| limit.cost()).collect::<Vec<_>>(), [1, 1]);
    Ok(())
}

#[tokio::test]
async fn reset_lets_the_first_waiter_pass() -> Result {
    let (traffik, _) = traffik()?;
    exhaust::<One>(&traffik).await?;
    let waiting = waits::<One>(&traffik, LONG);
    traffik.reset::<One>("alice").await?;
    assert!(waiting.await.is_ok());
    Ok(())
}
