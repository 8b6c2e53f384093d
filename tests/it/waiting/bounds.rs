//! A line has a bounded length, and a wait a bounded time.

use std::time::Duration;

use tests::refused;

use super::{Even, Few, LONG, MINUTE, Nobody, One, Result, Ten, Two, decided, exhaust, started, traffik, waits};
use crate::on_error::backends::app;

#[tokio::test]
async fn caller_after_a_thousand_waiters_is_refused_without_waiting() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Even>(&traffik).await?;
    let mut line: Vec<_> = (0..1000).map(|_| waits::<Even>(&traffik, LONG)).collect();
    let refusal = refused(traffik.limiter::<Even>("alice").wait(LONG).check().await);
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(1)));
    // A slot is free when the turn of its waiter has come, whether or not it is polled.
    clock.advance(Duration::from_secs(1));
    tests::until_idle().await;
    line.push(waits::<Even>(&traffik, LONG));
    let _ = refused(traffik.limiter::<Even>("alice").wait(LONG).check().await);
    for waiting in line {
        assert!(waiting.await.is_ok());
        clock.advance(Duration::from_secs(1));
    }
    Ok(())
}

#[tokio::test]
async fn slots_are_those_of_all_clients_of_a_throttle() -> Result {
    let (traffik, clock) = traffik()?;
    for client in ["alice", "bob"] {
        assert!(tests::admits::<Few>(&traffik, client).await?);
    }
    let first = waits::<Few>(&traffik, LONG);
    let second = waits::<Few>(&traffik, LONG);
    let _ = refused(traffik.limiter::<Few>("bob").wait(LONG).check().await);
    drop(second);
    let owned = traffik.clone();
    let bob = tokio::spawn(async move { owned.limiter::<Few>("bob").wait(LONG).check().await.is_ok() });
    tests::until_idle().await;
    let _ = refused(traffik.limiter::<Few>("bob").wait(LONG).check().await);
    clock.advance(MINUTE);
    assert!(first.await.is_ok() && bob.await?);
    Ok(())
}

#[tokio::test]
async fn throttle_without_slots_lets_no_caller_wait() -> Result {
    let (traffik, _) = traffik()?;
    let _ = traffik.limiter::<Nobody>("alice").wait(LONG).check().await?;
    let refusal = refused(traffik.limiter::<Nobody>("alice").wait(LONG).check().await);
    assert_eq!(refusal.retry_after(), Some(MINUTE));
    Ok(())
}

#[tokio::test]
async fn caller_whose_turn_would_come_too_late_is_refused_without_waiting() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<One>(&traffik).await?;
    let refusal = refused(traffik.limiter::<One>("alice").wait(MINUTE - Duration::from_micros(1)).check().await);
    assert_eq!(refusal.retry_after(), Some(MINUTE));
    let waiting = waits::<One>(&traffik, MINUTE);
    let refusal = refused(traffik.limiter::<One>("alice").wait(Duration::from_secs(59)).check().await);
    assert_eq!(refusal.retry_after(), Some(MINUTE), "no caller passes those in the line");
    clock.advance(MINUTE);
    assert!(waiting.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn cost_that_never_fits_is_refused_without_waiting() -> Result {
    let (traffik, _) = traffik()?;
    let refusal = refused(traffik.limiter::<Two>("alice").cost(3).wait(LONG).check().await);
    assert_eq!(refusal.retry_after(), None);
    Ok(())
}

#[tokio::test]
async fn waiter_is_refused_when_its_time_is_over() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Two>(&traffik).await?;
    let mut line: Vec<_> = [60, 61, 61, 62].map(|seconds| waits::<Two>(&traffik, Duration::from_secs(seconds))).into();
    clock.advance(MINUTE);
    let states = decided(&mut line).await;
    assert!(matches!(states.as_slice(), [Some(Ok(_)), Some(Ok(_)), Some(Err(_)), Some(Err(_))]), "{states:?}");
    for late in states.into_iter().skip(2).flatten() {
        assert_eq!(refused(late).retry_after(), Some(MINUTE));
    }
    Ok(())
}

#[tokio::test]
async fn cheap_caller_behind_a_dear_one_is_refused_if_its_turn_would_come_too_late() -> Result {
    let (traffik, _) = traffik()?;
    exhaust::<Ten>(&traffik).await?;
    let _dear = started::<Ten>(&traffik, |limiter| limiter.cost(10).wait(LONG));
    let _cheap = waits::<Ten>(&traffik, MINUTE);
    let refusal = refused(traffik.limiter::<Ten>("alice").wait(Duration::from_secs(59)).check().await);
    assert_eq!(refusal.retry_after(), Some(Duration::from_secs(6)));

    // Behind a backend that waits, those in the line learn of it with the first answer.
    let (traffik, _, clock) = app(|builder, _| builder);
    exhaust::<Ten>(&traffik).await?;
    clock.advance(Duration::from_secs(6));
    let mut line = [
        started::<Ten>(&traffik, |limiter| limiter.cost(9).wait(LONG)),
        waits::<Ten>(&traffik, MINUTE),
        waits::<Ten>(&traffik, Duration::from_secs(47)),
    ];
    let states = decided(&mut line).await;
    assert!(matches!(states.as_slice(), [None, None, Some(Err(_))]), "{states:?}");
    let refusal = states.into_iter().flatten().next().map(refused).ok_or("it waits")?;
    assert_eq!(refusal.retry_after(), Some(Duration::ZERO), "there is room, which is for those before it");
    Ok(())
}

#[tokio::test]
async fn turn_on_a_shared_store_comes_at_its_time_plus_a_tenth_at_most() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    exhaust::<One>(&traffik).await?;
    let mut line = [waits::<One>(&traffik, LONG)];
    assert!(decided(&mut line).await.iter().all(Option::is_none));
    let asked = backend.asked();
    clock.advance(MINUTE - Duration::from_micros(1));
    assert!(decided(&mut line).await.iter().all(Option::is_none));
    assert_eq!(backend.asked(), asked, "the store is asked before its time");
    clock.advance(MINUTE / 10 + Duration::from_micros(1));
    let [waiting] = line;
    assert!(waiting.await.is_ok());
    assert_eq!(backend.asked(), asked + 1);
    Ok(())
}

#[tokio::test]
async fn jitter_does_not_let_a_waiter_miss_its_time() -> Result {
    let (traffik, _, clock) = app(|builder, _| builder);
    exhaust::<One>(&traffik).await?;
    for _ in 0..20 {
        let waiting = waits::<One>(&traffik, MINUTE);
        tests::until_idle().await;
        clock.advance(MINUTE);
        assert!(waiting.await.is_ok());
    }
    Ok(())
}

#[tokio::test]
async fn caller_that_never_fits_is_refused_alone() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Two>(&traffik).await?;
    let first = waits::<Two>(&traffik, LONG);
    let never = started::<Two>(&traffik, |limiter| limiter.cost(3).wait(LONG));
    let last = waits::<Two>(&traffik, LONG);
    clock.advance(MINUTE);
    assert!(first.await.is_ok());
    assert!(never.await.is_err());
    assert!(last.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn caller_whose_turn_is_too_late_leaves_those_who_fit_earlier() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Ten>(&traffik).await?;
    let first = waits::<Ten>(&traffik, LONG);
    let large = started::<Ten>(&traffik, |limiter| limiter.cost(10).wait(MINUTE / 2));
    let small = waits::<Ten>(&traffik, MINUTE / 3);
    clock.advance(MINUTE / 10);
    assert!(first.await.is_ok());
    assert!(large.await.is_err());
    clock.advance(MINUTE / 10);
    assert!(small.await.is_ok());
    Ok(())
}
