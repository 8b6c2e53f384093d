//! Lines of which the backend does not answer.

use std::{
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tests::refused;
use traffik::{
    CheckError, Error,
    backend::{BackendError, MemoryBackend},
    on_error::{Failover, Failure, Resolution},
};

use super::{Allowed, LONG, MINUTE, One, Permits, Result, Two, decided, exhaust, waits};
use crate::on_error::backends::{Mood, advance, app};

/// The default timeout of a question.
const TIMEOUT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn question_without_an_answer_ends_at_the_timeout_of_the_backend() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    exhaust::<One>(&traffik).await?;
    let mut line = [waits::<One>(&traffik, LONG), waits::<One>(&traffik, LONG)];
    assert!(decided(&mut line).await.iter().all(Option::is_none));
    backend.is(Mood::Hangs);
    advance(&clock, MINUTE * 11 / 10).await;
    assert!(decided(&mut line).await.iter().all(Option::is_none));
    advance(&clock, TIMEOUT).await;
    let states = decided(&mut line).await;
    let is_timeout = |checked: &_| matches!(checked, Some(Err(CheckError::Failed(Error::Backend(BackendError::Timeout(after))))) if *after == TIMEOUT);
    assert!(states.first().is_some_and(is_timeout) && states.last().is_some_and(Option::is_none), "{states:?}");
    // The next one is asked for once the backend answers.
    backend.is(Mood::Answers);
    advance(&clock, TIMEOUT).await;
    let [_, second] = line;
    assert!(matches!(second.await, Err(CheckError::Failed(_))), "its question hung too");
    let _ = traffik.limiter::<One>("alice").wait(LONG).check().await?;
    Ok(())
}

#[tokio::test]
async fn policy_decides_about_each_waiter() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    exhaust::<Allowed>(&traffik).await?;
    let line = [(); 3].map(|()| waits::<Allowed>(&traffik, LONG));
    advance(&clock, Duration::ZERO).await;
    backend.is(Mood::Fails);
    advance(&clock, MINUTE * 11 / 10).await;
    for waiting in line {
        let permit = waiting.await?;
        assert!(permit.is_unchecked());
    }
    Ok(())
}

#[tokio::test]
async fn function_decides_about_each_waiter() -> Result {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let (traffik, backend, clock) = app(|builder, _| {
        builder.on_error(move |_: Failure| {
            let refuses = counted.fetch_add(1, Ordering::Relaxed) == 1;
            let resolution = if refuses { Resolution::RefuseFor(MINUTE) } else { Resolution::Admit };
            async move { Ok::<_, std::convert::Infallible>(resolution) }
        })
    });
    exhaust::<One>(&traffik).await?;
    let [first, second, third] = [(); 3].map(|()| waits::<One>(&traffik, LONG));
    advance(&clock, Duration::ZERO).await;
    backend.is(Mood::Fails);
    advance(&clock, MINUTE * 11 / 10).await;
    assert!(first.await?.is_unchecked());
    assert!(
        matches!(second.await, Err(CheckError::Failed(Error::Refused { retry_after, .. })) if retry_after == MINUTE)
    );
    assert!(third.await?.is_unchecked());
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    Ok(())
}

#[tokio::test]
async fn function_that_panics_panics_in_its_waiter_alone() -> Result {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let (traffik, backend, clock) = app(|builder, _| {
        builder.on_error(move |_: Failure| {
            assert!(counted.fetch_add(1, Ordering::Relaxed) > 0, "this panic is intended");
            async { Ok::<_, std::convert::Infallible>(Resolution::Admit) }
        })
    });
    exhaust::<One>(&traffik).await?;
    let [first, second] = [(); 2].map(|()| waits::<One>(&traffik, LONG));
    advance(&clock, Duration::ZERO).await;
    backend.is(Mood::Fails);
    advance(&clock, MINUTE * 11 / 10).await;
    assert!(tokio::spawn(first).await.is_err_and(|error| error.is_panic()));
    assert!(second.await?.is_unchecked());
    Ok(())
}

#[tokio::test]
async fn fallback_gives_turns_while_the_backend_is_away() -> Result {
    let (traffik, backend, clock) =
        app(|builder, clock| builder.on_error(Failover::to(MemoryBackend::with_clock("fallback", clock.clone()))));
    backend.is(Mood::IsAway);
    exhaust::<Two>(&traffik).await?;
    let line = [(); 3].map(|()| waits::<Two>(&traffik, LONG));
    for (number, waiting) in line.into_iter().enumerate() {
        if number != 1 {
            advance(&clock, MINUTE * 11 / 10).await;
        }
        assert!(waiting.await?.is_from_fallback());
    }
    Ok(())
}

#[tokio::test]
async fn waiter_is_told_when_its_time_is_over_during_an_outage() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    exhaust::<One>(&traffik).await?;
    let mut line = [waits::<One>(&traffik, LONG), waits::<One>(&traffik, MINUTE)];
    assert!(decided(&mut line).await.iter().all(Option::is_none));
    backend.is(Mood::Hangs);
    advance(&clock, MINUTE).await;
    // The question about the head, and one like that of a check that does not wait.
    for _ in 0..2 {
        advance(&clock, TIMEOUT).await;
        let _ = decided(&mut line[..0]).await;
    }
    let [_, late] = line;
    let late = tokio::spawn(late);
    advance(&clock, TIMEOUT).await;
    assert!(matches!(late.await?, Err(CheckError::Failed(Error::Backend(_)))));
    Ok(())
}

#[tokio::test]
async fn waiters_for_permits_outlive_an_outage_of_the_policy() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    let held = traffik.limiter::<Permits>("alice").cost(2).check().await?;
    let waiting = waits::<Permits>(&traffik, LONG);
    advance(&clock, Duration::ZERO).await;
    backend.is(Mood::IsAway);
    advance(&clock, Duration::from_millis(275)).await;
    assert!(matches!(waiting.await, Err(CheckError::Failed(_))));
    backend.is(Mood::Answers);
    let waiting = waits::<Permits>(&traffik, LONG);
    drop(held);
    assert!(waiting.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn caller_beyond_the_slots_is_refused_as_the_limits_stand() -> Result {
    let (traffik, _, _) = app(|builder, _| builder);
    exhaust::<super::Nobody>(&traffik).await?;
    let refusal = refused(traffik.limiter::<super::Nobody>("alice").wait(LONG).check().await);
    assert_eq!(refusal.retry_after(), Some(MINUTE));
    Ok(())
}
