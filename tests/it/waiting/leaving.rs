//! Callers that go away, and callers that are not polled.

use std::time::{Duration, Instant};

use tests::admits;
use tokio::{task::JoinSet, time::timeout};
use traffik::{Throttle, Traffik, backend::MemoryBackend, test::ManualClock};

use super::{Even, Fast, LONG, MINUTE, Nobody, One, Result, Two, decided, exhaust, started, traffik, waits};
use crate::on_error::backends::{Mood, Moody, app};

#[tokio::test]
async fn dropped_waiter_lets_those_behind_go_on() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<One>(&traffik).await?;
    let (head, middle, last) =
        (waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG));
    drop((head, middle));
    clock.advance(MINUTE);
    assert!(last.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn permit_of_a_waiter_that_is_not_polled_waits_for_it() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<One>(&traffik).await?;
    let (first, second) = (waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG));
    clock.advance(MINUTE);
    tests::until_idle().await;
    clock.advance(MINUTE);
    // The first was not polled, and has its permit since.
    assert!(second.await.is_ok());
    clock.advance(MINUTE * 10);
    let permit = first.await?;
    let at = permit.tightest().decided_at().ok_or("it was not counted")?;
    assert_eq!(traffik.clock().now().saturating_since(at), MINUTE * 11);
    Ok(())
}

#[tokio::test]
async fn permit_that_is_not_received_is_given_back_to_the_next() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<One>(&traffik).await?;
    let (first, second) = (waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG));
    clock.advance(MINUTE);
    tests::until_idle().await;
    drop(first);
    let permit = second.await?;
    assert_eq!(permit.tightest().decided_at(), Some(traffik.clock().now()));
    assert!(!admits::<One>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn permit_that_is_not_received_is_given_back_if_nobody_waits() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Two>(&traffik).await?;
    let waiting = started::<Two>(&traffik, |limiter| limiter.cost(2).wait(LONG));
    clock.advance(MINUTE);
    tests::until_idle().await;
    assert!(!admits::<Two>(&traffik, "alice").await?);
    drop(waiting);
    assert!(admits::<Two>(&traffik, "alice").await? && admits::<Two>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn permit_of_a_waiting_backend_is_given_back_to_the_next() -> Result {
    let (traffik, _, clock) = app(|builder, _| builder);
    exhaust::<One>(&traffik).await?;
    let (first, second) = (waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG));
    tests::until_idle().await;
    clock.advance(MINUTE * 11 / 10);
    tests::until_idle().await;
    drop(first);
    let permit = second.await?;
    assert_eq!(permit.tightest().decided_at(), Some(traffik.clock().now()));
    Ok(())
}

#[tokio::test]
async fn waiter_that_is_dropped_during_its_question_gives_the_charge_back() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    backend.is(Mood::ChargesAndIsSlow);
    let (first, second) = (waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG));
    tests::until_idle().await;
    drop(first);
    for _ in 0..4 {
        clock.advance(Duration::from_millis(10));
        tests::until_idle().await;
    }
    let permit = second.await?;
    assert!(permit.tightest().is_counted());
    Ok(())
}

/// What a caller asks before it joins a line, and what it asks where there is no place in one.
#[tokio::test]
async fn caller_that_is_dropped_during_its_first_question_gives_the_charge_back() -> Result {
    async fn assert_given_back<T: Throttle>(traffik: &Traffik, backend: &Moody, clock: &ManualClock) -> Result {
        backend.is(Mood::ChargesAndIsSlow);
        let caller = waits::<T>(traffik, LONG);
        tests::until_idle().await;
        drop(caller);
        backend.is(Mood::AnswersNow);
        clock.advance(Duration::from_millis(10));
        tests::until_idle().await;
        assert!(admits::<T>(traffik, "alice").await?, "{}", T::UID);
        Ok(())
    }

    let (traffik, backend, clock) = app(|builder, _| builder);
    assert_given_back::<Nobody>(&traffik, &backend, &clock).await?;
    // It has decided without waiting, so it is asked before there is a line.
    assert_given_back::<One>(&traffik, &backend, &clock).await?;
    traffik.register::<Two>()?;
    traffik.limit("waiting:two")?.set_dry_run(true);
    assert_given_back::<Two>(&traffik, &backend, &clock).await?;
    assert_eq!(traffik.limiter::<Two>("alice").peek().await?.tightest().remaining(), 1);
    Ok(())
}

#[tokio::test]
async fn refund_lets_the_first_waiter_pass() -> Result {
    let (traffik, _) = traffik()?;
    let permit = traffik.limiter::<Two>("alice").cost(2).check().await?;
    let mut line = [waits::<Two>(&traffik, LONG), waits::<Two>(&traffik, LONG)];
    permit.settle(1).await?;
    let states = decided(&mut line).await;
    assert!(matches!(states.as_slice(), [Some(Ok(_)), None]), "{states:?}");
    Ok(())
}

#[tokio::test]
async fn callers_that_come_and_go_leave_nothing_behind() -> Result {
    let (traffik, clock) = traffik()?;
    for _ in 0..3000 {
        exhaust::<Even>(&traffik).await?;
        let waiting = waits::<Even>(&traffik, LONG);
        drop(waiting);
        clock.advance(Duration::from_secs(1));
    }
    // More than may wait have come and gone.
    exhaust::<Even>(&traffik).await?;
    let waiting = waits::<Even>(&traffik, LONG);
    clock.advance(Duration::from_secs(1));
    assert!(waiting.await.is_ok());
    Ok(())
}

/// On threads and in real time: callers leave at any moment, with and without their permits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_leave_at_any_moment_neither_stop_the_line_nor_exceed_the_limit() -> Result {
    let traffik = Traffik::new(MemoryBackend::new("test"))?;
    let (began, mut tasks) = (Instant::now(), JoinSet::new());
    for task in 0..16_u64 {
        let traffik = traffik.clone();
        tasks.spawn(async move {
            let mut admitted = 0_u32;
            for round in 0..50 {
                let patience = Duration::from_micros((task * 131 + round * 977) % 9000);
                let check = traffik.limiter::<Fast>("alice").wait(LONG).check();
                admitted += u32::from(timeout(patience, check).await.is_ok_and(|checked| checked.is_ok()));
            }
            admitted
        });
    }
    let mut admitted = 0;
    while let Some(of_task) = tasks.join_next().await {
        admitted += of_task?;
    }
    let _ = timeout(Duration::from_secs(30), traffik.limiter::<Fast>("alice").wait(LONG).check()).await??;
    let most = began.elapsed().as_secs_f64() * 2000.0 + 2.0;
    assert!(admitted > 0 && f64::from(admitted) <= most, "{admitted} in {:?}", began.elapsed());
    Ok(())
}
